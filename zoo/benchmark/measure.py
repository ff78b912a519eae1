"""Measure a training: steps, sampling, metrics, loading, memory, and the share of the roofline.

Every measurement is a list of seconds, one per repetition, with a name such as ``step/forward`` or ``sample/frame``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.profilers import Profiler
from torch.utils.data import default_collate

from zoo.benchmark.roofline import FlopCounter, roofline
from zoo.benchmark.step_profiler import StepProfiler, build_timer
from zoo.callbacks.clips_seen import ClipsSeen
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.callbacks.throughput import peak_memory
from zoo.cli import hush_libraries
from zoo.data.base import build_set
from zoo.data.module import ClipLoader, VideoData
from zoo.errors import ZooError
from zoo.model import VideoModel, build
from zoo.runs.provenance import describe_environment
from zoo.training.plan import Plan
from zoo.training.trainer import evaluation_callbacks, trainer_arguments
from zoo.types import Clip, SampleRequest

Seconds = dict[str, list[float]]
Pause = Callable[[], None]
COUNTED = 10  # steps whose FLOPs are counted
AHEAD = 4  # batches per loading process, more than it prefetches: it is still busy when the last step is measured


class UngroupedData(VideoData):
    """Loads batches one by one. In groups they arrive in bursts, so that hardly two steps would take the same time."""

    def train_dataloader(self) -> ClipLoader:
        """The loader of the training, without batch groups."""
        loader = super().train_dataloader()
        if hasattr(loader, "batch_groups"):  # not in older checkouts
            loader.batch_groups.max_bytes = 0
        return loader


class Benchmark:
    """Measures one planned training. repetitions: of every measurement, after ``warm_up`` that are not measured."""

    def __init__(self, plan: Plan, repetitions: int, warm_up: int) -> None:
        hush_libraries()
        self.plan, self.repetitions, self.warm_up = plan, repetitions, warm_up
        trainer = trainer_for(plan, Path())
        self.device, self.ranks = trainer.strategy.root_device, trainer.world_size
        self.timer = build_timer(self.device)

    def run(self, pause: Pause) -> dict[str, Any]:
        """Measure everything; returns plain data. pause: called before each measured repetition."""
        self.pause = pause
        if self.plan.settings.trainer.threads:
            torch.set_num_threads(self.plan.settings.trainer.threads)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            profiler = StepProfiler(self.timer, lambda step: pause() if step >= self.warm_up else None)
            after = MeasureAfterTraining(self, folder)
            averages = MovingAverage(self.plan.settings.callbacks.ema_half_life)
            callbacks = (StopOnNonFinite(folder), averages, ClipsSeen(), after)
            steps = self.warm_up + self.repetitions
            model = self.fit(folder, steps, self.plan.settings.trainer.compile, profiler, *callbacks)
            step = {f"step/{part}": row[self.warm_up :] for part, row in profiler.seconds().items()}
            seconds = {**step, **after.seconds, **self.measure_loading(model)}
            counter = FlopCounter(self.warm_up)
            self.fit(folder, min(steps, self.warm_up + COUNTED), False, None, counter)
            hardware = roofline(counter, step["step/whole"], self.device, self.timer, self.warm_up, self.repetitions)
        return {
            "config": self.plan.config(),
            "environment": describe_environment(),
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "seconds": seconds,
            "memory_mib": after.memory,
            "roofline": hardware,
        }

    # ---------------------------------------------------------------- training

    def fit(
        self, folder: Path, steps: int, compiled: bool, profiler: Profiler | None, *callbacks: Callback
    ) -> VideoModel[Any]:
        """Train for a number of steps as `zoo.train` does, but without validation, checkpoints and loggers."""
        plan = self.plan
        seed_everything(plan.settings.seed, verbose=False)
        model = build(asdict(plan.settings.model), plan.spec)
        model.seed, model.evaluation = plan.settings.seed, plan.request
        if hasattr(model, "apply_memory_format"):  # not in older checkouts
            model.apply_memory_format(plan.settings)
        if compiled:
            model.compile_networks()
        trainer = trainer_for(plan, folder, limit_train_batches=steps, profiler=profiler, callbacks=list(callbacks))
        trainer.fit(model, self.loaders(model, steps))
        return model

    def loaders(self, model: VideoModel[Any], batches: int) -> VideoData:
        """The data for a number of batches, and more, which are loaded but not used."""
        plan = self.plan
        budget = (batches + AHEAD * max(plan.data.workers, 1)) * plan.data.batch_size * self.ranks
        wanted, seed, frames = plan.card.wanted(), plan.settings.seed, plan.request.frames
        return UngroupedData(plan.data, wanted, budget, seed, 1, frames, model.curriculum_stage)

    # ---------------------------------------------------------------- other measurements

    def repeat(self, run_once: Callable[[], Seconds]) -> Seconds:
        """Run a measurement for all repetitions, and collect its seconds, except those of the warm-up."""
        kept: Seconds = {}
        for number in range(self.warm_up + self.repetitions):
            if number >= self.warm_up:
                self.pause()
            for name, row in run_once().items():
                if number >= self.warm_up:
                    kept.setdefault(name, []).extend(row)
        return kept

    def time(self, work: Callable[[], object]) -> float:
        """Seconds that a function takes, including the work that it queues on a device."""
        self.timer.settle()
        begin = self.timer.now()
        work()
        return self.timer.between(begin, self.timer.now())

    def measure_loading(self, model: VideoModel[Any]) -> Seconds:
        """Time the loader of training clips alone. Loading processes deliver in bursts, so several batches are timed
        together."""
        batches_per_repetition = 2 * max(self.plan.data.workers, 1)
        batches = iter(
            self.loaders(model, batches_per_repetition * (self.warm_up + self.repetitions)).train_dataloader()
        )
        clips = batches_per_repetition * self.plan.data.batch_size

        def run_once() -> Seconds:
            return {"load/clip": [self.time(lambda: [next(batches) for _ in range(batches_per_repetition)]) / clips]}

        return self.repeat(run_once)

    def measure_sampling(self, trainer: Trainer, model: VideoModel[Any]) -> Seconds:
        """Time samples of one clip, with the request of a validation round."""
        request = replace(model.evaluation, given=self.held_out(trainer, 1))

        def run_once() -> Seconds:
            self.timer.settle()
            marks = [self.timer.now()]
            for number, _ in enumerate(frames_of(model, request)):
                if number == request.context:
                    marks.append(self.timer.now())
            marks.append(self.timer.now())
            first, whole = (self.timer.between(marks[0], mark) for mark in marks[1:])
            return {"sample/first_frame": [first], "sample/frame": [whole / (request.frames - request.context)]}

        return self.repeat(run_once)

    def measure_metrics(self, trainer: Trainer, model: VideoModel[Any], folder: Path) -> Seconds:
        """Time the metrics of a validation round on a batch that has been sampled."""
        evaluation = evaluation_callbacks(self.plan, folder)[0]
        evaluation.on_validation_start(trainer, model)
        batch = self.held_out(trainer, self.plan.data.batch_size)
        outputs: Any = model.validation_step(batch, 0)

        def run_once() -> Seconds:
            update = self.time(lambda: evaluation.on_validation_batch_end(trainer, model, outputs, batch, 0))
            return {"metrics/clip": [update / len(batch["video"])]}

        return self.repeat(run_once)

    def held_out(self, trainer: Trainer, count: int) -> Clip:
        """A batch of at most ``count`` validation clips on the model's device."""
        frames = self.plan.request.frames
        clips = build_set(replace(self.plan.data, frames=frames), "val", self.plan.card.wanted(), seed=0)
        if not len(clips):
            raise ZooError(
                f"data={self.plan.data.name} has no validation clip of {frames} frames. Try: evaluation.frames=<fewer>"
            )
        batch = default_collate([clips.clip(index, 0, frames) for index in range(min(count, len(clips)))])
        return trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))


class MeasureAfterTraining(Callback):
    """Measures sampling and metrics after the last step, with the model still on its devices."""

    def __init__(self, benchmark: Benchmark, folder: Path) -> None:
        self.benchmark, self.folder = benchmark, folder
        self.seconds: Seconds = {}
        self.memory: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Record the memory of libraries, weights and loaders."""
        self.memory["before"] = peak_memory()

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Record the peak memory, and measure sampling and metrics."""
        self.memory["peak"] = peak_memory()
        model.eval()
        model.on_validation_start()
        with trainer.precision_plugin.val_step_context():
            if model.card.samples:
                self.seconds |= self.benchmark.measure_sampling(trainer, model)
            self.seconds |= self.benchmark.measure_metrics(trainer, model, self.folder)
        model.on_validation_end()


def trainer_for(plan: Plan, folder: Path, **more: Any) -> Trainer:
    """Build the trainer of `zoo.train`, but without loggers, checkpoints, validation and progress."""
    return Trainer(
        default_root_dir=folder,
        **trainer_arguments(plan.settings, plan.card),
        logger=False,
        enable_checkpointing=False,
        max_epochs=1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        log_every_n_steps=plan.settings.trainer.log_every,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **more,
    )


def frames_of(model: VideoModel[Any], request: SampleRequest) -> Iterator[object]:
    """Iterate over the frames of a sample; those of a model that does not stream all come at the end."""
    if model.card.streams:
        return islice(model.stream(request), request.frames)
    return iter(model.sample(request).video.unbind(1))
