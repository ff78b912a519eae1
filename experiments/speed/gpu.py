"""Speed on a GPU: precisions, memory formats, CUDA graphs, transfers, compilation, and the roofline.

    python experiments/speed/gpu.py                           # about ten minutes on an H100; adds lines to gpu.jsonl
    python experiments/speed/gpu.py --parts sampling,busy     # only these parts, in this order

Each part runs in a process of its own with a time limit, so that a part that fails or hangs does not stop the others.
The process is forked from one that has imported everything. Each line is written as soon as it is measured.

Variants are interleaved, A B A B, in blocks of training steps in Lightning's loop with the callbacks of every step.
Their clips are loaded beforehand: the device and the Python code that launches its kernels are measured, not loading.
Times are milliseconds between events in the device's queue. A ratio is the time of a variant divided by that of the
first one, the median of all pairs with its 95 % interval.
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

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # initialising CUDA before a fork breaks it after

import torch
import vid2vid as release
from lightning import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader

from zoo.benchmark.arguments import plan_training
from zoo.benchmark.measure import Benchmark, trainer_for
from zoo.benchmark.roofline import FlopCounter, roofline, time_repetitions
from zoo.benchmark.stats import Ratio, ratios, spread
from zoo.benchmark.step_profiler import PARTS, CudaTimer, StepProfiler
from zoo.callbacks.clips_seen import ClipsSeen
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.cli import hush_libraries
from zoo.data.module import VideoData
from zoo.model import build
from zoo.runs.provenance import find_commit
from zoo.training.plan import Plan

Line = dict[str, Any]
HERE = Path(__file__).parent
MEBIBYTE, TERA = 2**20, 1e12
WARM_UP, STEPS, ROUNDS = 2, 3, 2  # for each variant: unmeasured and measured steps of a block, and blocks
VID2VID = ("model=vid2vid", "model.width=32", "model.discriminator_width=64", "model.perceptual=none")
PIX2PIXHD = ("model=pix2pixhd", *VID2VID[1:])
PAPER = ("model=videovae", "model.preset=paper", "data.height=64", "data.batch_size=16")
SIZES = {"256x128": ("data.height=128",), "512x256": ("data.height=256",)}  # the street view is twice as wide as high


@dataclass(frozen=True)
class Variant:
    """One of several variants of a training that are compared.

    overrides: those of `zoo.train` in which it differs. tf32: the operations that may round single precision to TF32:
    nothing, convolutions (PyTorch's default) or all. pinned: whether clips are in pinned memory.
    """

    name: str
    overrides: tuple[str, ...] = ()
    tf32: str = "convolutions"
    pinned: bool = True

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Apply the variant's settings of cuDNN and matrix products, and restore the defaults afterwards."""
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        cudnn.allow_tf32, matmul.allow_tf32 = self.tf32 != "nothing", self.tf32 == "all"
        yield
        cudnn.allow_tf32, matmul.allow_tf32 = True, False


DEFAULT, BF16 = Variant("32"), Variant("bf16", ("trainer.precision=bf16",))
PRECISIONS = (Variant("32, no TF32", tf32="nothing"), DEFAULT, Variant("32, all TF32", tf32="all"), BF16)


class Training:
    """The training of one variant, block by block."""

    def __init__(self, variant: Variant, overrides: tuple[str, ...], clips: list[Any] | None = None) -> None:
        self.variant, self.plan = variant, plan_on_gpu(*overrides, *variant.overrides)
        plan = self.plan
        seed_everything(plan.settings.seed, verbose=False)
        self.model = build(asdict(plan.settings.model), plan.spec)
        self.model.seed, self.model.evaluation = plan.settings.seed, plan.request
        self.model.apply_memory_format(plan.settings)
        if plan.settings.trainer.compile:
            self.model.compile_networks()
        self.clips = clips or pinned_clips(plan)
        if not variant.pinned:
            self.clips = tree_map_only(Tensor, torch.clone, self.clips)
        self.seconds: dict[str, list[float]] = {"whole": [], **{part: [] for part in PARTS}}
        self.first_block = self.peak = 0.0

    def run_block(self, *more_callbacks: Callback) -> None:
        """Train for WARM_UP + STEPS steps, and measure the last STEPS of them."""
        start = time.perf_counter()
        split = StepProfiler(CudaTimer(), lambda step: None)
        clips: Any = DataLoader(list(islice(cycle(self.clips), WARM_UP + STEPS)), batch_size=None)  # type: ignore[arg-type]
        torch.cuda.reset_peak_memory_stats()
        with tempfile.TemporaryDirectory() as scratch, self.variant.set_up():
            average = MovingAverage(self.plan.settings.callbacks.ema_half_life)
            callbacks = [StopOnNonFinite(Path(scratch)), average, ClipsSeen(), *more_callbacks]
            trainer = trainer_for(self.plan, Path(scratch), profiler=split, callbacks=callbacks)
            trainer.fit(self.model, clips)
        self.peak = max(self.peak, torch.cuda.max_memory_allocated() / MEBIBYTE)
        for part, row in split.seconds().items():
            self.seconds[part] += row[WARM_UP:]
        self.first_block = self.first_block or time.perf_counter() - start


def plan_on_gpu(*overrides: str) -> Plan:
    """The plan of a training on one GPU with these overrides of `zoo.train`."""
    return plan_training([*overrides, "strategy.accelerator=gpu"])


def pinned_clips(plan: Plan) -> list[Any]:
    """Two batches of clips in pinned memory."""
    data = VideoData(plan.data, plan.card.wanted(), 2 * plan.data.batch_size, plan.settings.seed, 1, 1)
    return list(data.train_dataloader())


def compare(overrides: tuple[str, ...], *variants: Variant, about: str = "") -> Iterator[Line]:
    """Train the variants in turn; yield a line for each, compared with the first."""
    clips = pinned_clips(plan_on_gpu(*overrides))
    trainings = [Training(variant, overrides, clips) for variant in variants]
    for _ in range(ROUNDS):
        for each in trainings:
            each.run_block()
    for each in trainings:
        data = each.plan.data
        yield {
            "model": each.plan.card.name,
            "size": f"{each.plan.spec.width}x{each.plan.spec.height}",
            "clips": data.batch_size,
            "side": each.variant.name,
            "about": about,
            "step_ms": in_ms(each.seconds["whole"]),
            "split_ms": {part: round(1000 * spread(each.seconds[part]).median, 3) for part in PARTS},
            "clips_per_s": round(data.batch_size / spread(each.seconds["whole"]).median, 2),
            "ratio": with_interval(ratios(trainings[0].seconds, each.seconds)["whole"]),
            "peak_allocated_mib": round(each.peak),
            "first_block_s": round(each.first_block, 2),
            "words": [*overrides, *each.variant.overrides],
        }


def in_ms(seconds: list[float]) -> list[float]:
    """Milliseconds: the first quartile, the median and the third quartile."""
    quartiles = spread(seconds).scaled(1000)
    return [round(value, 3) for value in (quartiles.lower, quartiles.median, quartiles.upper)]


def with_interval(ratio: Ratio) -> list[float]:
    """The lower end of the interval, the median and the upper end."""
    return [round(value, 3) for value in (ratio.lower, ratio.median, ratio.upper)]


# ---------------------------------------------------------------- the parts


def ceilings() -> Iterator[Line]:
    """The peak rates of the device: products of large matrices in each precision, and a copy."""
    dtypes = {"bf16": torch.bfloat16, "tf32": torch.float32, "32": torch.float32}
    for name, dtype in dtypes.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        one, other = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
        seconds = time_repetitions(lambda one=one, other=other: torch.mm(one, other), CudaTimer(), 3, 10)  # type: ignore[misc]
        yield {
            "what": f"matrices of 8192, {name}",
            "tflop_per_s": round(2 * 8192**3 / spread(seconds).median / TERA, 1),
        }
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    seconds = time_repetitions(lambda: target.copy_(source), CudaTimer(), 3, 10)
    yield {"what": "a copy of 1 GiB", "tb_per_s": round(2 * source.nbytes / spread(seconds).median / TERA, 2)}


def precision() -> Iterator[Line]:
    """vid2vid in each precision, small and large."""
    for size, clips in ((SIZES["256x128"], 1), (SIZES["512x256"], 4)):
        yield from compare((*VID2VID, *size, f"data.batch_size={clips}"), *PRECISIONS[:2], BF16)


def published() -> Iterator[Line]:
    """vid2vid with the published width and depth, at one scale."""
    deep = ("model.width=128", "model.downsamplings=3", "model.blocks=9")
    yield from compare((*VID2VID, *deep, *SIZES["512x256"], "data.batch_size=1"), DEFAULT, BF16, about="width 128")


def models() -> Iterator[Line]:
    """The other models in different precisions."""
    yield from compare(PAPER, *PRECISIONS, about="paper")
    yield from compare((*PIX2PIXHD, *SIZES["512x256"]), *PRECISIONS[:2], BF16)
    yield from compare(("model=segmenter",), DEFAULT, BF16)
    yield from compare(("model=classifier",), DEFAULT, BF16)


def layout() -> Iterator[Line]:
    """Kernels in channels-last memory format or not, in both precisions."""
    plain, last = (f"trainer.channels_last={value}" for value in ("false", "true"))
    variants = Variant("contiguous", (plain,)), Variant("channels last", (last,))
    large = (*SIZES["512x256"], "data.batch_size=4")
    for bits in ("bf16", "32"):
        for overrides in ((*VID2VID, *large), (*PIX2PIXHD, *large), PAPER):
            yield from compare((*overrides, f"trainer.precision={bits}"), *variants, about=f"layout, {bits}")


def transfers() -> Iterator[Line]:
    """Clips in pinned memory, which are copied during the previous step, or in pageable memory."""
    variants = Variant("pinned"), Variant("not pinned", pinned=False)
    for overrides in ((*VID2VID, *SIZES["512x256"]), PAPER):
        yield from compare(overrides, *variants, about="transfer")


def sampling() -> Iterator[Line]:
    """Sampling one clip at a time, with each network called as usual or replayed as a CUDA graph."""
    for overrides in (*((*VID2VID, *size) for size in SIZES.values()), (*PIX2PIXHD, *SIZES["512x256"]), PAPER):
        plan = plan_on_gpu(*overrides, "evaluation.frames=24")
        bench = Benchmark(plan, STEPS, WARM_UP)
        bench.pause = lambda: None
        trainer = trainer_for(plan, Path(tempfile.gettempdir()))
        model = build(asdict(plan.settings.model), plan.spec).eval().to(bench.device)
        model.evaluation = plan.request
        captured = deepcopy(model)
        captured.capture_cuda_graphs()
        variants: dict[str, Any] = {"as it is": model, "CUDA graphs": captured}
        seconds: dict[str, dict[str, list[float]]] = {name: {} for name in variants}
        held = dict.fromkeys(variants, 0)
        for _ in range(ROUNDS):
            for name, each in variants.items():
                before = torch.cuda.memory_allocated()
                with torch.no_grad():
                    for series, row in bench.measure_sampling(trainer, each).items():
                        seconds[name].setdefault(series, []).extend(row)
                held[name] += torch.cuda.memory_allocated() - before
        for name in variants:
            compared = ratios(seconds["as it is"], seconds[name])
            yield {
                "model": plan.card.name,
                "size": f"{plan.spec.width}x{plan.spec.height}",
                "side": name,
                "first_frame_ms": in_ms(seconds[name]["sample/first_frame"]),
                "frame_ms": in_ms(seconds[name]["sample/frame"]),
                "frames_per_s": round(1 / spread(seconds[name]["sample/frame"]).median, 1),
                "ratio": with_interval(compared["sample/frame"]),
                "ratio_first_frame": with_interval(compared["sample/first_frame"]),
                "held_mib": round(held[name] / MEBIBYTE, 1),
                "words": list(overrides),
            }


def roofline_of_step() -> Iterator[Line]:
    """How close the time of a step comes to that of its convolutions alone."""
    for overrides in ((*VID2VID, *SIZES["512x256"]), PAPER):
        for bits in ("32", "bf16"):
            plan = plan_on_gpu(*overrides, f"trainer.precision={bits}", "data.workers=8")
            bench, split = Benchmark(plan, STEPS, WARM_UP), StepProfiler(CudaTimer(), lambda step: None)
            count = FlopCounter(WARM_UP)
            with tempfile.TemporaryDirectory() as scratch:
                bench.fit(Path(scratch), WARM_UP + STEPS, False, split)
                bench.fit(Path(scratch), WARM_UP + STEPS, False, None, count)
            whole = split.seconds()["whole"][WARM_UP:]
            measured = roofline(count, whole, bench.device, bench.timer, WARM_UP, STEPS)
            size = f"{plan.spec.width}x{plan.spec.height}"
            yield {"model": plan.card.name, "size": size, "precision": bits, **measured, "words": list(overrides)}


class ProfileLastStep(Callback):
    """Profiles the device in the last step of a block."""

    def __init__(self) -> None:
        self.profile = profile(activities=[ProfilerActivity.CUDA])

    def on_train_batch_start(self, trainer: Trainer, model: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start profiling in the last step."""
        if batch_idx == WARM_UP + STEPS - 1:
            self.profile.start()

    def on_train_batch_end(
        self, trainer: Trainer, model: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop profiling once the device is idle."""
        if batch_idx == WARM_UP + STEPS - 1:
            torch.cuda.synchronize()
            self.profile.stop()


def busy() -> Iterator[Line]:
    """How long the GPU is busy in a step, how many kernels are launched, and which take longest."""
    for overrides in ((*VID2VID, *SIZES["256x128"]), (*VID2VID, *SIZES["512x256"]), PAPER):
        for variant in (DEFAULT, BF16):
            training = Training(variant, overrides)
            training.run_block()
            training.run_block(last_step := ProfileLastStep())
            kernels = [event for event in last_step.profile.key_averages() if event.self_device_time_total]
            kernels.sort(key=lambda event: event.self_device_time_total, reverse=True)
            yield {
                "model": training.plan.card.name,
                "size": f"{training.plan.spec.width}x{training.plan.spec.height}",
                "side": variant.name,
                "step_ms": in_ms(training.seconds["whole"][:STEPS]),  # without the profiler
                "busy_ms_per_step": round(sum(k.self_device_time_total for k in kernels) / 1000, 3),
                "kernels_per_step": sum(kernel.count for kernel in kernels),
                "longest": [
                    [kernel.key[:90], round(kernel.self_device_time_total / 1000, 3), kernel.count]
                    for kernel in kernels[:15]
                ],
                "words": [*overrides, *variant.overrides],
            }


def against_release() -> Iterator[Line]:
    """vid2vid compared with its release's arrangement, see vid2vid.py."""
    for size in release.SIZES["cuda"]:
        for measure in (release.training, release.sampling):
            torch.manual_seed(0)
            yield measure(*size, "cuda")


def compiled_videovae() -> Iterator[Line]:
    """VideoVAE with the paper's sizes, compiled or not."""
    variants = Variant("as it is"), Variant("compiled", ("trainer.compile=true",))
    yield from compare((*PAPER, "trainer.precision=bf16"), *variants, about="compile")


def compiled_vid2vid() -> Iterator[Line]:
    """vid2vid, compiled or not; compiling takes minutes, since each network is compiled for every input shape."""
    variants = Variant("as it is"), Variant("compiled", ("trainer.compile=true",))
    yield from compare((*VID2VID, *SIZES["256x128"], "trainer.precision=bf16"), *variants, about="compile")


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
    roofline_of_step: 40,
    compiled_videovae: 90,
    compiled_vid2vid: 240,
}
"""Part -> its time limit in seconds."""
PARTS_OF_ALL = {part.__name__: part for part in LIMITS}


# ---------------------------------------------------------------- running the parts


def run_part(part: Callable[[], Iterator[Line]], out: Path, provenance: Line) -> None:
    """Measure a part and write its lines; runs in a process of its own."""
    os.setsid()
    faulthandler.dump_traceback_later(LIMITS[part] - 1)
    hush_libraries()
    try:
        for line in part():
            written = {"part": part.__name__, **line, **provenance, "device": torch.cuda.get_device_name()}
            with out.open("a") as file:
                file.write(json.dumps(written) + "\n")
            shown = {name: value for name, value in line.items() if name not in ("words", "convolutions", "longest")}
            print(json.dumps(shown), flush=True)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def main() -> None:
    """Run the parts one after another, each within its time limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS_OF_ALL), help="parts, in the order in which they run")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.jsonl")
    parser.add_argument("--seconds", type=float, default=900.0, help="time limit of all parts together")
    parser.add_argument("--commit", default=find_commit(), help="for checkouts without a repository")
    args = parser.parse_args()
    provenance = {"commit": args.commit, "torch": torch.__version__}
    end = time.monotonic() + args.seconds
    context = multiprocessing.get_context("fork")
    for part in [PARTS_OF_ALL[name] for name in args.parts.split(",")]:
        start = time.monotonic()
        limit = min(LIMITS[part], end - start)
        if limit <= 1:
            print(f"== {part.__name__}: skipped, no time left", flush=True)
            continue
        process = context.Process(target=run_part, args=(part, args.out, provenance))
        process.start()
        process.join(limit)
        outcome = f"exited with status {process.exitcode}"
        if process.is_alive():
            outcome = "stopped at its time limit"
            os.killpg(process.pid or 0, signal.SIGKILL)  # and its child processes
            process.join()
        print(f"== {part.__name__}: {outcome} after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
