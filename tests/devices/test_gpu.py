"""On a real GPU: that no step waits for it, and that it computes what the processor computes.

On an H100 all of it takes a minute and a half at most. Where there is no GPU,
`tests/testing/test_fake_device.py` and the contract of the models stand in for it.
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

import zoo.train
from tests.training.test_resume import cut
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
from zoo.testing.rerun import go_on, tiny_plan
from zoo.training.plan import Plan
from zoo.training.trainer import build_callbacks, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no NVIDIA GPU here")

DEVICE = torch.device("cuda")
SAMPLERS = [name for name in list_models() if MODELS.find(name).card.samples]


@pytest.fixture(autouse=True)
def _as_on_the_processor() -> Iterator[None]:
    """Convolutions in single precision and not in TF32, by algorithms that give the same bits twice."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = False, True
    yield
    cudnn.allow_tf32, cudnn.deterministic = before
    torch.cuda.set_sync_debug_mode("default")


def gpu_plan(name: str, clips: int, **trainer: object) -> Plan:
    """The tiny training of a model on one GPU, with loading processes, as by default."""
    planned = tiny_plan(name, clips)
    settings = planned.settings
    settings.strategy = Strategy("auto", "gpu", "1")
    settings.trainer = replace(settings.trainer, **trainer)
    planned.data.workers = 2
    return planned


def far_apart(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> float:
    """The share of values that differ by more."""
    return float(((one.float().cpu() - other.float().cpu()).abs() > tolerance).float().mean())


# ---------------------------------------------------------------- training


class Watch(Callback):
    """Lets whoever waits for the GPU fail, from the end of the first of these steps to that of the last."""

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
    """In `zoo.train` itself, with all its callbacks, once the curriculum is through and every loss has had its first
    line; where nothing is logged and nothing saved."""
    planned = gpu_plan(name, 24, log_every=100, progress=True, precision=precision)
    planned.settings.callbacks.save_minutes = 10.0
    planned.settings.evaluation.rounds = 1
    watch = Watch(range(4, 10))
    monkeypatch.setattr(zoo.train, "build_callbacks", lambda *plan: [*build_callbacks(*plan), watch])
    train(planned, tmp_path)
    assert watch.watched == len(watch.steps)
    assert all(math.isfinite(value) for value in read_results(tmp_path)[-1].metrics.values()) or name == "classifier"


@pytest.mark.parametrize(("precision", "tolerance"), [("64-true", 0.01), ("32-true", 0.02)])
@pytest.mark.parametrize("name", list_models())
def test_the_losses_of_a_step_are_those_of_the_processor(name, precision, tolerance, tmp_path):
    """In double precision to 1 %: where a difference is 0 but for rounding, its sign moves weights, and vid2vid's
    losses differ by 2e-3 on the processor alone when its weights are moved by 1e-15. In single precision two
    adversaries, and Adam where gradients are rounding, blow the last bits up: within 2 %."""
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
    if name != "segmenter":  # whose logits, untrained, are so close that the likeliest label is chance
        assert (half.float() - answer(whole, clip).float()).abs().mean() < 0.02


@pytest.mark.parametrize("name", list_models())
def test_channels_last_is_another_rounding(name, tmp_path):
    clip, models = move_data_to_device(tiny_clip(name), DEVICE), [tiny_model(name), tiny_model(name)]
    models[1].to_channels_last()
    plain, last = (answer(model.eval().to(DEVICE), clip) for model in models)
    assert far_apart(plain, last, 1e-3) < 1e-3
    for model in models:
        train_on(model.train(), tiny_clip(name), 1, tmp_path, accelerator="gpu")
    for part, loss in models[0].losses.items():
        assert torch.allclose(loss, models[1].losses[part], rtol=0.02, atol=1e-4), part


@pytest.mark.parametrize("way", [("gpu", "cpu"), ("cpu", "gpu")], ids="-".join)
@pytest.mark.parametrize("name", list_models())
def test_goes_on_elsewhere(name, way, tmp_path):
    """A training that was stopped on a GPU goes on on the processor, and the other way round."""
    planned = tiny_plan(name, 10)
    planned.settings.strategy = Strategy("auto", way[0], "1")
    with cut("on_train_batch_start", 4):
        train(planned, tmp_path)
    config = yaml.safe_load((tmp_path / CONFIG).read_text())
    config["strategy"]["accelerator"] = way[1]
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config))
    go_on(tmp_path)
    assert load(str(tmp_path)).clips_seen == 10
    assert [result.seen for result in read_results(tmp_path)] == [4, 8, 10]


def test_what_is_drawn_does_not_wait_for_the_gpu(monkeypatch):
    """However large it is, it is on its way while the GPU is still busy."""
    model = tiny_model("videovae")
    monkeypatch.setattr(VideoVAE, "places", lambda model, clip: [0, 1])
    clip = {"video": torch.zeros(2, device=DEVICE)}

    def draw() -> torch.Tensor:
        return model.per_sample_noise(clip, lambda source: torch.rand(2**18, generator=source))

    draw()  # takes the memory
    torch.cuda.synchronize()
    torch.cuda._sleep(2**30)  # cycles: half a second
    (busy := torch.cuda.Event()).record()
    drawn = draw()
    assert not busy.query()
    assert torch.equal(drawn.cpu(), draw().cpu())


def test_region_means_of_bfloat16():
    """Added one by one in bfloat16, halves of 4,096 pixels would come to 128, and their mean to 1/32."""
    features = torch.full((1, 2, 64, 64), 0.5, dtype=torch.bfloat16, device=DEVICE)
    pooled = region_mean(features, torch.zeros(1, 64, 64, dtype=torch.int64, device=DEVICE))
    assert torch.allclose(pooled, torch.full_like(pooled, 0.5))


# ---------------------------------------------------------------- use


@pytest.mark.parametrize("name", list_models())
def test_answers_as_on_the_processor(name):
    """Codes and looks are drawn there, whatever the device. Of one value in a thousand the rounding may show."""
    clip, model = tiny_clip(name), tiny_model(name).eval()
    here = answer(model, clip)
    there = answer(model.to(DEVICE), move_data_to_device(clip, DEVICE))
    assert there.device.type == "cuda"
    assert far_apart(here, there, 1e-3) < 1e-3


@pytest.mark.parametrize("name", list_models())
def test_recorded_networks_do_the_same(name):
    """With CUDA graphs: the same answers, and no memory that grows with how many there were. Not to the last bit:
    means over regions add their pixels in any order."""
    clip, model = move_data_to_device(tiny_clip(name), DEVICE), tiny_model(name).eval().to(DEVICE)
    expected = answer(model, clip)
    model.capture_cuda_graphs()
    first = answer(model, clip)  # the recordings are made
    assert far_apart(expected, first, 1e-5) < 1e-3
    assert far_apart(first, answer(model, clip), 1e-5) < 1e-3
    before = torch.cuda.memory_allocated()
    for _ in range(5):
        assert far_apart(first, answer(model, clip), 1e-5) < 1e-3
    assert torch.cuda.memory_allocated() == before


def test_a_compiled_generator_paints_the_same():
    """By inductor, as one graph for each form."""
    clip, model = move_data_to_device(tiny_clip("vid2vid"), DEVICE), tiny_model("vid2vid").eval().to(DEVICE)
    expected = answer(model, clip)
    model.generator.compile(fullgraph=True)
    assert far_apart(expected, answer(model, clip), 1e-3) < 1e-3


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run on the GPU of every model that makes videos, made when it is first asked for."""

    class Runs(dict):
        def __missing__(self, name: str) -> Path:
            self[name] = tmp_path_factory.mktemp(name)
            train(gpu_plan(name, 6), self[name])
            return self[name]

    return Runs()


@pytest.mark.parametrize("name", SAMPLERS)
def test_is_evaluated_as_on_the_processor(name, runs):
    """Every figure within 2 %, or 0.01: the flow is estimated from frames in whole numbers, which rounding can tip."""
    settings = EvaluateSettings(run=str(runs[name]), clips=3, batch_size=2)
    here = evaluate_run(replace(settings, accelerator="cpu"))
    there = evaluate_run(replace(settings, accelerator="gpu", cuda_graphs=True))
    assert [each.protocol for each in here] == [each.protocol for each in there]
    for one, other in zip(here, there, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=0.02, abs=0.01)


@pytest.mark.parametrize("name", SAMPLERS)
def test_is_sampled_from(name, runs, tmp_path):
    settings = SampleSettings(run=str(runs[name]), clips=1, frames=8, accelerator="gpu", cuda_graphs=True)
    written = sample(replace(settings, out=str(tmp_path)))
    assert sorted(path.suffix for path in written) == [".mp4", ".png"]
