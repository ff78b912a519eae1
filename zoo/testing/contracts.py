"""Contract tests that every model of the zoo passes, as test classes.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.fabric.utilities import move_data_to_device
from torch.utils.data import DataLoader

from zoo.callbacks.checkpoints import StepCheckpoint
from zoo.callbacks.clips_seen import ClipsSeen
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.estimate import Estimate
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.callbacks.progress import TrainingBar
from zoo.callbacks.throughput import Throughput
from zoo.card import MODELS
from zoo.devices.cuda_graphs import Run
from zoo.errors import ZooError, joined
from zoo.evaluation.metrics.labels import confusion_matrix, mean_iou
from zoo.help.field_docs import field_docs
from zoo.model import CHANNELS_LAST, build
from zoo.runs.load import load
from zoo.settings import Evaluation, Strategy, Train
from zoo.testing.fake_device import DEVICE, FakeDevice, train_on_fake_device
from zoo.testing.helpers import (
    CLIPS,
    FRAMES,
    answer,
    capture_on_cpu,
    note_gradient,
    one_of,
    recorded_reads,
    request_for,
    tiny_clip,
    tiny_data,
    tiny_model,
    train_as_commanded,
    train_on,
)
from zoo.testing.kills import check_resuming, check_resuming_on_two_processes
from zoo.training.preflight import check

COLD = {"temperature": 0.1}
"""Options of a sample with little variance."""


class TrainedContract:
    """Contract of every trained model. A subclass defines the fixture ``name``."""

    def test_gradient_reaches_every_trained_parameter(self, name: str, tmp_path: Path) -> None:
        """Every parameter of an optimizer gets a non-zero gradient."""
        model = tiny_model(name)
        reached: set[str] = set()
        for key, parameter in model.named_parameters():
            hook = partial(note_gradient, reached, key)
            parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
        runner = train_on(model, tiny_clip(name), 4, tmp_path)
        held = {id(p) for optimizer in runner.optimizers for group in optimizer.param_groups for p in group["params"]}
        trained = {key for key, parameter in model.named_parameters() if id(parameter) in held}
        # A bias before a norm without scale has no effect, so its gradient is rounding error and may be zero.
        assert {key for key in trained - reached if not key.endswith("bias")} == set()

    def test_every_parameter_is_trained(self, name: str, tmp_path: Path) -> None:
        """Every parameter belongs to an optimizer."""
        model = tiny_model(name)
        runner = train_on(model, tiny_clip(name), 1, tmp_path)
        held = {id(p) for optimizer in runner.optimizers for group in optimizer.param_groups for p in group["params"]}
        assert {key for key, p in model.named_parameters() if p.requires_grad and id(p) not in held} == set()

    def test_output_is_deterministic(self, name: str) -> None:
        """The same request gives the same output, whatever random numbers were drawn in between."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        first = answer(model, clip)
        torch.rand(7)
        assert torch.equal(first, answer(model, clip))

    def test_checkpoint_gives_the_same_output(self, name: str, tmp_path: Path) -> None:
        """A checkpoint loads with ``weights_only=True`` and gives the same output."""
        model, clip = tiny_model(name), tiny_clip(name)
        train_on(model, clip, 1, tmp_path).save_checkpoint(tmp_path / "last.ckpt")
        loaded = load(str(tmp_path))
        assert loaded.clips_seen == model.clips_seen == CLIPS
        expected = answer(model.eval(), clip)
        assert torch.equal(answer(loaded, clip), expected)

    def test_stays_finite_in_bfloat16(self, name: str, tmp_path: Path) -> None:
        """Two training steps and an output under autocast are finite."""
        model, clip = tiny_model(name), tiny_clip(name)
        train_on(model, clip, 2, tmp_path, precision="bf16-mixed")
        assert all(parameter.isfinite().all() for parameter in model.parameters())
        with torch.autocast("cpu", torch.bfloat16):
            assert answer(model.eval(), clip).isfinite().all()

    def test_compiled_networks_give_the_same_output(self, name: str, tmp_path: Path) -> None:
        """Networks traced as by `trainer.compile=true`, but run eagerly, since C++ takes a minute to compile: each is
        one graph without breaks, a step and an output are the same, and every parameter keeps its name."""
        clip, models = tiny_clip(name), [tiny_model(name), tiny_model(name)]
        models[1].compile_networks("eager", fullgraph=True)
        for model in models:
            train_on(model, clip, 1, tmp_path)
        plain, compiled = (model.state_dict() for model in models)
        assert list(plain) == list(compiled)
        for key, weight in plain.items():
            assert torch.allclose(weight, compiled[key], rtol=1e-4, atol=1e-5), key
        answers = [answer(model.eval(), clip) for model in models]
        assert torch.allclose(answers[0].float(), answers[1].float(), atol=1e-3)

    def test_compiled_networks_are_trained(self, name: str, tmp_path: Path) -> None:
        """Three steps. PyTorch's compiled backward pass refuses a second derivative (gradient penalties) and, by
        default, a graph that is kept for another loss."""
        model = tiny_model(name)
        before = {key: parameter.detach().clone() for key, parameter in model.named_parameters()}
        model.compile_networks("aot_eager")
        train_on(model, tiny_clip(name), 3, tmp_path)
        assert all(parameter.isfinite().all() for parameter in model.parameters())
        assert not all(torch.equal(parameter, before[key]) for key, parameter in model.named_parameters())

    def test_channels_last_changes_only_rounding(self, name: str, tmp_path: Path) -> None:
        """Same output and losses; kernels keep the memory format, also through a checkpoint."""
        clip, models = tiny_clip(name), [tiny_model(name), tiny_model(name)]
        models[1].to_channels_last()
        plain, last = (answer(model.eval(), clip).float() for model in models)
        assert torch.allclose(plain, last, atol=1e-3)
        for model in models:
            train_on(model.train(), clip, 1, tmp_path).save_checkpoint(tmp_path / "last.ckpt")
        for part, loss in models[0].losses.items():
            assert torch.allclose(loss, models[1].losses[part], rtol=0.02, atol=1e-4), part
        kernels = [p for p in models[1].parameters() if p.ndim in CHANNELS_LAST]
        assert all(kernel.is_contiguous(memory_format=CHANNELS_LAST[kernel.ndim]) for kernel in kernels)
        loaded, trained = (answer(model, clip).float() for model in (load(str(tmp_path)), models[1].eval()))
        assert torch.allclose(loaded, trained, atol=1e-3)

    def test_captured_networks_give_the_same_output(self, name: str) -> None:
        """Networks are replayed as with `cuda_graphs=true`, in memory that every replay overwrites."""
        clip, models = tiny_clip(name), [tiny_model(name).eval(), tiny_model(name).eval()]
        models[1].capture_cuda_graphs(capture_on_cpu)
        for _ in range(2):  # captured, then replayed
            assert torch.equal(*(answer(model, clip) for model in models))

    def test_networks_can_be_captured(self, name: str) -> None:
        """No network waits for the GPU or copies from the CPU while it would be captured."""
        model, device = tiny_model(name).eval().to(DEVICE), FakeDevice(watched=False)

        def watched(run: Run) -> tuple[Callable[[], None], Any]:
            device.watched = True
            result = run()
            device.watched = False
            return lambda: None, result

        model.capture_cuda_graphs(watched)
        with device:
            answer(model, move_data_to_device(tiny_clip(name), DEVICE))

    def test_no_step_waits_for_the_device(self, name: str, tmp_path: Path) -> None:
        """A step of the real trainer, with all callbacks that run in every step, reads nothing from the device."""
        callbacks: list[Callback] = [
            StopOnNonFinite(tmp_path),
            StepCheckpoint(tmp_path, 10),
            MovingAverage(500),
            ClipsSeen(),
            Estimate(),
            TrainingBar(),
        ]
        clips: Any = DataLoader([tiny_clip(name)] * 2, batch_size=None)  # type: ignore[arg-type]
        clips.wait_seconds = 0.0  # counted by the zoo's own loader
        train_on_fake_device(tiny_model(name), clips, [*callbacks, Throughput()], tmp_path)

    def test_killed_training_resumes_bit_for_bit(self, name: str, tmp_path: Path) -> None:
        """Weights, optimizers, averages, logged metrics and results are those of a training without interruption."""
        check_resuming(name, tmp_path)

    def test_training_on_two_processes_resumes_bit_for_bit(self, name: str, tmp_path: Path) -> None:
        """The same under ``strategy=ddp``, if the card lists it."""
        if "ddp" in MODELS.find(name).card.strategies:
            check_resuming_on_two_processes(name, "ddp", tmp_path)

    def test_missing_field_is_refused_by_name(self, name: str) -> None:
        """Preflight names every field that a data set lacks."""
        card, data = MODELS.find(name).card, tiny_data(name)
        spec = data.spec()
        model = MODELS.find(name).config.tiny()
        settings = Train(model, data, Strategy("auto", "cpu", "1"), evaluation=Evaluation())
        check(card, spec, settings)
        for group in card.needs:
            left = tuple(field for field in spec.fields if field not in group)
            with pytest.raises(ZooError, match=f"{name} needs `{group[0]}`"):
                check(card, replace(spec, fields=left), settings)

    def test_every_setting_has_a_meaning(self, name: str) -> None:
        """`--help` shows the docstring after each field of the config."""
        config = MODELS.find(name).config
        docs = field_docs(config)
        assert [field.name for field in fields(config) if not docs.get(field.name)] == []

    def test_every_preset_builds(self, name: str) -> None:
        """On clips of 64 x 64 pixels, where published settings apply; built without memory for the weights."""
        spec = replace(tiny_data(name).spec(), frames=16, height=64, width=64)
        for preset in MODELS.find(name).config.presets:
            config = MODELS.config({"name": name, "preset": preset})
            assert config.problems(spec) == [], preset
            with torch.device("meta"):
                model = build(asdict(config), spec)
            assert sum(parameter.numel() for parameter in model.parameters()) > 0

    def test_every_setting_is_read(self, name: str, tmp_path: Path) -> None:
        """Every setting of the model is used, by its tiny variant or by one of its other forms."""
        config = MODELS.find(name).config
        clip = tiny_clip(name)
        with recorded_reads(config) as read:
            model = tiny_model(name)
            train_as_commanded(model, name, 3 * CLIPS, tmp_path)
            answer(model.eval(), clip)
            for form in config.other_forms:
                train_on(tiny_model(name, **form), clip, 3, tmp_path)
        unread = (
            {field.name for field in fields(config)} - read - {"name", "preset"}
        )  # the preset is read before there is a config
        assert not unread, f"settings of tiny() that three steps and a sample never read: {joined(sorted(unread))}"


class SamplerContract(TrainedContract):
    """Contract of every model that makes videos. The card says which promises do not hold."""

    def test_sample_has_the_form_of_a_clip(self, name: str) -> None:
        """(B, T, C, H, W) in [-1, 1]."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        video = model.sample(request_for(model, clip)).video
        assert video.shape == clip["video"].shape
        assert video.abs().max() <= 1

    def test_other_seeds_give_other_samples(self, name: str) -> None:
        """Another seed and another draw change the generated frames, unless the card says ``deterministic``."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        request = request_for(model, clip)
        video = model.sample(request).video
        for other in (replace(request, seed=1), replace(request, draw=1)):
            assert torch.equal(model.sample(other).video, video) == model.deterministic

    def test_sample_does_not_depend_on_its_batch(self, name: str) -> None:
        """Every clip alone gives the sample that it gives in a batch, unless the card says ``batch_statistics``."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        request = request_for(model, clip)
        whole = model.sample(request).video
        alone = torch.cat([model.sample(one_of(request, index)).video for index in range(CLIPS)])
        assert torch.allclose(alone, whole, atol=1e-5) == (not model.batch_statistics)

    def test_options_of_the_card_change_the_sample(self, name: str) -> None:
        """`truncation` and `temperature`, if the card lists them."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        request = request_for(model, clip)
        others = {"truncation": replace(request, truncation=0.1), "temperature": replace(request, options=COLD)}
        for option in model.card.options & set(others):
            assert not torch.equal(model.sample(others[option]).video, model.sample(request).video), option

    def test_longer_sample_starts_with_the_shorter_one(self, name: str) -> None:
        """A model that streams does not use future inputs."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        if not model.card.streams:
            with pytest.raises(NotImplementedError):
                next(model.stream(request_for(model, clip)))
            return
        short = model.sample(request_for(model, clip, FRAMES // 2)).video
        long = model.sample(request_for(model, clip)).video
        assert torch.equal(short, long[:, : FRAMES // 2])

    def test_codes_are_decoded_and_interpolated(self, name: str) -> None:
        """A sample is its decoded code; the ends of an interpolation are the two codes, and its middle is neither."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        request = request_for(model, clip)
        if not model.card.latent:
            with pytest.raises(NotImplementedError):
                model.decode(torch.zeros(CLIPS, 1), request)
            return
        if model.encodes:
            code = model.encode(clip)
        else:
            code = model.draw_code(request)
            assert torch.allclose(model.decode(code, request).video, model.sample(request).video, atol=1e-5)
        one, other = code[:1], code[1:2]
        ends = [model.interpolate(one, other, share) for share in (0.0, 1.0)]
        assert torch.allclose(torch.cat(ends), code[:2], atol=1e-4)
        videos = [model.decode(model.interpolate(one, other, s), one_of(request, 0)).video for s in (0.0, 0.5, 1.0)]
        assert videos[0].shape == clip["video"][:1].shape
        assert not torch.equal(videos[0], videos[1])
        assert not torch.equal(videos[1], videos[2])

    def test_more_context_or_frames_than_possible_are_refused(self, name: str) -> None:
        """Preflight refuses counts outside those of the config."""
        config, data = MODELS.find(name).config.tiny(), tiny_data(name)
        least, most = config.context_frames
        counts = {"context": least - 1} if least else {}
        counts |= {"context": most + 1} if most is not None else {}
        longest = config.most_frames(data.spec())
        counts |= {"frames": longest + 1} if longest is not None else {}
        for setting, value in counts.items():
            settings = Train(config, data, Strategy("auto", "cpu", "1"), evaluation=Evaluation(**{setting: value}))
            with pytest.raises(ZooError, match=f"evaluation.{setting}="):
                check(MODELS.find(name).card, data.spec(), settings)


class ConditionalContract(SamplerContract):
    """Contract of every model whose samples are made from a clip: from maps, first frames or attributes."""

    def test_context_frames_are_copied(self, name: str) -> None:
        """A sample begins with the frames that it was given."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        request = request_for(model, clip)
        context = request.context
        assert torch.equal(model.sample(request).video[:, :context], clip["video"][:, :context])

    def test_overfits_one_clip(self, name: str, tmp_path: Path) -> None:
        """Training on one batch halves the distance between sample and clip."""
        model, clip = tiny_model(name), tiny_clip(name)

        def distance() -> float:
            return float((model.eval().sample(request_for(model, clip)).video - clip["video"]).abs().mean())

        before = distance()
        train_on(model.train(), clip, 60, tmp_path)
        assert distance() < 0.5 * before


class ClassifierContract(TrainedContract):
    """Contract of every model that classifies clips."""

    def test_predicts_probabilities_of_every_attribute(self, name: str) -> None:
        """Name -> (B, K); each row is a distribution, and depends on its clip only."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        probabilities = model.classify(clip["video"])
        assert {key: row.shape[1] for key, row in probabilities.items()} == {
            key: len(values) for key, values in model.spec.attributes.items()
        }
        for key, row in probabilities.items():
            assert torch.allclose(row.sum(-1), torch.ones(CLIPS))
            assert torch.allclose(model.classify(clip["video"][:1])[key], row[:1], atol=1e-6)

    def test_learns_one_batch(self, name: str, tmp_path: Path) -> None:
        """After 60 steps on one batch, every clip in it is classified correctly."""
        model, clip = tiny_model(name), tiny_clip(name)
        train_on(model, clip, 60, tmp_path)
        for key, row in model.eval().classify(clip["video"]).items():
            truth = clip["attributes"][key][:, :1]
            assert (row.argmax(-1, keepdim=True) == truth).all()


class SegmenterContract(TrainedContract):
    """Contract of every model that segments clips."""

    def test_predicts_a_label_for_every_pixel(self, name: str) -> None:
        """(B, T, H, W) int64, each a class of the data set; a clip's labels depend on that clip only."""
        model, clip = tiny_model(name).eval(), tiny_clip(name)
        read = model.segment(clip["video"])
        assert read.shape == clip["labels"].shape
        assert read.dtype == torch.int64
        assert read.min() >= 0
        assert read.max() < len(model.spec.label_names)
        assert torch.equal(model.segment(clip["video"][:1]), read[:1])

    def test_learns_one_batch(self, name: str, tmp_path: Path) -> None:
        """After 60 steps on one batch, the mean IoU of its classes is above 1/3; a constant label gives 0.1."""
        model, clip = tiny_model(name), tiny_clip(name)
        train_on(model, clip, 60, tmp_path)
        read = model.eval().segment(clip["video"])
        assert mean_iou(confusion_matrix(clip["labels"], read, len(model.spec.label_names))) > 1 / 3


def contract_class(name: str) -> type[TrainedContract]:
    """The contract that the card of a model chooses."""
    card, config = MODELS.find(name).card, MODELS.find(name).config.tiny()
    if not card.samples:
        return SegmenterContract if "segment" in card.tasks else ClassifierContract
    conditional = "translate" in card.tasks or config.context_frames[1] != 0
    return ConditionalContract if conditional else SamplerContract


def contract_for(name: str) -> type[TrainedContract]:
    """The whole contract of a model as a test class: ``TestAcme = contract_for("acme")``."""

    class Contract(contract_class(name)):  # type: ignore[misc]
        @pytest.fixture
        def name(self) -> str:
            return name

    return Contract
