"""The benchmark: what is put down to which part, how two take turns, and what the command says and writes."""

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
from zoo.benchmark.figures import median_interval, ratios, spread
from zoo.benchmark.measure import Benchmark
from zoo.benchmark.process import Job
from zoo.benchmark.roofline import Convolution, Convolutions, Count, roofline
from zoo.benchmark.split import PARTS, HostClock, Split
from zoo.benchmark.turns import Process, in_turn
from zoo.benchmark.words import planned, read_words
from zoo.callbacks.ema import MovingAverage
from zoo.card import MODELS
from zoo.data.module import KeyedClips, no_curriculum
from zoo.errors import ZooError
from zoo.model import VideoModel
from zoo.settings import BenchmarkSettings
from zoo.testing import recorded_reads

REPO = ROOT
DATA = ["data.height=32", "data.width=32", "data.frames=4", "data.batch_size=2", "data.workers=0", "trainer.threads=1"]


def tiny(name: str) -> list[str]:
    """The words of a tiny variant of a model, in one process on the processor."""
    small, usual = (asdict(config) for config in (MODELS.find(name).config.tiny(), MODELS.config({"name": name})))
    changed = [f"model.{key}={value}" for key, value in small.items() if value != usual[key]]
    return [f"model={name}", *changed, *DATA, "strategy=cpu"]


class StoppedClock:
    """Time that goes on when it is told to."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def between(self, begin, end):
        return end - begin

    def settle(self):
        pass


def slower(monkeypatch, clock, calls, owner, name, seconds):
    """Each call of a method takes so long, by that clock, and is counted."""
    original = getattr(owner, name)

    def slow(*args, **kwargs):
        clock.time += seconds
        calls[seconds] = calls.get(seconds, 0) + 1
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, slow)


@pytest.mark.parametrize("name", MODELS.names())
def test_time_is_put_down_to_the_part_that_takes_it(name, monkeypatch, tmp_path):
    """One optimizer or several: in Lightning the former's step has all the others inside."""
    clock, calls = StoppedClock(), {}
    benchmark = Benchmark(planned(tiny(name)), repetitions=2, warm_up=0)
    slow = [
        (KeyedClips, "__getitem__", 1.0),
        (VideoModel, "log_losses", 10.0),
        (LightningModule, "backward", 100.0),
        (torch.optim.Adam, "step", 1e4),
        (MovingAverage, "on_train_batch_end", 1e6),
    ]
    for owner, method, seconds in slow:
        slower(monkeypatch, clock, calls, owner, method, seconds)
    split = Split(clock, lambda step: None)
    benchmark.fit(tmp_path, 2, False, split, MovingAverage(500.0))
    found = split.seconds()
    assert len(split.steps) == 2
    expected = {part: seconds * calls[seconds] for part, (*_, seconds) in zip(PARTS, slow, strict=True)}
    assert {part: sum(found[part]) for part in PARTS} == expected
    assert found["whole"] == [sum(found[part][step] for part in PARTS) for step in range(2)]
    assert calls[1e4] == calls[100.0] == (2 if MODELS.find(name).card.adversarial is False else calls[1e4])


@pytest.fixture(scope="module")
def measured():
    """A small model, for real; the moments before each repetition; and how many threads it was to have."""
    moments = []
    benchmark = Benchmark(planned(tiny("videovae")), repetitions=3, warm_up=1)
    return benchmark.run(lambda: moments.append(time.perf_counter())), moments


@pytest.mark.alone
def test_everything_is_measured(measured):
    result, moments = measured
    steps = [f"step/{part}" for part in ("whole", *PARTS)]
    assert list(result["seconds"]) == [*steps, "sample/first_frame", "sample/frame", "metrics/clip", "load/clip"]
    assert all(len(row) == 3 and min(row) >= 0 for row in result["seconds"].values())
    assert len(moments) == 4 * 3
    # A step is what lies between two moments before a step: nothing is left out.
    for whole, begin, end in zip(result["seconds"]["step/whole"], moments, moments[1:3], strict=False):
        assert end - begin == pytest.approx(whole, abs=0.02)
    assert 0 < result["memory_mib"]["before"] <= result["memory_mib"]["peak"]
    assert result["environment"]["threads"] == 1
    assert result["config"]["model"]["name"] == "videovae"
    assert result["roofline"]["share"] == pytest.approx(
        result["roofline"]["flop_per_s"] / result["roofline"]["convolution_flop_per_s"]
    )
    json.dumps(result)


def test_batches_come_one_by_one():
    """Not in bunches, which would make the first of many steps pay for all of them."""
    words = [word for word in tiny("classifier") if "workers" not in word]
    benchmark = Benchmark(planned([*words, "data.workers=1"]), repetitions=1, warm_up=0)
    loader = benchmark.loaders(SimpleNamespace(stage=no_curriculum), 12).train_dataloader()
    for _ in loader:
        assert loader.bunches.latest.size(1.0) == 1


def test_a_model_that_makes_no_videos_is_not_sampled():
    result = Benchmark(planned(tiny("segmenter")), repetitions=1, warm_up=0).run(lambda: None)
    assert {name.partition("/")[0] for name in result["seconds"]} == {"step", "metrics", "load"}


# ---------------------------------------------------------------- how near to the hardware


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 16, 16)),
        (torch.nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), (2, 4, 8, 8)),
        (torch.nn.Conv3d(2, 4, 3, padding=1), (1, 2, 4, 8, 8)),
    ],
)
def test_a_convolution_is_seen_as_it_is_and_counted_thrice(layer, size):
    """PyTorch's count of a backward pass: the gradient of the input, and that of the weight, each as the forward."""
    image = torch.randn(size, requires_grad=True)
    with FlopCounterMode(display=False) as counter, Convolutions() as seen:
        made = layer(image)
        made.sum().backward()
    [(convolution, calls)] = seen.calls.items()
    assert calls == 1
    assert counter.get_total_flops() == 3 * convolution.flops
    layer.bias.data.zero_()
    assert torch.allclose(convolution(image, layer.weight), layer(image), atol=1e-5)


def test_the_share_of_the_hardware(monkeypatch):
    """Two kinds of convolutions, the first called twice a step, at 30 and 60 FLOP/s alone; the step makes 10."""
    monkeypatch.setattr(hardware, "alone", lambda seen, *_: ({1: 2.0, 2: 2.0}[seen.weight[0]], "contiguous"))
    kinds = [Convolution((1, 1, 10), (n, 1, 1), (1,), (0,), (1,), False, (0,), 1, "float32", 20 * n) for n in (1, 2)]
    count = Count(0)
    count.convolutions.calls.update({kinds[0]: 4, kinds[1]: 2})  # in two steps
    count.flops = [240, 480]
    found = roofline(count, [24.0, 48.0, 999.0], torch.device("cpu"), HostClock(), 0, 1)
    assert found["flop_per_step"] == 360
    assert found["flop_per_s"] == 10.0
    assert [row["flop_per_s"] for row in found["convolutions"]] == [30.0, 60.0]
    assert sorted(row["calls_per_step"] for row in found["convolutions"]) == [1.0, 2.0]
    assert found["convolution_flop_per_s"] == pytest.approx(480 / (4 * 2 + 2 * 2))
    assert found["share"] == pytest.approx(10 / 40)


# ---------------------------------------------------------------- figures


def test_spread_and_rates():
    found = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (found.median, found.lower, found.upper) == (3.0, 2.0, 4.0)
    rate = found.per(12.0)
    assert (rate.median, rate.lower, rate.upper) == (4.0, 3.0, 6.0)
    assert spread([7.0]).lower == spread([7.0]).upper == 7.0


@pytest.mark.parametrize("count", [1, 5, 6, 10, 20, 99])
def test_the_interval_of_a_median(count):
    values = random.Random(0).sample([float(value) for value in range(count)], count)
    lower, upper = median_interval(values)
    below = int(lower)  # so many values are smaller
    assert upper == count - 1 - below
    covered = 1 - 2 * binom.cdf(below, count, 0.5)
    assert count < 6 or covered >= 0.95
    assert below == 0 if count < 9 else 1 - 2 * binom.cdf(below + 1, count, 0.5) < 0.95


def test_ratios_are_of_pairs():
    """A machine that is four times as slow in between; and B takes half of A's time throughout."""
    slowness = [1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 1.0, 4.0]
    first = {"step/whole": [2 * s for s in slowness], "step/data": [0.0] * 8, "sample/frame": slowness}
    second = {"step/whole": slowness, "step/data": [0.1] * 8}
    found = ratios(first, second)
    assert list(found) == ["step/whole"]
    assert (found["step/whole"].median, found["step/whole"].lower, found["step/whole"].upper) == (0.5, 0.5, 0.5)
    assert found["step/whole"].sure
    assert not ratios(first, first)["step/whole"].sure


# ---------------------------------------------------------------- taking turns

WORKER = """
import subprocess, sys, time
from pathlib import Path
from zoo.benchmark.turns import Turns

name, folder = sys.argv[1], Path(sys.argv[2])
helper = "import sys, time\\nwhile True: open(sys.argv[1], 'a').write('.'); time.sleep(0.005)"
helping = subprocess.Popen([sys.executable, "-c", helper, folder / f"{name}.helper"])
while not (folder / f"{name}.helper").exists():
    time.sleep(0.005)
turns = Turns(2, lambda: None)
for repetition in range(4):
    turns()
    time.sleep(0.02)
    others = [path.stat().st_size for path in folder.glob("*.helper") if path.stem != name]
    time.sleep(0.05)
    assert others == [path.stat().st_size for path in folder.glob("*.helper") if path.stem != name]
    with (folder / "order").open("a") as file:
        file.write(name)
"""


def worker(name: str, folder: Path, source: str = WORKER) -> Process:
    return Process([sys.executable, "-c", source, name, str(folder)], {"PYTHONPATH": str(REPO)})


def test_two_take_turns_and_nothing_of_the_other_runs_meanwhile(tmp_path):
    in_turn([worker("a", tmp_path), worker("b", tmp_path)])
    assert (tmp_path / "order").read_text() == "aabbaabb"
    sizes = [path.stat().st_size for path in tmp_path.glob("*.helper")]
    time.sleep(0.1)
    assert len(sizes) == 2
    assert sizes == [path.stat().st_size for path in tmp_path.glob("*.helper")]  # none outlives it


def test_where_one_fails_both_end(tmp_path):
    processes = [worker("a", tmp_path), worker("b", tmp_path, "raise SystemExit(3)")]
    with pytest.raises(SystemExit) as end:
        in_turn(processes)
    assert end.value.code == 3
    assert [process.process.returncode for process in processes] == [-9, 3]


# ---------------------------------------------------------------- the command


def test_what_stands_behind_compare_changes_b_alone():
    asked = read_words(["model=classifier", "repetitions=5", "seed=3", "--compare", "seed=4", "data.frames=9"])
    assert asked.settings.repetitions == 5
    assert asked.side.words == ("model=classifier", "seed=3")
    assert asked.other.words == ("model=classifier", "seed=4", "data.frames=9")
    assert asked.other.code == asked.side.code == REPO
    assert read_words(["--compare"]).other == read_words([]).side
    assert read_words(["model=classifier"]).other is None
    assert read_words(["--compare", f"against={REPO}/"]).other.code == REPO
    planned(read_words(["model=vid2vid", "--compare", "model=pix2pixhd", "model.width=32"]).other.words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=vid2vidd"], "There is no model `vid2vidd`. Did you mean `vid2vid`?"),
        (["model.norm=layer"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["--compare", "model.norm=layer"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["repetitions=0"], "repetitions=0 is too small. Try: repetitions=1"),
        (["repetitions=many"], "`repetitions`: Value 'many' of type 'str' could not be converted to Integer."),
        (["repetition=9"], "There is no setting `repetition`."),
        (["--compare", "repetitions=9"], "repetitions=9 is of the whole benchmark. Type it before --compare."),
        (["--compare", "--compare"], "--compare is typed once"),
        (["against=."], "There is no setting `against`."),
        (["--compare", "against=/no/such"], "against=/no/such is no checkout of the zoo"),
        (["--multirun"], "--multirun is not understood. Type: python -m zoo.benchmark --help"),
        (["resume=runs/a"], "resume=runs/a changes nothing in a training step, and is not read here."),
        (["logger.wandb=offline"], "logger.wandb=offline changes nothing in a training step"),
        ([f"out={__file__}"], "is there already, and nothing is overwritten."),
    ],
)
def test_mistakes_get_a_sentence(words, sentence):
    with pytest.raises(ZooError) as mistake:
        command.benchmark(words)
    assert sentence in str(mistake.value)


def test_the_command_needs_no_torch():
    check = "import sys, zoo.benchmark.__main__ as command; command.check(command.read_words(['--compare']))"
    subprocess.run([sys.executable, "-c", f"{check}; assert 'torch' not in sys.modules"], check=True, cwd=REPO)


def answered(result, slowness):
    """In place of the processes: each writes that result, the second one slower."""

    def run(processes):
        for process, factor in zip(processes, slowness, strict=False):
            job = Job(**json.loads(process.command[-1]))
            seconds = {name: [factor * value for value in row] for name, row in result["seconds"].items()}
            Path(job.result).write_text(json.dumps(result | {"seconds": seconds}))

    return run


def test_every_setting_is_read_and_the_file_holds_everything(measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "in_turn", answered(measured[0], [1.0]))
    with recorded_reads(BenchmarkSettings) as read:
        command.benchmark(["model=classifier", f"out={tmp_path}/new/one.json", "repetitions=3"])
    assert {field.name for field in fields(BenchmarkSettings)} == read
    told = json.loads((tmp_path / "new/one.json").read_text())
    assert told["settings"]["repetitions"] == 3
    assert told["command"].startswith("python -m zoo.benchmark model=classifier")
    assert told["summary"]["step/whole"]["median"] == spread(told["seconds"]["step/whole"]).median
    assert {"environment", "config", "roofline", "memory_mib"} <= set(told)
    shown = capsys.readouterr().out
    for row in ("training step", "backward", "first frame", "frames/s", "clips/s", "MiB", "GFLOP/s"):
        assert row in shown


def test_of_two_the_ratio_is_that_of_b(measured, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "in_turn", answered(measured[0], [1.0, 2.0]))
    told = command.benchmark([f"out={tmp_path}/two.json", "--compare", "seed=2"])
    assert told["ratios"]["step/backward"]["median"] == pytest.approx(2.0)
    assert told["ratios"]["sample/frame"]["pairs"] == pytest.approx([2.0] * 3)
    assert "2.000*" in capsys.readouterr().out


def test_another_checkout_that_is_slower_and_knows_no_benchmark(tmp_path):
    """The whole command: the real processes, a commit from before there was a benchmark, and the right direction."""
    for folder in ("zoo", "conf"):
        shutil.copytree(REPO / folder, tmp_path / folder, ignore=shutil.ignore_patterns("benchmark*", "__pycache__"))
    model = tmp_path / "zoo/models/classifier/model.py"
    step = "        logits = self.heads(self._thinned"
    assert step in model.read_text()
    model.write_text(model.read_text().replace(step, f"        __import__('time').sleep(0.2)\n{step}"))
    words = [*tiny("classifier"), "repetitions=3", "warm_up=1", "out=out.json", "--compare", f"against={tmp_path}"]
    run = [sys.executable, "-m", "zoo.benchmark", *words]
    (tmp_path / "here").mkdir()
    done = subprocess.run(run, cwd=tmp_path / "here", env={"PYTHONPATH": str(REPO)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "here/out.json").read_text())
    assert min(told["b"]["seconds"]["step/forward"]) > 0.2
    assert told["ratios"]["step/forward"]["median"] > 2
    assert told["ratios"]["step/whole"]["median"] > 1
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["out.json"]
