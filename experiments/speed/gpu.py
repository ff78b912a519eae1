"""What a GPU makes of the zoo: precisions, layouts, CUDA graphs, transfers, compilation, and how near to the hardware.

    python experiments/speed/gpu.py                           # some ten minutes on an H100; adds to gpu.jsonl
    python experiments/speed/gpu.py --parts sampling,busy     # some of it, in that order

Each part is a process of its own with a time limit, so that one that fails, or hangs, takes no other along; it is
forked from one that has imported everything. A line is written as soon as it is known.

GANLosses are compared in turn, A B A B, in blocks of training steps in Lightning's loop with the callbacks of every
step. Their clips are there already: what is measured is the device and whoever asks it, not loading. Times are
milliseconds, by events in the device's queue; ratios are times of a side by those of the first one, the median of all
pairs with its 95 % interval.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # whoever asks for CUDA before a fork spoils it after

import torch
import vid2vid as release
from lightning import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader

from zoo.benchmark.figures import Ratio, ratios, spread
from zoo.benchmark.measure import Benchmark, trainer_for
from zoo.benchmark.roofline import Count, roofline, timings
from zoo.benchmark.split import PARTS, DeviceClock, Split
from zoo.benchmark.words import planned
from zoo.callbacks.clips_seen import ClipsSeen
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.cli import hush_libraries
from zoo.data.module import VideoData
from zoo.model import build
from zoo.runs.provenance import commit
from zoo.training.plan import Plan

Line = dict[str, Any]
HERE = Path(__file__).parent
MEBIBYTE, TERA = 2**20, 1e12
WARM_UP, STEPS, ROUNDS = 2, 3, 2  # of each side: unmeasured and measured steps of a block, and blocks
VID2VID = ("model=vid2vid", "model.width=32", "model.discriminator_width=64", "model.perceptual=none")
PIX2PIXHD = ("model=pix2pixhd", *VID2VID[1:])
PAPER = ("model=videovae", "model.preset=paper", "data.height=64", "data.batch_size=16")
SIZES = {"256x128": ("data.height=128",), "512x256": ("data.height=256",)}  # a street is twice as wide as high


@dataclass(frozen=True)
class Side:
    """One of several that are compared.

    words: what differs in the words of `zoo.train`. tf32: what single precision may be rounded to TF32 in: nothing,
    convolutions (PyTorch's own choice) or all. pinned: whether clips wait in memory that the GPU copies from by itself.
    """

    name: str
    words: tuple[str, ...] = ()
    tf32: str = "convolutions"
    pinned: bool = True

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """With its settings of the libraries."""
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        cudnn.allow_tf32, matmul.allow_tf32 = self.tf32 != "nothing", self.tf32 == "all"
        yield
        cudnn.allow_tf32, matmul.allow_tf32 = True, False


AS_IT_IS, BF16 = Side("32"), Side("bf16", ("trainer.precision=bf16",))
PRECISIONS = (Side("32, no TF32", tf32="nothing"), AS_IT_IS, Side("32, all TF32", tf32="all"), BF16)


class Trained:
    """A model of one side, trained block by block."""

    def __init__(self, side: Side, words: tuple[str, ...], clips: list[Any] | None = None) -> None:
        self.side, self.plan = side, plan_of(*words, *side.words)
        plan = self.plan
        seed_everything(plan.settings.seed, verbose=False)
        self.model = build(asdict(plan.settings.model), plan.spec)
        self.model.seed, self.model.evaluation = plan.settings.seed, plan.request
        self.model.apply_memory_format(plan.settings)
        if plan.settings.trainer.compile:
            self.model.compile_networks()
        self.clips = clips or clips_of(plan)
        if not side.pinned:
            self.clips = tree_map_only(Tensor, torch.clone, self.clips)
        self.seconds: dict[str, list[float]] = {"whole": [], **{part: [] for part in PARTS}}
        self.first_block = self.peak = 0.0

    def block(self, *watching: Callback) -> None:
        """Some steps, of which the last ones are measured."""
        began = time.perf_counter()
        split = Split(DeviceClock(), lambda step: None)
        clips: Any = DataLoader(list(islice(cycle(self.clips), WARM_UP + STEPS)), batch_size=None)  # type: ignore[arg-type]
        torch.cuda.reset_peak_memory_stats()
        with tempfile.TemporaryDirectory() as scratch, self.side.set_up():
            average = MovingAverage(self.plan.settings.callbacks.ema_half_life)
            callbacks = [StopOnNonFinite(Path(scratch)), average, ClipsSeen(), *watching]
            trainer = trainer_for(self.plan, Path(scratch), profiler=split, callbacks=callbacks)
            trainer.fit(self.model, clips)
        self.peak = max(self.peak, torch.cuda.max_memory_allocated() / MEBIBYTE)
        for part, row in split.seconds().items():
            self.seconds[part] += row[WARM_UP:]
        self.first_block = self.first_block or time.perf_counter() - began


def plan_of(*words: str) -> Plan:
    """The training of these words of `zoo.train`, on one GPU."""
    return planned([*words, "strategy.accelerator=gpu"])


def clips_of(plan: Plan) -> list[Any]:
    """Two batches, in pinned memory."""
    data = VideoData(plan.data, plan.card.wanted(), 2 * plan.data.batch_size, plan.settings.seed, 1, 1)
    return list(data.train_dataloader())


def compared(words: tuple[str, ...], *sides: Side, about: str = "") -> Iterator[Line]:
    """A line for each side, the first being what the others are compared with."""
    clips = clips_of(plan_of(*words))
    trained = [Trained(side, words, clips) for side in sides]
    for _ in range(ROUNDS):
        for each in trained:
            each.block()
    for each in trained:
        data = each.plan.data
        yield {
            "model": each.plan.card.name,
            "size": f"{each.plan.spec.width}x{each.plan.spec.height}",
            "clips": data.batch_size,
            "side": each.side.name,
            "about": about,
            "step_ms": in_ms(each.seconds["whole"]),
            "split_ms": {part: round(1000 * spread(each.seconds[part]).median, 3) for part in PARTS},
            "clips_per_s": round(data.batch_size / spread(each.seconds["whole"]).median, 2),
            "ratio": told(ratios(trained[0].seconds, each.seconds)["whole"]),
            "peak_allocated_mib": round(each.peak),
            "first_block_s": round(each.first_block, 2),
            "words": [*words, *each.side.words],
        }


def in_ms(seconds: list[float]) -> list[float]:
    """The first quartile, the median, the third."""
    found = spread(seconds).times(1000)
    return [round(value, 3) for value in (found.lower, found.median, found.upper)]


def told(ratio: Ratio) -> list[float]:
    """The lower end of the interval, the median, the upper end."""
    return [round(value, 3) for value in (ratio.lower, ratio.median, ratio.upper)]


# ---------------------------------------------------------------- the parts


def ceilings() -> Iterator[Line]:
    """What the device does at most: a product of large matrices in each precision, and a copy."""
    numbers = {"bf16": torch.bfloat16, "tf32": torch.float32, "32": torch.float32}
    for name, dtype in numbers.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        one, other = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
        took = timings(lambda one=one, other=other: torch.mm(one, other), DeviceClock(), 3, 10)  # type: ignore[misc]
        yield {"what": f"matrices of 8192, {name}", "tflop_per_s": round(2 * 8192**3 / spread(took).median / TERA, 1)}
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    took = timings(lambda: target.copy_(source), DeviceClock(), 3, 10)
    yield {"what": "a copy of 1 GiB", "tb_per_s": round(2 * source.nbytes / spread(took).median / TERA, 2)}


def precision() -> Iterator[Line]:
    """vid2vid in each precision, small and large."""
    for size, clips in ((SIZES["256x128"], 1), (SIZES["512x256"], 4)):
        yield from compared((*VID2VID, *size, f"data.batch_size={clips}"), *PRECISIONS[:2], BF16)


def published() -> Iterator[Line]:
    """vid2vid as wide and deep as published, one scale."""
    deep = ("model.width=128", "model.downsamplings=3", "model.blocks=9")
    yield from compared((*VID2VID, *deep, *SIZES["512x256"], "data.batch_size=1"), AS_IT_IS, BF16, about="width 128")


def models() -> Iterator[Line]:
    """The others."""
    yield from compared(PAPER, *PRECISIONS, about="paper")
    yield from compared((*PIX2PIXHD, *SIZES["512x256"]), *PRECISIONS[:2], BF16)
    yield from compared(("model=segmenter",), AS_IT_IS, BF16)
    yield from compared(("model=classifier",), AS_IT_IS, BF16)


def layout() -> Iterator[Line]:
    """Kernels with their channels last or not, in both precisions."""
    plain, last = (f"trainer.channels_last={value}" for value in ("false", "true"))
    sides = Side("contiguous", (plain,)), Side("channels last", (last,))
    large = (*SIZES["512x256"], "data.batch_size=4")
    for bits in ("bf16", "32"):
        for words in ((*VID2VID, *large), (*PIX2PIXHD, *large), PAPER):
            yield from compared((*words, f"trainer.precision={bits}"), *sides, about=f"layout, {bits}")


def transfers() -> Iterator[Line]:
    """Clips in pinned memory, which are copied while the step before is computed, or in any."""
    sides = Side("pinned"), Side("not pinned", pinned=False)
    for words in ((*VID2VID, *SIZES["512x256"]), PAPER):
        yield from compared(words, *sides, about="transfer")


def sampling() -> Iterator[Line]:
    """One clip at a time, each network asked for by itself or replayed as a CUDA graph."""
    for words in (*((*VID2VID, *size) for size in SIZES.values()), (*PIX2PIXHD, *SIZES["512x256"]), PAPER):
        plan = plan_of(*words, "evaluation.frames=24")
        bench = Benchmark(plan, STEPS, WARM_UP)
        bench.pause = lambda: None
        trainer = trainer_for(plan, Path(tempfile.gettempdir()))
        model = build(asdict(plan.settings.model), plan.spec).eval().to(bench.device)
        model.evaluation = plan.request
        recorded = deepcopy(model)
        recorded.capture_cuda_graphs()
        sides: dict[str, Any] = {"as it is": model, "CUDA graphs": recorded}
        seconds: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
        held = dict.fromkeys(sides, 0)
        for _ in range(ROUNDS):
            for name, each in sides.items():
                before = torch.cuda.memory_allocated()
                with torch.no_grad():
                    for series, row in bench.sampling(trainer, each).items():
                        seconds[name].setdefault(series, []).extend(row)
                held[name] += torch.cuda.memory_allocated() - before
        for name in sides:
            against = ratios(seconds["as it is"], seconds[name])
            yield {
                "model": plan.card.name,
                "size": f"{plan.spec.width}x{plan.spec.height}",
                "side": name,
                "first_frame_ms": in_ms(seconds[name]["sample/first_frame"]),
                "frame_ms": in_ms(seconds[name]["sample/frame"]),
                "frames_per_s": round(1 / spread(seconds[name]["sample/frame"]).median, 1),
                "ratio": told(against["sample/frame"]),
                "ratio_first_frame": told(against["sample/first_frame"]),
                "held_mib": round(held[name] / MEBIBYTE, 1),
                "words": list(words),
            }


def near() -> Iterator[Line]:
    """How close a step comes to its convolutions alone."""
    for words in ((*VID2VID, *SIZES["512x256"]), PAPER):
        for bits in ("32", "bf16"):
            plan = plan_of(*words, f"trainer.precision={bits}", "data.workers=8")
            bench, split = Benchmark(plan, STEPS, WARM_UP), Split(DeviceClock(), lambda step: None)
            count = Count(WARM_UP)
            with tempfile.TemporaryDirectory() as scratch:
                bench.fit(Path(scratch), WARM_UP + STEPS, False, split)
                bench.fit(Path(scratch), WARM_UP + STEPS, False, None, count)
            whole = split.seconds()["whole"][WARM_UP:]
            found = roofline(count, whole, bench.device, bench.clock, WARM_UP, STEPS)
            size = f"{plan.spec.width}x{plan.spec.height}"
            yield {"model": plan.card.name, "size": size, "precision": bits, **found, "words": list(words)}


class LastStep(Callback):
    """Watches what the device does in the last step of a block."""

    def __init__(self) -> None:
        self.seen = profile(activities=[ProfilerActivity.CUDA])

    def on_train_batch_start(self, trainer: Trainer, model: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin."""
        if batch_idx == WARM_UP + STEPS - 1:
            self.seen.start()

    def on_train_batch_end(
        self, trainer: Trainer, model: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """When all that was asked is done."""
        if batch_idx == WARM_UP + STEPS - 1:
            torch.cuda.synchronize()
            self.seen.stop()


def busy() -> Iterator[Line]:
    """How much of a step the GPU works, how often it is asked, and for what it works longest."""
    for words in ((*VID2VID, *SIZES["256x128"]), (*VID2VID, *SIZES["512x256"]), PAPER):
        for side in (AS_IT_IS, BF16):
            trained = Trained(side, words)
            trained.block()
            trained.block(watch := LastStep())
            kernels = [event for event in watch.seen.key_averages() if event.self_device_time_total]
            kernels.sort(key=lambda event: event.self_device_time_total, reverse=True)
            yield {
                "model": trained.plan.card.name,
                "size": f"{trained.plan.spec.width}x{trained.plan.spec.height}",
                "side": side.name,
                "step_ms": in_ms(trained.seconds["whole"][:STEPS]),  # unwatched
                "busy_ms_per_step": round(sum(k.self_device_time_total for k in kernels) / 1000, 3),
                "kernels_per_step": sum(kernel.count for kernel in kernels),
                "longest": [
                    [kernel.key[:90], round(kernel.self_device_time_total / 1000, 3), kernel.count]
                    for kernel in kernels[:15]
                ],
                "words": [*words, *side.words],
            }


def against_release() -> Iterator[Line]:
    """vid2vid against the arrangement of its release, see vid2vid.py."""
    for size in release.SIZES["cuda"]:
        for measure in (release.training, release.sampling):
            torch.manual_seed(0)
            yield measure(*size, "cuda")


def compiled_videovae() -> Iterator[Line]:
    """VideoVAE as the paper has it, compiled or not."""
    sides = Side("as it is"), Side("compiled", ("trainer.compile=true",))
    yield from compared((*PAPER, "trainer.precision=bf16"), *sides, about="compile")


def compiled_vid2vid() -> Iterator[Line]:
    """vid2vid, compiled or not; every form of each network takes a while."""
    sides = Side("as it is"), Side("compiled", ("trainer.compile=true",))
    yield from compared((*VID2VID, *SIZES["256x128"], "trainer.precision=bf16"), *sides, about="compile")


LIMITS: dict[Callable[[], Iterator[Line]], int] = {
    ceilings: 10,
    against_release: 70,
    sampling: 30,
    models: 40,
    busy: 50,
    precision: 60,
    layout: 70,
    published: 30,
    transfers: 30,
    near: 40,
    compiled_videovae: 90,
    compiled_vid2vid: 240,
}
"""Seconds that a part may take."""
PARTS_OF_ALL = {part.__name__: part for part in LIMITS}


# ---------------------------------------------------------------- one after another


def work(part: Callable[[], Iterator[Line]], out: Path, about: Line) -> None:
    """In a process of its own: measure, and write line by line."""
    os.setsid()
    faulthandler.dump_traceback_later(LIMITS[part] - 1)
    hush_libraries()
    try:
        for line in part():
            written = {"part": part.__name__, **line, **about, "device": torch.cuda.get_device_name()}
            with out.open("a") as file:
                file.write(json.dumps(written) + "\n")
            shown = {name: value for name, value in line.items() if name not in ("words", "convolutions", "longest")}
            print(json.dumps(shown), flush=True)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS_OF_ALL), help="names, in the order in which they are done")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.jsonl")
    parser.add_argument("--seconds", type=float, default=900.0, help="for all of it")
    parser.add_argument("--commit", default=commit(), help="where there is no repository to ask")
    asked = parser.parse_args()
    about = {"commit": asked.commit, "torch": torch.__version__}
    end = time.monotonic() + asked.seconds
    context = multiprocessing.get_context("fork")
    for part in [PARTS_OF_ALL[name] for name in asked.parts.split(",")]:
        began = time.monotonic()
        limit = min(LIMITS[part], end - began)
        if limit <= 1:
            print(f"== {part.__name__}: no time is left", flush=True)
            continue
        process = context.Process(target=work, args=(part, asked.out, about))
        process.start()
        process.join(limit)
        how = f"ended with {process.exitcode}"
        if process.is_alive():
            how = "cut off"
            os.killpg(process.pid or 0, signal.SIGKILL)  # with all that it has started
            process.join()
        print(f"== {part.__name__}: {how} after {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
