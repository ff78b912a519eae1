"""The contract of every metric: equal clips have the ideal value, a known change has a known effect, and the result
does not depend on order, batches, ranks or devices.

Every metric of the catalogue needs a case here.

Shapes: B clips, T frames, H x W pixels.
"""

import json
import math
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.base import ClipSet
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.features.base import Features
from zoo.evaluation.metric import Setup
from zoo.evaluation.metrics import lpips
from zoo.evaluation.metrics.diversity import MAX_DRAWS
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.suite import Suite
from zoo.flow.estimators import DisFlow
from zoo.grey import to_grey, to_rgb
from zoo.model import build
from zoo.testing import tiny_data
from zoo.testing.ranks import on_ranks
from zoo.types import Clip

CLIPS = 5
BRIGHTER = 0.1
CORRECT = 3  # clips whose attributes are those that the classifier predicts


@dataclass(frozen=True)
class Case:
    """value: name of the value. equal: expected for samples that equal the real clips; None is the value of the real
    clips. brighter: expected for samples that are brighter by BRIGHTER; None is unknown. noisy, shuffled: direction in
    which noise, and another order of the frames, move the value: -1, 0 or 1; None is unknown."""

    value: str
    equal: float | None
    brighter: float | None = None
    noisy: int | None = None
    shuffled: int | None = None
    side: int = 48


PSNR_OF_BRIGHTER = 20 * math.log10(2 / BRIGHTER)
CASES = {
    "l1": Case("l1", 0, BRIGHTER, 1, 1),
    "mse_sum": Case("mse_sum", 0, 3 * 48**2 * (BRIGHTER / 2) ** 2, 1, 1),
    "mae_sum": Case("mae_sum", 0, 3 * 48**2 * BRIGHTER / 2, 1, 1),
    "psnr": Case("psnr", 100, PSNR_OF_BRIGHTER, -1, -1),
    "ssim": Case("ssim", 1, None, -1, -1),
    "ssim_range2": Case("ssim_range2", 1, None, -1, -1),
    "ms_ssim": Case("ms_ssim", 1, None, -1, -1, side=176),
    "lpips_alex": Case("lpips_alex", 0, None, 1, 1),
    "lpips_vgg": Case("lpips_vgg", 0, None, 1, 1),
    "lpips_squeeze": Case("lpips_squeeze", 0, None, 1, 1),
    "fvd": Case("fvd", 0, BRIGHTER**2, 1, 1),  # brightness is one feature of a clip
    "fid": Case("fid", 0, 3 * BRIGHTER**2, 1, 0),  # three features of a frame; the order of frames does not matter
    "classifier_frechet": Case("classifier_frechet", 0, None, 1, 1),
    "kvd": Case("kvd", 0, None, 1, 1),
    "kid": Case("kid", 0, None, 1, 0),
    "mind": Case("mind", 0, None, 1, 1),
    "classifier_mind": Case("classifier_mind", 0, None, 1, 1),
    "precision": Case("precision_k3", 1, None, None, None),
    "recall": Case("recall_k3", 1, None, None, None),
    "classifier_precision": Case("classifier_precision_k3", 1, None, None, None),
    "classifier_recall": Case("classifier_recall_k3", 1, None, None, None),
    "inception_score": Case("inception_score", None, None, None, 0),
    "video_is": Case("video_is", None, None, None, 0),
    "warping_error": Case("warping_error_dis", None, None, 1, 1),
    "temporal_distance": Case("temporal_distance", 0, None, 1, 1),
    "first_step": Case("first_step", 0, None, 1, 1),
    "flicker": Case("flicker", None, None, 1, 1),
    "sharpness": Case("sharpness", 1, 1, 1, 0),  # a ratio; neither brightness nor order changes gradients
    "motion": Case("motion_dis", None, None, None, 1),
    "acd": Case("acd", None, None, None, 0),  # all pairs of frames, so their order does not matter
    "classifier_acd": Case("classifier_acd", None, None, None, 0),
    "clean_clips": Case("clean_clips", None),  # textures, which are not clean
    "accuracy": Case("accuracy_action", CORRECT / CLIPS),
    "label_miou": Case("label_miou", None, None, -1, -1),
    "memorisation": Case("memorisation", None, None, 1, None),
}
DRAW_METRICS = {"diversity"}  # uses no real clips, see tests/evaluation/test_set_metrics.py


# ---------------------------------------------------------------- clips and tools


class Statistics(Features):
    """Features of a clip: brightness, contrast, change between frames, trend of brightness. Features of a frame: the
    mean of each colour, from which the class probabilities follow, and contrast."""

    sha256 = "0" * 16
    clip_size, frame_size, classes = 4, 4, 3

    def __init__(self, classifies: str) -> None:
        super().__init__()
        self.name, self.classifies = f"statistics{classifies}", classifies

    def clips(self, video: Tensor) -> Tensor:
        growth = torch.linspace(-1, 1, video.shape[1], device=video.device)
        change = (video[:, 1:] - video[:, :-1]).abs().flatten(1).mean(1)
        colours = video.flatten(2).mean(2)
        return torch.stack([colours.mean(1), video.flatten(1).std(1), change, (colours * growth).mean(1)], 1)

    def frames(self, video: Tensor) -> Tensor:
        return torch.cat([video.mean((3, 4)), video.flatten(2).std(2)[..., None]], 2)

    def probabilities(self, video: Tensor) -> Tensor:
        colours = video.mean((3, 4))
        colours = colours.mean(1) if self.classifies == "clips" else colours.flatten(0, 1)
        return (8 * colours).softmax(-1)


class BrightnessSegmenter(nn.Module):
    """A segmenter of bright and dark, with another threshold than that of the labels."""

    spec = SimpleNamespace(label_names=("dark", "bright"))

    def segment(self, video: Tensor) -> Tensor:
        return (video.mean(2) > 0.05).long()


class TrainingClips(ClipSet):
    """Training clips with other textures. convert: changes the channels of a video."""

    def __init__(self, side: int, convert: Callable[[Tensor], Tensor] = torch.clone) -> None:
        self.side, self.convert = side, convert

    def __len__(self) -> int:
        return 3

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        return {"video": self.convert(scrolling(3, frames, self.side, seed=1)["video"][index])}


def scrolling(count: int, frames: int, side: int, seed: int = 0) -> Clip:
    """Smooth textures of different colours that scroll by two pixels per frame."""
    numbers = torch.Generator().manual_seed(seed)
    texture = torch.rand(count, 3, side // 4, side // 4, generator=numbers) - 0.5
    texture = F.interpolate(texture, (side, side), mode="bicubic").clamp(-0.6, 0.6)
    texture = texture + 0.6 * torch.rand(count, 3, 1, 1, generator=numbers) - 0.3
    video = torch.stack([texture.roll(2 * time, -1) * (1 - 0.05 * time) for time in range(frames)], 1)
    keys = [f"set/video{i}/0" for i in range(count)]
    return {"video": video, "fps": torch.full((count,), 25.0), "key": keys, "labels": (video.mean(2) > 0).long()}


@lru_cache
def classifier() -> nn.Module:
    torch.manual_seed(0)
    return build({"name": "classifier", "width": 2, "blocks": 1}, tiny_data("classifier").spec()).eval()


@torch.no_grad()
def with_attributes(clip: Clip) -> Clip:
    """Add attributes: for the first CORRECT clips those that the classifier predicts, for the others different ones."""
    probabilities = classifier().classify(clip["video"])
    wrong = (torch.arange(len(clip["video"])) >= CORRECT).long()
    read = {name: (row.argmax(-1) + wrong) % row.shape[1] for name, row in probabilities.items()}
    return {**clip, "attributes": {name: ids[:, None].expand(clip["video"].shape[:2]) for name, ids in read.items()}}


@lru_cache
def random_backbone(net: str) -> nn.Module:
    """torchmetrics' LPIPS network with random weights; its last layers are never allocated."""
    from torchmetrics.functional.image.lpips import _LPIPS, ScalingLayer

    with torch.device("meta"):
        network = _LPIPS(pretrained=False, net=net, pnet_rand=True).to_empty(device="cpu")
    network.scaling_layer = ScalingLayer()
    numbers = torch.Generator().manual_seed(0)
    for weight in network.net.parameters():
        weight.normal_(0, (2 / weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0, generator=numbers)
    for weight in network.lins.parameters():
        weight.fill_(1 / weight.numel())
    return network


@lru_cache
def real_clip(side: int) -> Clip:
    return with_attributes(scrolling(CLIPS, 3 if side > 100 else 6, side))


def suite(
    names: Sequence[str], clip: Clip, clips: int = CLIPS, draws: int = 1, training: ClipSet | None = None
) -> Suite:
    """A suite of metrics that can share one feature network. The first frame is given if one of them needs it."""
    context = int(any(METRICS[name].context for name in names))
    frames, side = clip["video"].shape[1], clip["video"].shape[-1]
    of = "clips" if "video_is" in names else "frames"
    tools = {
        "classifier": classifier(),
        "segmenter": BrightnessSegmenter(),
        "flow": DisFlow(),
        "training": training or TrainingClips(side),
    }
    setup = Setup(frames - context, clips, draws, context, features=Statistics(of), **tools)
    return Suite(names, Protocol("set", "val", clips, frames, context, 25.0, side, side, 0, draws), setup)


def select(clip: Clip, rows: Sequence[int]) -> Clip:
    """Select clips of a batch, in that order."""
    cut = {key: value[list(rows)] for key, value in clip.items() if isinstance(value, Tensor)}
    names = {name: ids[list(rows)] for name, ids in clip["attributes"].items()}
    return {**cut, "key": [clip["key"][i] for i in rows], "attributes": names}


def values_of(suite: Suite) -> dict[str, float]:
    """Values and curves of all protocols; the classifier's Inception score gets a name of its own."""
    values = {}
    for each in suite.compute():
        for name, value in each.metrics.items():
            of_classifier = each.protocol.features == "classifier" and name.endswith("inception_score")
            values[f"classifier:{name}" if of_classifier else name] = value
        for name, curve in each.curves.items():
            values |= {f"{name} of frame {frame}": value for frame, value in enumerate(curve, 1)}
    return values


def measured(name: str, change: Callable[[Tensor], Tensor], batches: Sequence[Sequence[int]] = (range(CLIPS),)):
    """Values of a metric for samples that are the real clips after a change."""
    clip = real_clip(CASES[name].side)
    whole = suite([name], clip)
    for rows in batches:
        whole.update(select(clip, rows), [change(clip["video"])[list(rows)]])
    return values_of(whole)


def unchanged(video: Tensor) -> Tensor:
    return video


def noisy(video: Tensor) -> Tensor:
    return video + 0.3 * torch.randn(video.shape, generator=torch.Generator().manual_seed(1))


def shuffled(video: Tensor) -> Tensor:
    order = {3: [2, 0, 1], 6: [3, 0, 5, 2, 4, 1]}[video.shape[1]]
    return video[:, order]


@pytest.fixture(autouse=True)
def _random_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpips, "perceptual_network", random_backbone)


every_metric = pytest.mark.parametrize("name", CASES)


# ---------------------------------------------------------------- the contract


def test_every_metric_has_a_case():
    assert set(CASES) | DRAW_METRICS == set(METRICS)
    assert {name for name, card in METRICS.items() if card.draws} == DRAW_METRICS


@every_metric
def test_equal_clips_have_the_ideal_value(name):
    case, found = CASES[name], measured(name, unchanged)
    expected = found[f"real/{case.value}"] if case.equal is None else case.equal
    assert found[case.value] == pytest.approx(expected, abs=1e-6)


@every_metric
def test_known_changes_have_known_effects(name):
    case = CASES[name]
    equal = measured(name, unchanged)[case.value]
    if case.brighter is not None:
        brighter = measured(name, lambda video: video + BRIGHTER)[case.value]
        assert brighter == pytest.approx(case.brighter, rel=1e-3)
    for change, direction in ((noisy, case.noisy), (shuffled, case.shuffled)):
        moved = measured(name, change)[case.value] - equal
        if direction == 0:
            assert moved == pytest.approx(0, abs=1e-5)
        elif direction is not None:
            assert moved * direction > 1e-7 * max(1, abs(equal)), change.__name__


@pytest.mark.parametrize("name", ["warping_error", "flicker"])
def test_brightness_does_not_change_temporal_metrics(name):
    case = CASES[name]
    found = measured(name, lambda video: video + BRIGHTER)
    assert found[case.value] == pytest.approx(found[f"real/{case.value}"], rel=0.02)


def test_only_clip_features_change_when_time_is_reversed():
    backwards = {name: measured(name, lambda video: video.flip(1)) for name in ("fvd", "fid", "flicker")}
    assert backwards["fvd"]["fvd"] > 1e-6
    assert backwards["fid"]["fid"] == pytest.approx(0, abs=1e-8)
    assert backwards["flicker"]["flicker"] == pytest.approx(backwards["flicker"]["real/flicker"], rel=1e-5)


@pytest.mark.parametrize("name", ["inception_score", "video_is"])
def test_inception_score_of_grey_frames_is_one(name):
    found = measured(name, torch.zeros_like)
    assert found[name] == pytest.approx(1)
    assert 1.01 < found[f"real/{name}"] < 3


SUMS = ("mse_sum", "mae_sum")  # three equal channels count three times


@pytest.mark.parametrize("name", [name for name in CASES if METRICS[name].tool != "classifier" and name not in SUMS])
def test_grey_clips_have_the_values_of_three_equal_channels(name):
    """A classifier takes the channels that it was trained on, and no others."""
    clip, found = real_clip(CASES[name].side), []
    for convert in (to_grey, lambda video: to_rgb(to_grey(video))):
        converted = {**clip, "video": convert(clip["video"])}
        whole = suite([name], converted, training=TrainingClips(CASES[name].side, convert))
        whole.update(converted, [convert(noisy(clip["video"]))])
        found.append(values_of(whole))
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-6)


@every_metric
def test_order_and_batches_do_not_change_values(name):
    at_once = measured(name, noisy)
    for batches in ([[0], [1], [2], [3], [4]], [[4, 2, 0], [3, 1]]):
        assert measured(name, noisy, batches) == pytest.approx(at_once, rel=1e-4, abs=1e-6)


@every_metric
def test_merged_states_equal_one_state(name):
    """Ranks merge states. Every state has a reduction, and a shape that does not depend on the clips."""
    clip = real_clip(CASES[name].side)
    parts = [suite([name], clip) for _ in range(3)]
    for part, rows in zip(parts, ([0, 3, 4], [1, 2], []), strict=True):
        if rows:
            part.update(select(clip, rows), [noisy(clip["video"])[rows]])
    whole, *others = [part.groups[0].metrics[name] for part in parts]
    for other in others:
        assert all(reduce is not None for reduce in other._reductions.values())
        whole.merge_state(other)
    assert values_of(parts[0]) == pytest.approx(measured(name, noisy), rel=1e-4, abs=1e-6)


@every_metric
def test_memory_does_not_grow_with_clips(name):
    clip = with_attributes(scrolling(40, 3, CASES[name].side if CASES[name].side > 100 else 32))
    whole = suite([name], clip, clips=40)
    metric, sizes = whole.groups[0].metrics[name], []
    for start in range(0, 40, 4):
        rows = range(start, start + 4)
        whole.update(select(clip, rows), [clip["video"][list(rows)]])
        sizes.append(sum(state.numel() for state in metric.metric_state.values()))
    assert sizes[0] == sizes[-1]


@pytest.mark.parametrize("name", METRICS)
def test_memory_does_not_grow_with_draws(name):
    """Each draw is released before the next is made; only diversity keeps the first few, until it has compared them."""
    clip = real_clip(CASES[name].side if name in CASES else 48)
    draws = MAX_DRAWS + 4
    whole, made, alive = suite([name], clip, draws=draws), [], []

    def samples() -> Iterator[Tensor]:
        for _ in range(draws):
            alive.append(sum(memory() is not None for memory in made))
            memory = noisy(clip["video"]).numpy()  # lives as long as any tensor that uses it
            made.append(weakref.ref(memory))
            video = torch.from_numpy(memory)
            del memory
            yield video
            del video

    for _ in range(2):
        whole.update(clip, samples())
    kept = [*range(MAX_DRAWS), 0, 0, 0, 0] if name in DRAW_METRICS else [0] * draws
    assert alive == [*kept, *kept]


@every_metric
def test_reset_clears_the_state(name):
    clip = real_clip(CASES[name].side)
    whole = suite([name], clip)
    whole.update(clip, [torch.zeros_like(clip["video"])])
    whole.reset()
    whole.update(clip, [noisy(clip["video"])])
    assert values_of(whole) == pytest.approx(measured(name, noisy))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_metric
def test_gpu_and_cpu_agree(name):
    clip = real_clip(CASES[name].side)
    whole = suite([name], clip)
    generated = noisy(clip["video"]).cuda()
    names = {key: ids.cuda() for key, ids in clip["attributes"].items()}
    moved = {key: value.cuda() if isinstance(value, Tensor) else value for key, value in clip.items()}
    whole.update({**moved, "attributes": names}, [generated])
    assert values_of(whole) == pytest.approx(measured(name, noisy), rel=1e-3, abs=1e-4)


# ---------------------------------------------------------------- two processes

GROUPS = [
    [name for name, case in CASES.items() if case.side < 100 and name != "video_is"],
    [name for name, case in CASES.items() if case.side > 100],
    ["video_is"],
]
SPLITS = [([0, 3, 4], [2, 1]), (range(CLIPS), [])]  # clips of each rank: uneven shares, and a rank without clips


def measure_rank(folder: str) -> None:
    """Measure the clips of one rank, and write the values over all ranks."""
    rank = int(os.environ["LOCAL_RANK"])
    lpips.perceptual_network = random_backbone
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    found: list[dict[str, float]] = []
    for split in SPLITS:
        found.append({})
        for names in GROUPS:
            clip = real_clip(CASES[names[0]].side)
            whole = suite(names, clip)
            if rows := list(split[rank]):
                whole.update(select(clip, rows), [noisy(clip["video"])[rows]])
            found[-1] |= values_of(whole)
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    expected: dict[str, float] = {}
    for names in GROUPS:
        clip = real_clip(CASES[names[0]].side)
        whole = suite(names, clip)
        whole.update(clip, [noisy(clip["video"])])
        expected |= values_of(whole)
    on_ranks(tmp_path / "log", measure_rank, str(tmp_path))
    for rank in (0, 1):
        for found in json.loads((tmp_path / f"{rank}.json").read_text()):
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
