"""On a GPU: no training step waits for it, and results are those of the CPU.

All tests take at most 90 s on an H100. Without a GPU, `tests/testing/test_fake_device.py` and the contract of the
models cover part of this.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from lightning import Callback
from lightning.fabric.utilities import move_data_to_device

from tests.training.test_resume import kill_at
from zoo import list_models
from zoo.blocks.appearance import region_mean
from zoo.card import MODELS
from zoo.evaluation.evaluate_run import evaluate_run
from zoo.evaluation.results import read_results
from zoo.models.videovae.model import VideoVAE
from zoo.runs.files import CONFIG
from zoo.runs.load import load
from zoo.sample import sample
from zoo.settings import EvaluateSettings, SampleSettings, Strategy
from zoo.testing import answer, tiny_clip, tiny_model, train_on
from zoo.testing.rerun import resume_training, tiny_plan
from zoo.training import trainer
from zoo.training.plan import Plan
from zoo.training.trainer import build_callbacks, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no NVIDIA GPU")

DEVICE = torch.device("cuda")
SAMPLERS = [name for name in list_models() if MODELS.find(name).card.samples]


@pytest.fixture(autouse=True)
def _exact_convolutions() -> Iterator[None]:
    """Use single precision, not TF32, and deterministic algorithms."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = False, True
    yield
    cudnn.allow_tf32, cudnn.deterministic = before
    torch.cuda.set_sync_debug_mode("default")


def gpu_plan(name: str, clips: int, **trainer: object) -> Plan:
    """A tiny training of a model on one GPU, with loading processes as by default."""
    planned = tiny_plan(name, clips)
    settings = planned.settings
    settings.strategy = Strategy("auto", "gpu", "1")
    settings.trainer = replace(settings.trainer, **trainer)
    planned.data.workers = 2
    return planned


def share_beyond(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> float:
    """Share of values that differ by more than the tolerance."""
    return float(((one.float().cpu() - other.float().cpu()).abs() > tolerance).float().mean())


# ---------------------------------------------------------------- training


class FailOnSync(Callback):
    """Makes synchronising with the GPU an error from the end of the first of these steps to the end of the last."""

    def __init__(self, steps: range) -> None:
        self.steps = steps
        self.watched = 0

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        self.watched += torch.cuda.get_sync_debug_mode() == 2
        torch.cuda.set_sync_debug_mode("error" if batch_idx in self.steps else "default")

    def on_exception(self, trainer, model, exception):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("name", list_models())
def test_no_step_waits_for_the_gpu(name, precision, monkeypatch, tmp_path):
    """A training with all its callbacks, after the curriculum and the first log line, in steps without logging and
    checkpoints."""
    planned = gpu_plan(name, 24, log_every=100, progress=True, precision=precision)
    planned.settings.callbacks.save_minutes = 10.0
    planned.settings.evaluation.rounds = 1
    watch = FailOnSync(range(4, 10))
    monkeypatch.setattr(trainer, "build_callbacks", lambda *plan: [*build_callbacks(*plan), watch])
    train(planned, tmp_path)
    assert watch.watched == len(watch.steps)
    assert all(math.isfinite(value) for value in read_results(tmp_path)[-1].metrics.values()) or name == "classifier"


@pytest.mark.parametrize(("precision", "tolerance"), [("64-true", 0.01), ("32-true", 0.02)])
@pytest.mark.parametrize("name", list_models())
def test_losses_of_a_step_are_those_of_the_cpu(name, precision, tolerance, tmp_path):
    """Within 1 % in double precision: where a difference is zero except for rounding, its sign moves weights, and
    vid2vid's losses change by 2e-3 on the CPU when its weights are changed by 1e-15. Within 2 % in single precision:
    the adversaries amplify rounding errors, and so does Adam where gradients are rounding errors."""
    models = [tiny_model(name), tiny_model(name)]
    for model, accelerator in zip(models, ("cpu", "gpu"), strict=True):
        train_on(model, tiny_clip(name), 1, tmp_path, accelerator=accelerator, precision=precision)
    here, there = (model.losses for model in models)
    assert list(here) == list(there)
    for part, loss in here.items():
        assert torch.allclose(loss, there[part].cpu(), rtol=tolerance, atol=5e-3 * tolerance), part


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("name", list_models())
def test_stays_finite_in_half_precision(name, precision, tmp_path):
    model, whole = tiny_model(name), tiny_model(name)
    train_on(model, tiny_clip(name), 3, tmp_path, accelerator="gpu", precision=precision)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    clip = move_data_to_device(tiny_clip(name), DEVICE)
    whole.eval().to(DEVICE)
    with torch.autocast("cuda", torch.bfloat16 if precision.startswith("bf") else torch.float16):
        half = answer(whole, clip)
    assert half.isfinite().all()
    if name != "segmenter":  # its untrained logits are so close that the most likely label is random
        assert (half.float() - answer(whole, clip).float()).abs().mean() < 0.02


@pytest.mark.parametrize("name", list_models())
def test_channels_last_changes_only_rounding(name, tmp_path):
    clip, models = move_data_to_device(tiny_clip(name), DEVICE), [tiny_model(name), tiny_model(name)]
    models[1].to_channels_last()
    plain, last = (answer(model.eval().to(DEVICE), clip) for model in models)
    assert share_beyond(plain, last, 1e-3) < 1e-3
    for model in models:
        train_on(model.train(), tiny_clip(name), 1, tmp_path, accelerator="gpu")
    for part, loss in models[0].losses.items():
        assert torch.allclose(loss, models[1].losses[part], rtol=0.02, atol=1e-4), part


@pytest.mark.parametrize("way", [("gpu", "cpu"), ("cpu", "gpu")], ids="-".join)
@pytest.mark.parametrize("name", list_models())
def test_training_resumes_on_another_device(name, way, tmp_path):
    """A training that was stopped on a GPU resumes on the CPU, and the other way round."""
    planned = tiny_plan(name, 10)
    planned.settings.strategy = Strategy("auto", way[0], "1")
    with kill_at("on_train_batch_start", 4):
        train(planned, tmp_path)
    config = yaml.safe_load((tmp_path / CONFIG).read_text())
    config["strategy"]["accelerator"] = way[1]
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config))
    resume_training(tmp_path)
    assert load(str(tmp_path)).clips_seen == 10
    assert [result.seen for result in read_results(tmp_path)] == [4, 8, 10]


def test_drawing_noise_does_not_wait_for_the_gpu(monkeypatch):
    """Large noise is copied while the GPU is busy."""
    model = tiny_model("videovae")
    monkeypatch.setattr(VideoVAE, "sample_indices", lambda model, clip: [0, 1])
    clip = {"video": torch.zeros(2, device=DEVICE)}

    def draw() -> torch.Tensor:
        return model.per_sample_noise(clip, lambda source: torch.rand(2**18, generator=source))

    draw()  # allocates memory
    torch.cuda.synchronize()
    torch.cuda._sleep(2**30)  # cycles: half a second
    (busy := torch.cuda.Event()).record()
    drawn = draw()
    assert not busy.query()
    assert torch.equal(drawn.cpu(), draw().cpu())


def test_region_means_of_bfloat16_are_exact():
    """Summed one by one in bfloat16, 4,096 values of 0.5 would give 128, and their mean 1/32."""
    features = torch.full((1, 2, 64, 64), 0.5, dtype=torch.bfloat16, device=DEVICE)
    pooled = region_mean(features, torch.zeros(1, 64, 64, dtype=torch.int64, device=DEVICE))
    assert torch.allclose(pooled, torch.full_like(pooled, 0.5))


# ---------------------------------------------------------------- sampling and evaluation


@pytest.mark.parametrize("name", list_models())
def test_output_is_that_of_the_cpu(name):
    """Codes and appearances are drawn on the CPU, whatever the device. Rounding may show in one value of a thousand."""
    clip, model = tiny_clip(name), tiny_model(name).eval()
    here = answer(model, clip)
    there = answer(model.to(DEVICE), move_data_to_device(clip, DEVICE))
    assert there.device.type == "cuda"
    assert share_beyond(here, there, 1e-3) < 1e-3


@pytest.mark.parametrize("name", list_models())
def test_cuda_graphs_give_the_same_output(name):
    """The outputs are the same and memory does not grow. They are not equal bit for bit: means over regions add pixels
    in any order."""
    clip, model = move_data_to_device(tiny_clip(name), DEVICE), tiny_model(name).eval().to(DEVICE)
    expected = answer(model, clip)
    model.capture_cuda_graphs()
    first = answer(model, clip)  # captured here
    assert share_beyond(expected, first, 1e-5) < 1e-3
    assert share_beyond(first, answer(model, clip), 1e-5) < 1e-3
    before = torch.cuda.memory_allocated()
    for _ in range(5):
        assert share_beyond(first, answer(model, clip), 1e-5) < 1e-3
    assert torch.cuda.memory_allocated() == before


def test_a_compiled_generator_gives_the_same_output():
    """Compiled by inductor, as one graph."""
    clip, model = move_data_to_device(tiny_clip("vid2vid"), DEVICE), tiny_model("vid2vid").eval().to(DEVICE)
    expected = answer(model, clip)
    model.generator.compile(fullgraph=True)
    assert share_beyond(expected, answer(model, clip), 1e-3) < 1e-3


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run on the GPU of every model that generates videos, trained on first use."""

    class Runs(dict):
        def __missing__(self, name: str) -> Path:
            self[name] = tmp_path_factory.mktemp(name)
            train(gpu_plan(name, 6), self[name])
            return self[name]

    return Runs()


@pytest.mark.parametrize("name", SAMPLERS)
def test_metrics_are_those_of_the_cpu(name, runs):
    """Every metric is within 2 % or 0.01: flow is estimated from frames of integers, which rounding may change."""
    settings = EvaluateSettings(run=str(runs[name]), clips=3, batch_size=2)
    here = evaluate_run(replace(settings, accelerator="cpu"))
    there = evaluate_run(replace(settings, accelerator="gpu", cuda_graphs=True))
    assert [each.protocol for each in here] == [each.protocol for each in there]
    for one, other in zip(here, there, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=0.02, abs=0.01)


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampling_writes_files(name, runs, tmp_path):
    settings = SampleSettings(run=str(runs[name]), clips=1, frames=8, accelerator="gpu", cuda_graphs=True)
    written = sample(replace(settings, out=str(tmp_path)))
    assert sorted(path.suffix for path in written) == [".mp4", ".png"]
