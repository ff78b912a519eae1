"""Train a model: ``python -m zoo.train model=vid2vid data=puppets``. Everything is in conf/train.yaml.

What can be checked is checked before torch is imported, so a mistake is told in a second.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from zoo.card import MODELS, ModelCard
from zoo.cli import hush_libraries, hydra_command, import_lightning, plain
from zoo.data.base import DATA_SETS, DataConfig, build_set
from zoo.devices.launch import is_first, launched, was_restarted
from zoo.errors import Stopped
from zoo.evaluation.catalogue import better, monitored, of_round
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import read_results
from zoo.runs.files import CONFIG, METRICS
from zoo.runs.lock import claimed, make_room
from zoo.runs.outcome import leave, read_outcome, write_outcome
from zoo.settings import Train
from zoo.training.failures import told
from zoo.training.preflight import check
from zoo.training.resume import Start, check_resumable, resumed
from zoo.types import ClipSpec, SampleRequest

if TYPE_CHECKING:
    from lightning import Callback, Trainer


@dataclass(frozen=True)
class Plan:
    """A training that has passed preflight: the settings, and what follows from them."""

    settings: Train
    card: ModelCard
    data: DataConfig
    spec: ClipSpec

    @property
    def request(self) -> SampleRequest:
        """What is sampled from every evaluation clip."""
        evaluation = self.settings.evaluation
        context = evaluation.context if self.card.samples else 0
        return SampleRequest(evaluation.frames or self.spec.frames, context=context, seed=evaluation.seed)

    @property
    def budget(self) -> int:
        """Training clips over all ranks."""
        return self.settings.budget.clips or self.card.budget_clips

    @property
    def evaluation_clips(self) -> int:
        """Clips of a round of evaluation."""
        return self.settings.evaluation.clips or self.card.evaluation_clips

    @property
    def monitor(self) -> str | None:
        """The metric whose best value is kept; None where none says which samples are better."""
        return self.settings.callbacks.monitor or next(iter(monitored(self.card, self.metrics)), None)

    @property
    def objective(self) -> tuple[str, str] | None:
        """That metric as it is logged, and whether the ``min`` or the ``max`` is best."""
        return (self.protocol.key(self.monitor), better(self.monitor)) if self.monitor else None

    @property
    def metrics(self) -> list[str]:
        """What is measured of the samples of a round."""
        return list(self.settings.evaluation.metrics or of_round(self.card, self.request.context))

    @property
    def protocol(self) -> Protocol:
        """How a round is measured."""
        request = self.request
        return Protocol(
            data=self.data.name,
            split="val",
            clips=self.evaluation_clips,
            frames=request.frames,
            context=request.context,
            fps=self.spec.fps,
            height=self.spec.height,
            width=self.spec.width,
            seed=request.seed,
            settings=self.data.shaping(),
        )

    def config(self) -> dict[str, Any]:
        """The whole as plain data, every choice made: what the run folder and wandb keep."""
        settings = asdict(self.settings)
        settings["budget"]["clips"], settings["evaluation"]["clips"] = self.budget, self.evaluation_clips
        settings["callbacks"]["monitor"] = self.monitor
        settings["resume"], settings["overwrite"] = None, False
        del settings["slots"]  # of a sweep, not of its runs
        return settings | {"data": asdict(self.data), "model": asdict(MODELS.config(settings["model"]))}


def plan(config: DictConfig) -> Plan:
    """Check a composed config; a ZooError says what does not fit."""
    settings: Train = OmegaConf.to_object(config)  # type: ignore[assignment]
    card = MODELS.find(config.model.name).card
    data = DATA_SETS.config(plain(config.data)).suited_to(card)
    settings.model, settings.data = MODELS.config(plain(config.model)), data
    spec = data.spec()
    if settings.strategy.devices == "auto" and (started := launched()):
        settings.strategy.devices, settings.trainer.num_nodes = str(started[0]), started[1]
    check(card, spec, settings)
    return Plan(settings, card, data, spec)


def train(plan: Plan, run: Path, start: Start | None = None) -> dict[str, float]:
    """Train as planned, in ``run``, from the beginning or from ``start``; returns the metrics of the last round."""
    import torch
    from lightning import seed_everything

    from zoo.data.module import VideoData
    from zoo.model import build
    from zoo.runs.load import begin, go_on
    from zoo.runs.wandb_logger import close_loggers

    hush_libraries()
    settings = plan.settings
    if settings.evaluation.clips is None:
        held_out = build_set(replace(plan.data, frames=plan.request.frames), "val", frozenset(), seed=0)
        settings.evaluation.clips = min(plan.card.evaluation_clips, len(held_out))
    if settings.trainer.threads:
        torch.set_num_threads(settings.trainer.threads)
    seed_everything(settings.seed, verbose=False)
    if is_first():
        go_on(run, start.clips_seen) if start else begin(run, plan.config())
    model = build(asdict(settings.model), plan.spec)
    model.seed, model.evaluation = settings.seed, plan.request
    model.lay_out(settings)
    if settings.trainer.compile:
        model.compile_networks()
    for note in model.notes() if is_first() else ():
        print(note)
    clips, frames = plan.evaluation_clips, plan.request.frames
    data = VideoData(plan.data, plan.card.wanted(), plan.budget, settings.seed, clips, frames, model.stage)
    trainer = build_trainer(plan, run, start.rows if start else 0)
    try:
        with told(run):
            trainer.fit(model, data, ckpt_path=start.checkpoint if start else None, weights_only=True)
    finally:
        close_loggers(trainer.loggers, run)
    return figures(run, model.clips_seen) if is_first() else {}


def build_trainer(plan: Plan, run: Path, rows: int = 0) -> Trainer:
    """Lightning's trainer: one pass over the budget, validated in rounds. rows: of metrics.csv that are kept."""
    from lightning import Trainer

    from zoo.devices.strategies import trainer_arguments
    from zoo.runs.wandb_logger import build_loggers

    settings = plan.settings
    return Trainer(
        default_root_dir=run,
        **trainer_arguments(settings, plan.card),
        logger=build_loggers(settings, plan.config(), run, rows),
        callbacks=build_callbacks(plan, run),
        max_epochs=1,
        val_check_interval=1.0 / settings.evaluation.rounds,
        num_sanity_val_steps=0,
        log_every_n_steps=settings.trainer.log_every,
        use_distributed_sampler=False,
        enable_progress_bar=settings.trainer.progress,
        enable_model_summary=False,
    )


def build_callbacks(plan: Plan, run: Path) -> list[Callback]:
    """Everything around training; the average early, so that those after it see its samples."""
    from zoo.callbacks.clock import Clock
    from zoo.callbacks.ema import MovingAverage
    from zoo.callbacks.finite import Finite
    from zoo.callbacks.opening import Opening
    from zoo.callbacks.progress import Bar
    from zoo.callbacks.saving import AfterRounds, BetweenSteps, LastRound
    from zoo.callbacks.throughput import Throughput

    settings = plan.settings.callbacks
    callbacks: list[Callback] = [
        Finite(run),
        BetweenSteps(run, settings.save_minutes),
        MovingAverage(settings.ema_half_life),
        Clock(),
        *looks(plan, run),
        Opening(),
        Throughput(),
        LastRound(),
        AfterRounds(run, plan.objective),
    ]
    return [*callbacks, Bar()] if plan.settings.trainer.progress else callbacks


def looks(plan: Plan, run: Path) -> list[Callback]:
    """What looks at a validation round: of videos, or of what a model reads off them."""
    from zoo.callbacks.accuracy import Accuracy
    from zoo.callbacks.gallery import Gallery
    from zoo.callbacks.measure import Measure
    from zoo.callbacks.overlap import Overlap
    from zoo.evaluation.suite import Suite
    from zoo.evaluation.tools import open_tools

    protocol, spec = plan.protocol, plan.spec
    if "segment" in plan.card.tasks:
        return [Overlap(protocol, run, len(spec.label_names))]
    if not plan.card.samples:
        return [Accuracy(protocol, run, tuple(spec.attributes))]
    setup = open_tools(plan.settings.evaluation, plan.metrics, protocol, spec, plan.data, plan.settings.seed)
    suite = Suite(plan.metrics, protocol, setup)
    return [Measure(suite, run), Gallery(run, plan.settings.callbacks.gallery_clips, spec.fps)]


@hydra_command("train", sweeps=True)
def main(config: DictConfig) -> dict[str, float]:
    """The command: begin a training, or go on with one."""
    run = Path(HydraConfig.get().runtime.output_dir)
    goes_on = bool(config.resume) or (was_restarted() and (run / CONFIG).is_file())
    if goes_on:
        check_resumable(run)
    planned = None if goes_on else plan(config)  # mistakes are told before the folder is touched
    with claimed(run) if is_first() else nullcontext():
        start = None
        if planned is None:
            if outcome := read_outcome(run):
                print(f"{run} has finished its training already. To sample from it: python -m zoo.sample run={run}")
                return outcome["metrics"]  # type: ignore[no-any-return]
            words = HydraConfig.get().overrides.task if config.resume else ()
            settings, start = resumed(run, config, words)
            planned = plan(settings)
        elif is_first():
            make_room(run, config.overwrite)
        try:
            import_lightning()
            metrics = train(planned, run, start)
        except Stopped as stop:
            leave(stop, run)
        if is_first():
            finish(run, planned, metrics)
    return metrics


def figures(run: Path, clips_seen: int) -> dict[str, float]:
    """The metrics of the round at so many clips, by key."""
    lines = [result for result in read_results(run) if result.seen == clips_seen and result.protocol.split == "val"]
    return {result.protocol.key(name): value for result in lines for name, value in result.metrics.items()}


def finish(run: Path, plan: Plan, metrics: dict[str, float]) -> None:
    """Draw the curves, note the outcome; say where the run is, what to open and what to type next."""
    from zoo.visualization.curves import draw_curves

    draw_curves(run / METRICS, run / "curves.png")
    write_outcome(run, metrics, plan.objective)
    here = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    print()
    for key, value in sorted(metrics.items()):
        print(f"{key:32s} {value:.4f}")
    print(f"\nrun      {here}")
    if (run / "gallery.mp4").exists():
        print(f"video    {here}/gallery.mp4")
        print(f"grid     {here}/gallery.png    rows: given, real, generated, and what it was made from")
    print(f"curves   {here}/curves.png, {here}/metrics.csv")
    print(f"more     {what_next(plan.card, here)}")
    for offline in sorted(here.glob("wandb/offline-run-*")):
        print(f"wandb    wandb sync {offline}")


def what_next(card: ModelCard, run: Path) -> str:
    """The command to type after a training."""
    if card.samples:
        return f"python -m zoo.sample run={run} frames=100"
    return f"python -m zoo.evaluate run=<run of a model> {card.name}={run}"


if __name__ == "__main__":
    main()
