"""The benchmark: parts of a step, statistics, interleaving, and what the command prints and writes."""

import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule
from scipy.stats import binom
from torch.utils.flop_counter import FlopCounterMode

from tests.helpers.paths import ROOT
from zoo.benchmark import __main__ as command
from zoo.benchmark import roofline as hardware
from zoo.benchmark.arguments import parse_arguments, plan_training
from zoo.benchmark.interleaving import WorkerProcess, run_interleaved
from zoo.benchmark.measure import Benchmark
from zoo.benchmark.roofline import Convolution, ConvolutionCounter, FlopCounter, roofline
from zoo.benchmark.stats import median_interval, ratios, spread
from zoo.benchmark.step_profiler import PARTS, CpuTimer, StepProfiler
from zoo.benchmark.worker import WorkerJob
from zoo.callbacks.ema import MovingAverage
from zoo.card import MODELS
from zoo.data.module import KeyedClips, no_curriculum
from zoo.errors import ZooError
from zoo.model import VideoModel
from zoo.settings import BenchmarkSettings
from zoo.testing import recorded_reads

DATA = ["data.height=32", "data.width=32", "data.frames=4", "data.batch_size=2", "data.workers=0", "trainer.threads=1"]


def tiny(name: str) -> list[str]:
    """Overrides of the tiny variant of a model, in one process on the CPU."""
    small, default = (asdict(config) for config in (MODELS.find(name).config.tiny(), MODELS.config({"name": name})))
    changed = [f"model.{key}={value}" for key, value in small.items() if value != default[key]]
    return [f"model={name}", *changed, *DATA, "strategy=cpu"]


class ManualTimer:
    """A timer whose time is set by the test."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def between(self, begin, end):
        return end - begin

    def settle(self):
        pass


def slow_down(monkeypatch, timer, calls, owner, name, seconds):
    """Make each call of a method take so many seconds of a ManualTimer, and count the calls."""
    original = getattr(owner, name)

    def slow(*args, **kwargs):
        timer.time += seconds
        calls[seconds] = calls.get(seconds, 0) + 1
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, slow)


@pytest.mark.parametrize("name", MODELS.names())
def test_time_is_attributed_to_the_part_that_takes_it(name, monkeypatch, tmp_path):
    """With one optimizer and with several: in Lightning the step of a single optimizer contains all other parts."""
    timer, calls = ManualTimer(), {}
    benchmark = Benchmark(plan_training(tiny(name)), repetitions=2, warm_up=0)
    slow = [
        (KeyedClips, "__getitem__", 1.0),
        (VideoModel, "log_losses", 10.0),
        (LightningModule, "backward", 100.0),
        (torch.optim.Adam, "step", 1e4),
        (MovingAverage, "on_train_batch_end", 1e6),
    ]
    for owner, method, seconds in slow:
        slow_down(monkeypatch, timer, calls, owner, method, seconds)
    profiler = StepProfiler(timer, lambda step: None)
    benchmark.fit(tmp_path, 2, False, profiler, MovingAverage(500.0))
    found = profiler.seconds()
    assert len(profiler.steps) == 2
    expected = {part: seconds * calls[seconds] for part, (*_, seconds) in zip(PARTS, slow, strict=True)}
    assert {part: sum(found[part]) for part in PARTS} == expected
    assert found["whole"] == [sum(found[part][step] for part in PARTS) for step in range(2)]
    assert calls[1e4] == calls[100.0] == (2 if MODELS.find(name).card.adversarial is False else calls[1e4])


@pytest.fixture(scope="module")
def measured():
    """Measurements of a small model, and the moments before each repetition."""
    moments = []
    benchmark = Benchmark(plan_training(tiny("videovae")), repetitions=3, warm_up=1)
    return benchmark.run(lambda: moments.append(time.perf_counter())), moments


@pytest.mark.alone
def test_everything_is_measured(measured):
    result, moments = measured
    steps = [f"step/{part}" for part in ("whole", *PARTS)]
    assert list(result["seconds"]) == [*steps, "sample/first_frame", "sample/frame", "metrics/clip", "load/clip"]
    assert all(len(row) == 3 and min(row) >= 0 for row in result["seconds"].values())
    assert len(moments) == 4 * 3
    # The time between two such moments is the time of a step: the parts leave nothing out.
    for whole, begin, end in zip(result["seconds"]["step/whole"], moments, moments[1:3], strict=False):
        assert end - begin == pytest.approx(whole, abs=0.02)
    assert 0 < result["memory_mib"]["before"] <= result["memory_mib"]["peak"]
    assert result["environment"]["threads"] == 1
    assert result["config"]["model"]["name"] == "videovae"
    assert result["roofline"]["share"] == pytest.approx(
        result["roofline"]["flop_per_s"] / result["roofline"]["convolution_flop_per_s"]
    )
    json.dumps(result)


def test_batches_are_not_grouped():
    """In a group of batches the first step would pay for all of them."""
    words = [word for word in tiny("classifier") if "workers" not in word]
    benchmark = Benchmark(plan_training([*words, "data.workers=1"]), repetitions=1, warm_up=0)
    loader = benchmark.loaders(SimpleNamespace(curriculum_stage=no_curriculum), 12).train_dataloader()
    for _ in loader:
        assert loader.batch_groups.latest.group_size(1.0) == 1


def test_a_segmenter_is_not_sampled():
    result = Benchmark(plan_training(tiny("segmenter")), repetitions=1, warm_up=0).run(lambda: None)
    assert {name.partition("/")[0] for name in result["seconds"]} == {"step", "metrics", "load"}


# ---------------------------------------------------------------- roofline


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 16, 16)),
        (torch.nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), (2, 4, 8, 8)),
        (torch.nn.Conv3d(2, 4, 3, padding=1), (1, 2, 4, 8, 8)),
    ],
)
def test_convolutions_are_recorded_and_their_flops_counted_three_times(layer, size):
    """PyTorch counts the gradients of input and weight as much as the forward pass, each."""
    image = torch.randn(size, requires_grad=True)
    with FlopCounterMode(display=False) as counter, ConvolutionCounter() as recorded:
        layer(image).sum().backward()
    [(convolution, calls)] = recorded.calls.items()
    assert calls == 1
    assert counter.get_total_flops() == 3 * convolution.flops
    layer.bias.data.zero_()
    assert torch.allclose(convolution(image, layer.weight), layer(image), atol=1e-5)


def test_the_share_of_the_roofline(monkeypatch):
    """Two convolutions, the first called twice a step, run at 30 and 60 FLOP/s alone, the step at 10."""
    monkeypatch.setattr(
        hardware, "time_alone", lambda convolution, *_: ({1: 2.0, 2: 2.0}[convolution.weight[0]], "contiguous")
    )
    kinds = [Convolution((1, 1, 10), (n, 1, 1), (1,), (0,), (1,), False, (0,), 1, "float32", 20 * n) for n in (1, 2)]
    counter = FlopCounter(0)
    counter.convolutions.calls.update({kinds[0]: 4, kinds[1]: 2})  # in two steps
    counter.flops = [240, 480]
    found = roofline(counter, [24.0, 48.0, 999.0], torch.device("cpu"), CpuTimer(), 0, 1)
    assert found["flop_per_step"] == 360
    assert found["flop_per_s"] == 10.0
    assert [row["flop_per_s"] for row in found["convolutions"]] == [30.0, 60.0]
    assert sorted(row["calls_per_step"] for row in found["convolutions"]) == [1.0, 2.0]
    assert found["convolution_flop_per_s"] == pytest.approx(480 / (4 * 2 + 2 * 2))
    assert found["share"] == pytest.approx(10 / 40)


# ---------------------------------------------------------------- statistics


def test_spread_and_rates():
    found = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (found.median, found.lower, found.upper) == (3.0, 2.0, 4.0)
    rate = found.as_rate(12.0)
    assert (rate.median, rate.lower, rate.upper) == (4.0, 3.0, 6.0)
    assert spread([7.0]).lower == spread([7.0]).upper == 7.0


@pytest.mark.parametrize("count", [1, 5, 6, 10, 20, 99])
def test_the_interval_of_a_median(count):
    values = random.Random(0).sample([float(value) for value in range(count)], count)
    lower, upper = median_interval(values)
    below = int(lower)  # number of smaller values
    assert upper == count - 1 - below
    covered = 1 - 2 * binom.cdf(below, count, 0.5)
    assert count < 6 or covered >= 0.95
    assert below == 0 if count < 9 else 1 - 2 * binom.cdf(below + 1, count, 0.5) < 0.95


def test_ratios_are_of_pairs():
    """The machine is sometimes four times as slow, and B always takes half the time of A."""
    slowness = [1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 1.0, 4.0]
    first = {"step/whole": [2 * s for s in slowness], "step/data": [0.0] * 8, "sample/frame": slowness}
    second = {"step/whole": slowness, "step/data": [0.1] * 8}
    found = ratios(first, second)
    assert list(found) == ["step/whole"]
    assert (found["step/whole"].median, found["step/whole"].lower, found["step/whole"].upper) == (0.5, 0.5, 0.5)
    assert found["step/whole"].is_significant
    assert not ratios(first, first)["step/whole"].is_significant


# ---------------------------------------------------------------- interleaving

WORKER = """
import subprocess, sys, time
from pathlib import Path
from zoo.benchmark.interleaving import TurnTaker

name, folder = sys.argv[1], Path(sys.argv[2])
helper = "import sys, time\\nwhile True: open(sys.argv[1], 'a').write('.'); time.sleep(0.005)"
helper_process = subprocess.Popen([sys.executable, "-c", helper, folder / f"{name}.helper"])
while not (folder / f"{name}.helper").exists():
    time.sleep(0.005)
take_turn = TurnTaker(2, lambda: None)
for repetition in range(4):
    take_turn()
    time.sleep(0.02)
    others = [path.stat().st_size for path in folder.glob("*.helper") if path.stem != name]
    time.sleep(0.05)
    assert others == [path.stat().st_size for path in folder.glob("*.helper") if path.stem != name]
    with (folder / "order").open("a") as file:
        file.write(name)
"""


def worker(name: str, folder: Path, source: str = WORKER) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-c", source, name, str(folder)], {"PYTHONPATH": str(ROOT)})


def test_workers_take_turns_and_the_other_one_is_stopped_with_its_children(tmp_path):
    run_interleaved([worker("a", tmp_path), worker("b", tmp_path)])
    assert (tmp_path / "order").read_text() == "aabbaabb"
    sizes = [path.stat().st_size for path in tmp_path.glob("*.helper")]
    time.sleep(0.1)
    assert len(sizes) == 2
    assert sizes == [path.stat().st_size for path in tmp_path.glob("*.helper")]  # no child outlives it


def test_if_one_worker_fails_both_end(tmp_path):
    processes = [worker("a", tmp_path), worker("b", tmp_path, "raise SystemExit(3)")]
    with pytest.raises(SystemExit) as end:
        run_interleaved(processes)
    assert end.value.code == 3
    assert [process.process.returncode for process in processes] == [-9, 3]


# ---------------------------------------------------------------- the command


def test_settings_after_compare_change_b_only():
    parsed = parse_arguments(["model=classifier", "repetitions=5", "seed=3", "--compare", "seed=4", "data.frames=9"])
    assert parsed.settings.repetitions == 5
    assert parsed.a.overrides == ("model=classifier", "seed=3")
    assert parsed.b.overrides == ("model=classifier", "seed=4", "data.frames=9")
    assert parsed.b.code == parsed.a.code == ROOT
    assert parse_arguments(["--compare"]).b == parse_arguments([]).a
    assert parse_arguments(["model=classifier"]).b is None
    assert parse_arguments(["--compare", f"against={ROOT}/"]).b.code == ROOT
    plan_training(parse_arguments(["model=vid2vid", "--compare", "model=pix2pixhd", "model.width=32"]).b.overrides)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=vid2vidd"], "There is no model `vid2vidd`. Did you mean `vid2vid`?"),
        (["model.norm=layer"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["--compare", "model.norm=layer"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["repetitions=0"], "repetitions is 0, but at least 1 is required. Try: repetitions=20"),
        (["repetitions=many"], "`repetitions`: Value 'many' of type 'str' could not be converted to Integer."),
        (["repetition=9"], "There is no setting `repetition`."),
        (["--compare", "repetitions=9"], "repetitions=9 applies to both sides. Type it before --compare."),
        (["--compare", "--compare"], "--compare is typed twice"),
        (["against=."], "There is no setting `against`."),
        (["--compare", "against=/no/such"], "against=/no/such is not a checkout of the zoo"),
        (["--multirun"], "There is no flag --multirun. Type: python -m zoo.benchmark --help"),
        (["resume=runs/a"], "resume=runs/a has no effect on a training step, so the benchmark does not use it."),
        (["logger.wandb=offline"], "logger.wandb=offline has no effect on a training step"),
        ([f"out={__file__}"], "already exists and is not overwritten."),
    ],
)
def test_wrong_arguments_are_explained(words, sentence):
    with pytest.raises(ZooError) as mistake:
        command.benchmark(words)
    assert sentence in str(mistake.value)


def test_the_command_imports_no_torch():
    check = "import sys, zoo.benchmark.__main__ as command; command.check(command.parse_arguments(['--compare']))"
    subprocess.run([sys.executable, "-c", f"{check}; assert 'torch' not in sys.modules"], check=True, cwd=ROOT)


def fake_workers(result, factors):
    """In place of ``run_interleaved``: each worker writes the result, with its seconds multiplied by its factor."""

    def run(processes):
        for process, factor in zip(processes, factors, strict=False):
            job = WorkerJob(**json.loads(process.command[-1]))
            seconds = {name: [factor * value for value in row] for name, row in result["seconds"].items()}
            Path(job.result).write_text(json.dumps(result | {"seconds": seconds}))

    return run


def test_every_setting_is_read_and_everything_is_written(measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "run_interleaved", fake_workers(measured[0], [1.0]))
    with recorded_reads(BenchmarkSettings) as read:
        command.benchmark(["model=classifier", f"out={tmp_path}/new/one.json", "repetitions=3"])
    assert {field.name for field in fields(BenchmarkSettings)} == read
    report = json.loads((tmp_path / "new/one.json").read_text())
    assert report["settings"]["repetitions"] == 3
    assert report["command"].startswith("python -m zoo.benchmark model=classifier")
    assert report["summary"]["step/whole"]["median"] == spread(report["seconds"]["step/whole"]).median
    assert {"environment", "config", "roofline", "memory_mib"} <= set(report)
    shown = capsys.readouterr().out
    for row in ("training step", "backward", "first frame", "frames/s", "clips/s", "MiB", "GFLOP/s"):
        assert row in shown


def test_ratios_are_of_b_over_a(measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "run_interleaved", fake_workers(measured[0], [1.0, 2.0]))
    report = command.benchmark([f"out={tmp_path}/two.json", "--compare", "seed=2"])
    assert report["ratios"]["step/backward"]["median"] == pytest.approx(2.0)
    assert report["ratios"]["sample/frame"]["pairs"] == pytest.approx([2.0] * 3)
    assert "2.000*" in capsys.readouterr().out


def test_a_slower_checkout_without_a_benchmark_package(tmp_path):
    """The whole command with real workers: the other checkout is measured, and its steps are slower."""
    for folder in ("zoo", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("benchmark*", "__pycache__"))
    model = tmp_path / "zoo/models/classifier/model.py"
    step = "        logits = self.heads(self._dropout"
    assert step in model.read_text()
    model.write_text(model.read_text().replace(step, f"        __import__('time').sleep(0.2)\n{step}"))
    words = [*tiny("classifier"), "repetitions=3", "warm_up=1", "out=out.json", "--compare", f"against={tmp_path}"]
    run = [sys.executable, "-m", "zoo.benchmark", *words]
    (tmp_path / "here").mkdir()
    done = subprocess.run(run, cwd=tmp_path / "here", env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "here/out.json").read_text())
    assert min(report["b"]["seconds"]["step/forward"]) > 0.2
    assert report["ratios"]["step/forward"]["median"] > 2
    assert report["ratios"]["step/whole"]["median"] > 1
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda zoo: shutil.rmtree(zoo / "training"), "it has no zoo/training/plan.py"),
        (
            lambda zoo: (zoo / "runs/provenance.py").write_text("def environment(): ..."),
            "its zoo/runs/provenance.py has no",
        ),
    ],
)
def test_a_checkout_of_an_older_layout_is_refused(change, sentence, tmp_path):
    shutil.copytree(ROOT / "zoo", tmp_path / "zoo", ignore=shutil.ignore_patterns("models", "__pycache__"))
    assert parse_arguments(["--compare", f"against={tmp_path}"]).b.code == tmp_path
    change(tmp_path / "zoo")
    with pytest.raises(ZooError) as error:
        parse_arguments(["--compare", f"against={tmp_path}"])
    assert f"against={tmp_path} has another layout than this checkout: {sentence}" in str(error.value)
