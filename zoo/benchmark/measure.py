"""What is measured of a training: its steps, sampling, metrics, loading, memory and how near it comes to the hardware.

Every figure is a list of seconds, one for each repetition, by name: ``step/forward``, ``sample/frame``.
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

from zoo.benchmark.roofline import Count, roofline
from zoo.benchmark.split import Split, clock_of
from zoo.callbacks.clips_seen import ClipsSeen
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.callbacks.throughput import peak_memory
from zoo.cli import hush_libraries
from zoo.data.base import build_set
from zoo.data.module import ClipLoader, VideoData
from zoo.errors import ZooError
from zoo.model import VideoModel, build
from zoo.runs.provenance import environment
from zoo.training.plan import Plan
from zoo.training.trainer import looks, trainer_arguments
from zoo.types import Clip, SampleRequest

Seconds = dict[str, list[float]]
Pause = Callable[[], None]
COUNTED = 10  # steps whose FLOPs are counted
AHEAD = 4  # batches for each loading process, more than it keeps ready: it works on while the last step is measured


class EvenData(VideoData):
    """Transfers batches one at a time: in groups they arrive in bursts, and the times of a few steps would differ."""

    def train_dataloader(self) -> ClipLoader:
        """The whole training as one pass."""
        loader = super().train_dataloader()
        if hasattr(loader, "batch_groups"):  # older checkouts have none
            loader.batch_groups.max_bytes = 0
        return loader


class Benchmark:
    """Of one plan."""

    def __init__(self, plan: Plan, repetitions: int, warm_up: int) -> None:
        hush_libraries()
        self.plan, self.repetitions, self.warm_up = plan, repetitions, warm_up
        trainer = trainer_for(plan, Path())
        self.device, self.ranks = trainer.strategy.root_device, trainer.world_size
        self.clock = clock_of(self.device)

    def run(self, pause: Pause) -> dict[str, Any]:
        """Everything, as plain data. pause: called before each repetition that is measured."""
        self.pause = pause
        if self.plan.settings.trainer.threads:
            torch.set_num_threads(self.plan.settings.trainer.threads)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            split = Split(self.clock, lambda step: pause() if step >= self.warm_up else None)
            after = AfterSteps(self, folder)
            averages = MovingAverage(self.plan.settings.callbacks.ema_half_life)
            callbacks = (StopOnNonFinite(folder), averages, ClipsSeen(), after)
            steps = self.warm_up + self.repetitions
            model = self.fit(folder, steps, self.plan.settings.trainer.compile, split, *callbacks)
            step = {f"step/{part}": row[self.warm_up :] for part, row in split.seconds().items()}
            seconds = {**step, **after.seconds, **self.loading(model)}
            count = Count(self.warm_up)
            self.fit(folder, min(steps, self.warm_up + COUNTED), False, None, count)
            near = roofline(count, step["step/whole"], self.device, self.clock, self.warm_up, self.repetitions)
        return {
            "config": self.plan.config(),
            "environment": environment(),
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "seconds": seconds,
            "memory_mib": after.memory,
            "roofline": near,
        }

    # ---------------------------------------------------------------- training

    def fit(
        self, folder: Path, steps: int, compiled: bool, profiler: Profiler | None, *callbacks: Callback
    ) -> VideoModel[Any]:
        """Take so many steps as `zoo.train` does, without what happens between them: rounds, checkpoints, loggers."""
        plan = self.plan
        seed_everything(plan.settings.seed, verbose=False)
        model = build(asdict(plan.settings.model), plan.spec)
        model.seed, model.evaluation = plan.settings.seed, plan.request
        if hasattr(model, "apply_memory_format"):  # older checkouts have none
            model.apply_memory_format(plan.settings)
        if compiled:
            model.compile_networks()
        trainer = trainer_for(plan, folder, limit_train_batches=steps, profiler=profiler, callbacks=list(callbacks))
        trainer.fit(model, self.loaders(model, steps))
        return model

    def loaders(self, model: VideoModel[Any], batches: int) -> VideoData:
        """The data of so many steps, and some that nobody waits for."""
        plan = self.plan
        budget = (batches + AHEAD * max(plan.data.workers, 1)) * plan.data.batch_size * self.ranks
        wanted, seed, frames = plan.card.wanted(), plan.settings.seed, plan.request.frames
        return EvenData(plan.data, wanted, budget, seed, 1, frames, model.curriculum_stage)

    # ---------------------------------------------------------------- the other measures

    def repeated(self, once: Callable[[], Seconds]) -> Seconds:
        """Do it as often as is asked for, and keep the seconds that it gives, but for those of the warm-up."""
        kept: Seconds = {}
        for number in range(self.warm_up + self.repetitions):
            if number >= self.warm_up:
                self.pause()
            for name, row in once().items():
                if number >= self.warm_up:
                    kept.setdefault(name, []).extend(row)
        return kept

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds until it is done, on whatever device."""
        self.clock.settle()
        begin = self.clock.now()
        work()
        return self.clock.between(begin, self.clock.now())

    def loading(self, model: VideoModel[Any]) -> Seconds:
        """Clips of training from the loader, with nothing else to do. Loading processes bring batches in bursts, so a
        handful is measured as one."""
        handful = 2 * max(self.plan.data.workers, 1)
        batches = iter(self.loaders(model, handful * (self.warm_up + self.repetitions)).train_dataloader())
        clips = handful * self.plan.data.batch_size

        def once() -> Seconds:
            return {"load/clip": [self.timed(lambda: [next(batches) for _ in range(handful)]) / clips]}

        return self.repeated(once)

    def sampling(self, trainer: Trainer, model: VideoModel[Any]) -> Seconds:
        """One clip at a time, as a round of evaluation asks for it."""
        request = replace(model.evaluation, given=self.held_out(trainer, 1))

        def once() -> Seconds:
            self.clock.settle()
            marks = [self.clock.now()]
            for number, _ in enumerate(frames_of(model, request)):
                if number == request.context:
                    marks.append(self.clock.now())
            marks.append(self.clock.now())
            first, whole = (self.clock.between(marks[0], mark) for mark in marks[1:])
            return {"sample/first_frame": [first], "sample/frame": [whole / (request.frames - request.context)]}

        return self.repeated(once)

    def measuring(self, trainer: Trainer, model: VideoModel[Any], folder: Path) -> Seconds:
        """What a round of evaluation measures of a batch that has been sampled."""
        measure = looks(self.plan, folder)[0]
        measure.on_validation_start(trainer, model)
        batch = self.held_out(trainer, self.plan.data.batch_size)
        outputs: Any = model.validation_step(batch, 0)

        def once() -> Seconds:
            update = self.timed(lambda: measure.on_validation_batch_end(trainer, model, outputs, batch, 0))
            return {"metrics/clip": [update / len(batch["video"])]}

        return self.repeated(once)

    def held_out(self, trainer: Trainer, most: int) -> Clip:
        """A batch of evaluation clips, where the model is."""
        frames = self.plan.request.frames
        clips = build_set(replace(self.plan.data, frames=frames), "val", self.plan.card.wanted(), seed=0)
        if not len(clips):
            raise ZooError(f"The data set `{self.plan.data.name}` has no evaluation clip of {frames} frames.")
        batch = default_collate([clips.clip(index, 0, frames) for index in range(min(most, len(clips)))])
        return trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))  # type: ignore[no-any-return]


class AfterSteps(Callback):
    """Measures what a trained model does, while it stands where it was trained."""

    def __init__(self, benchmark: Benchmark, folder: Path) -> None:
        self.benchmark, self.folder = benchmark, folder
        self.seconds: Seconds = {}
        self.memory: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Libraries, weights and loaders are there."""
        self.memory["before"] = peak_memory()

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """After the last step."""
        self.memory["peak"] = peak_memory()
        model.eval()
        model.on_validation_start()
        with trainer.precision_plugin.val_step_context():
            if model.card.samples:
                self.seconds |= self.benchmark.sampling(trainer, model)
            self.seconds |= self.benchmark.measuring(trainer, model, self.folder)
        model.on_validation_end()


def trainer_for(plan: Plan, folder: Path, **more: Any) -> Trainer:
    """Lightning's trainer as `zoo.train` builds it, but that it writes and shows nothing."""
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
    """The frames one by one; of a model that does not stream they all come at the end."""
    if model.card.streams:
        return islice(model.stream(request), request.frames)
    return iter(model.sample(request).video.unbind(1))
