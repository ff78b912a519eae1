"""The segmenter, its validation metrics, and the metric label_miou."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from zoo import ZooError
from zoo.blocks.maps import one_hot
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.segmentation_metrics import SegmentationMetrics
from zoo.card import MODELS
from zoo.data.base import build_set
from zoo.data.module import VideoData
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.labels import LabelMIoU, confusion_matrix
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.suite import Suite
from zoo.evaluation.tools import open_segmenter
from zoo.models.segmenter.losses import balanced_cross_entropy
from zoo.runs.load import load
from zoo.sample import sample
from zoo.settings import SampleSettings, Strategy, Train
from zoo.testing import CLIPS, FRAMES, SIZE, quiet_trainer, tiny_clip, tiny_data, tiny_model, train_on
from zoo.training.preflight import check
from zoo.types import IGNORED

SEGMENTER = SimpleNamespace(
    spec=SimpleNamespace(label_names=("sky", "road", "car", "tree")),
    segment=lambda video: video[:, :, 0].long(),  # predicts the values of the red channel
)


def videos(read: list[int], given: list[int]) -> Videos:
    """A clip of one frame and one row of pixels."""
    video = torch.tensor(read).float().expand(1, 1, 3, 1, -1)
    return Videos(video, {"video": video, "labels": torch.tensor(given).view(1, 1, 1, -1)})


def metric() -> LabelMIoU:
    return LabelMIoU("label_miou", Setup(frames=1, clips=2, segmenter=SEGMENTER))


# ---------------------------------------------------------------- the metric


def test_label_miou_by_hand():
    counted = metric()
    counted.update(videos(read=[0, 1, 1, 1], given=[0, 0, 1, 1]), real=False)
    counted.update(videos(read=[0, 1, 3, 1], given=[0, 1, 1, 1]), real=False)
    counted.update(videos(read=[0, 0, 1, 2], given=[0, 0, 1, 1]), real=True)
    found = counted.compute()
    # sky: 2 of 3 pixels; road: 4 of 6; car and tree are not in the labels, although a tree is predicted
    assert found["label_miou"] == pytest.approx((2 / 3 + 4 / 6) / 2)
    assert found["label_accuracy"] == 6 / 8
    assert found["real/label_miou"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["real/label_accuracy"] == 3 / 4


def test_a_class_that_is_never_predicted_has_an_iou_of_zero():
    counted = metric()
    for real in (False, True):
        counted.update(videos(read=[0, 0, 0], given=[0, 0, 3]), real)
    assert counted.compute()["label_miou"] == pytest.approx((2 / 3 + 0) / 2)


def test_label_miou_is_the_same_in_batches_and_on_ranks():
    torch.manual_seed(0)
    read, given = torch.randint(4, (6, 2, 1, 5, 7)), torch.randint(4, (6, 2, 5, 7))
    video = read.expand(-1, -1, 3, -1, -1).float()

    def shown(*batches: list[int]) -> LabelMIoU:
        counted = metric()
        for rows in batches:
            for real in (False, True):
                counted.update(Videos(video[rows], {"video": video[rows], "labels": given[rows]}), real)
        return counted

    at_once = shown([0, 1, 2, 3, 4, 5]).compute()
    assert shown([5, 0], [3], [4, 2, 1]).compute() == at_once
    one, other = shown([0, 1], [4]), shown([5, 2, 3])
    one.merge_state(other)
    assert one.compute() == at_once


def test_label_miou_rejects_clips_without_labels():
    video = torch.zeros(1, 1, 3, 1, 1)
    with pytest.raises(ZooError, match="these clips have no labels"):
        metric().update(Videos(video, {"video": video}), real=False)


def test_label_miou_rejects_labels_unknown_to_the_segmenter():
    with pytest.raises(ZooError, match="labels from 0 to 4, but the segmenter knows 4 classes, 0 to 3"):
        metric().update(videos(read=[0, 0], given=[0, 4]), real=True)


def test_label_miou_in_a_suite_with_other_metrics():
    """With a segmenter and a training set; samples that equal the real clips get the values of the real clips."""
    segmenter, data, clip = tiny_model("segmenter").eval(), tiny_data("segmenter"), tiny_clip("segmenter")
    setup = Setup(FRAMES - 1, CLIPS, segmenter=segmenter, training=build_set(data, "train", frozenset(), seed=0))
    protocol = Protocol("puppets", "train", CLIPS, FRAMES, 1, data.fps, SIZE, SIZE, 0)
    suite = Suite(["label_miou", "memorisation"], protocol, setup)
    suite.update(clip, [clip["video"]])
    read, other = suite.compute()
    figures = read.metrics | other.metrics
    assert read.protocol.features == "segmenter"
    for name in ("label_miou", "label_accuracy", "memorisation"):
        assert figures[name] == figures[f"real/{name}"]


# ---------------------------------------------------------------- the model


def test_balanced_cross_entropy_by_hand():
    """Nine pixels of one class have weight 1/3 each, one pixel of another has weight 1; the logits favour the first."""
    labels = torch.zeros(1, 2, 5, dtype=torch.int64)
    labels[0, 1, 4] = 1
    logits = torch.tensor([2.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 5)
    log_sum = math.log(math.exp(2) + 2)
    expected = (9 / 3 * (log_sum - 2) + 1 * log_sum) / (9 / 3 + 1)
    assert float(balanced_cross_entropy(logits, labels)) == pytest.approx(expected)


def test_miou_of_a_validation_is_logged_and_stored_in_the_checkpoint(tmp_path):
    """With the moving-average weights, in batches of two and one; compared with a plain reference per class."""
    model, data = tiny_model("segmenter"), replace(tiny_data("segmenter"), batch_size=CLIPS, frames=2)
    protocol = Protocol("puppets", "val", 3, 2, 0, data.fps, SIZE, SIZE, 0)
    clips = VideoData(data, model.card.wanted(), 40, 0, 3, 2, model.curriculum_stage)
    classes = len(model.spec.label_names)
    callbacks = (MovingAverage(8.0), SegmentationMetrics(protocol, tmp_path, classes))
    runner = quiet_trainer(tmp_path, *callbacks, num_sanity_val_steps=0)
    runner.fit(model, clips)
    runner.save_checkpoint(tmp_path / "last.ckpt")

    loaded = load(str(tmp_path))
    batches = list(clips.val_dataloader())
    given = torch.cat([clip["labels"] for clip in batches])
    with torch.no_grad():
        read = torch.cat([loaded.segment(clip["video"]) for clip in batches])
    there = [label for label in range(classes) if (given == label).any()]
    overlaps = [((given == i) & (read == i)).sum() / ((given == i) | (read == i)).sum() for i in there]
    miou = float(torch.stack(overlaps).mean())
    assert 2 < len(there) < classes
    assert loaded.accuracy["miou"] == pytest.approx(miou)
    assert runner.callback_metrics["val/miou@3x2f-c0-32x32px"] == pytest.approx(miou)
    [line] = (tmp_path / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["metrics"] == pytest.approx(
        {"miou": miou, "pixel_accuracy": float((given == read).double().mean())}
    )


def test_validation_rejects_label_ids_outside_the_classes(tmp_path):
    overlap = SegmentationMetrics(Protocol("puppets", "val", 1, 1, 0, 12.5, 1, 2, 0), tmp_path, classes=4)
    model, read = SimpleNamespace(device="cpu"), torch.zeros(1, 1, 1, 2, dtype=torch.int64)
    for label in (4, -2):
        clip = {"labels": torch.tensor([0, label]).view(1, 1, 1, 2)}
        with pytest.raises(ZooError, match=r"labels from .* to .*, but the segmenter knows 4 classes, 0 to 3"):
            overlap.on_validation_batch_end(None, model, (clip, read), clip, 0)


def test_metrics_are_reset_after_each_validation(tmp_path):
    """All labels are wrong in the first validation and right in the second."""
    overlap = SegmentationMetrics(Protocol("puppets", "val", 1, 1, 0, 12.5, 1, 2, 0), tmp_path, classes=2)
    trainer, logged = SimpleNamespace(is_global_zero=False), {}
    model = SimpleNamespace(device="cpu", log_dict=logged.update)
    labels = torch.tensor([0, 1]).view(1, 1, 1, 2)
    for read, expected in ((1 - labels, 0.0), (labels, 1.0)):
        overlap.on_validation_batch_end(trainer, model, ({"labels": labels}, read), {}, 0)
        overlap.on_validation_epoch_end(trainer, model)
        assert model.accuracy == {"miou": expected}
        assert set(logged.values()) == {expected}


def test_frames_are_segmented_independently():
    model = tiny_model("segmenter").eval()
    video = torch.rand(2, FRAMES, 3, SIZE, SIZE) * 2 - 1
    with torch.no_grad():
        assert torch.equal(model.segment(video)[:, 3:4], model.segment(video[:, 3:4]))


def test_segmenters_cannot_be_sampled(tmp_path):
    assert not MODELS.find("segmenter").card.samples
    model = tiny_model("segmenter")
    runner = quiet_trainer(tmp_path)
    runner.strategy.connect(model)
    runner.save_checkpoint(tmp_path / "last.ckpt")
    with pytest.raises(ZooError, match="is a segmenter, which segments videos and cannot generate them"):
        sample(SampleSettings(str(tmp_path)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 40}, r"segmenter needs a height that is a multiple of 16, but it is 40. Try: data.height="),
        ({"label_names": ()}, "names no classes of its labels"),
    ],
)
def test_unsuitable_data_sets_are_rejected(change, message):
    data = tiny_data("segmenter")
    settings = Train(MODELS.find("segmenter").config.tiny(), data, Strategy("auto", "cpu", "1"))
    with pytest.raises(ZooError, match=message):
        check(MODELS.find("segmenter").card, replace(data.spec(), **change), settings)


def test_segmenters_of_other_clips_or_low_miou_are_rejected(tmp_path):
    model, clip = tiny_model("segmenter"), tiny_clip("segmenter")
    train_on(model, clip, 1, tmp_path).save_checkpoint(tmp_path / "last.ckpt")
    with pytest.raises(
        ZooError, match=r"not accurate enough on held-out real clips: mean IoU 0.00, but 0.5 is required"
    ):
        open_segmenter(str(tmp_path), model.spec)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.save(checkpoint | {"accuracy": {"miou": 0.8}}, tmp_path / "last.ckpt")
    assert open_segmenter(str(tmp_path), model.spec).accuracy == {"miou": 0.8}
    with pytest.raises(ZooError, match=f"trained on clips of width {SIZE}; those here have 64"):
        open_segmenter(str(tmp_path), replace(model.spec, width=64))
    with pytest.raises(ZooError, match="trained on clips of label_names"):
        open_segmenter(str(tmp_path), replace(model.spec, label_names=("a", "b")))


def test_ignored_pixels_are_in_no_loss_and_no_miou():
    """Whatever is predicted where no class is, loss and confusion are those of the other pixels alone."""
    logits = torch.randn(1, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[0, 1, 1, IGNORED], [2, 0, 1, IGNORED]]])
    torch.testing.assert_close(
        balanced_cross_entropy(logits, labels), balanced_cross_entropy(logits[..., :3], labels[..., :3])
    )
    predicted = logits.argmax(1)
    counts = confusion_matrix(labels, predicted, 3)
    assert counts.sum() == 6
    assert torch.equal(counts, confusion_matrix(labels[..., :3], predicted[..., :3], 3))
    assert one_hot(labels[None], 3)[0, 0].sum(0).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]
    assert balanced_cross_entropy(logits, torch.full_like(labels, IGNORED)) == 0
