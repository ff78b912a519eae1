"""Train a model: ``python -m zoo.train model=vid2vid data=puppets``. Everything is in conf/train.yaml.

What can be checked is checked before torch is imported, so a mistake is told in a second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from zoo.card import MODELS, ModelCard
from zoo.cli import hush_libraries, hydra_command, plain
from zoo.data.base import DATA_SETS, DataConfig, build_set
from zoo.evaluation.catalogue import OF_SAMPLES, better, monitored
from zoo.evaluation.protocol import Protocol
from zoo.outcome import write_outcome
from zoo.preflight import check
from zoo.settings import Train
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
    def monitor(self) -> str:
        """The metric whose best value is kept."""
        return self.settings.callbacks.monitor or monitored(self.card, self.metrics)[0]

    @property
    def metrics(self) -> list[str]:
        """What is measured of the samples of a round."""
        return list(self.settings.evaluation.metrics or OF_SAMPLES)

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
        del settings["slots"]  # of a sweep, not of its runs
        return settings | {"data": asdict(self.data), "model": asdict(MODELS.config(settings["model"]))}


def plan(config: DictConfig) -> Plan:
    """Check a composed config; a ZooError says what does not fit."""
    settings: Train = OmegaConf.to_object(config)  # type: ignore[assignment]
    card = MODELS.find(config.model.name).card
    data = DATA_SETS.config(plain(config.data)).suited_to(card)
    settings.model, settings.data = MODELS.config(plain(config.model)), data
    spec = data.spec()
    check(card, spec, settings)
    return Plan(settings, card, data, spec)


def train(plan: Plan, run: Path) -> dict[str, float]:
    """Train as planned, in ``run``; returns the metrics of the last validation."""
    import torch
    from lightning import seed_everything
    from lightning.pytorch.utilities import rank_zero_only

    from zoo.data.module import VideoData
    from zoo.loggers import close_loggers
    from zoo.model import build
    from zoo.run import begin

    hush_libraries()
    settings = plan.settings
    if settings.evaluation.clips is None:
        held_out = build_set(replace(plan.data, frames=plan.request.frames), "val", frozenset(), seed=0)
        settings.evaluation.clips = min(plan.card.evaluation_clips, len(held_out))
    if settings.trainer.threads:
        torch.set_num_threads(settings.trainer.threads)
    seed_everything(settings.seed, verbose=False)
    begin(run, plan.config())
    model = build(asdict(settings.model), plan.spec)
    model.seed, model.evaluation = settings.seed, plan.request
    for note in model.notes():
        rank_zero_only(print)(note)
    clips, frames = plan.evaluation_clips, plan.request.frames
    data = VideoData(plan.data, plan.card.wanted(), plan.budget, settings.seed, clips, frames, model.stage)
    trainer = build_trainer(plan, run)
    try:
        trainer.fit(model, data)
    finally:
        close_loggers(trainer.loggers, run)
    return {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("val/")}


def build_trainer(plan: Plan, run: Path) -> Trainer:
    """Lightning's trainer: one pass over the budget, validated in rounds."""
    from lightning import Trainer

    from zoo.loggers import build_loggers

    settings, strategy = plan.settings, plan.settings.strategy
    return Trainer(
        default_root_dir=run,
        accelerator=strategy.accelerator,
        devices=strategy.devices,
        strategy=lightning_strategy(strategy.name, plan.card),
        precision=settings.trainer.precision,  # type: ignore[arg-type]
        logger=build_loggers(settings, plan.config(), run),
        callbacks=build_callbacks(plan, run),
        max_epochs=1,
        val_check_interval=1.0 / settings.evaluation.rounds,
        num_sanity_val_steps=0,
        log_every_n_steps=settings.trainer.log_every,
        use_distributed_sampler=False,
        enable_progress_bar=settings.trainer.progress,
        enable_model_summary=False,
    )


def lightning_strategy(name: str, card: ModelCard) -> str:
    """Lightning's name of a strategy; several optimizers leave the others' parameters without a gradient."""
    if name != "ddp":
        return "auto"
    return "ddp_find_unused_parameters_true" if card.adversarial else "ddp"


def build_callbacks(plan: Plan, run: Path) -> list[Callback]:
    """Everything around training; the average first, so that the others see its samples."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    from zoo.callbacks.clock import Clock
    from zoo.callbacks.ema import MovingAverage
    from zoo.callbacks.finite import Finite
    from zoo.callbacks.progress import Bar, LastRound
    from zoo.callbacks.throughput import Throughput

    settings, protocol = plan.settings.callbacks, plan.protocol
    each_round: dict[str, Any] = {"save_on_train_epoch_end": False, "enable_version_counter": False}
    callbacks: list[Callback] = [
        Finite(run),
        MovingAverage(settings.ema_half_life),
        Clock(),
        *looks(plan, run),
        Throughput(),
        LastRound(),
        # Two, since Lightning's own `save_last` writes the last state only where that is also the best.
        ModelCheckpoint(run, "last", **each_round),
        ModelCheckpoint(run, "best", monitor=protocol.key(plan.monitor), mode=better(plan.monitor), **each_round),
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
    """The command."""
    planned = plan(config)
    from lightning.pytorch.utilities import rank_zero_only

    run = Path(HydraConfig.get().runtime.output_dir)
    metrics = train(planned, run)
    rank_zero_only(finish)(run, planned.card.name, metrics)
    rank_zero_only(write_outcome)(run, metrics, planned.protocol.key(planned.monitor), better(planned.monitor))
    return metrics


def finish(run: Path, model: str, metrics: dict[str, float]) -> None:
    """Draw the curves; say where the run is, what to open and what to type next."""
    from zoo.callbacks.curves import draw_curves

    draw_curves(run / "metrics.csv", run / "curves.png")
    here = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    print()
    for key, value in sorted(metrics.items()):
        print(f"{key:32s} {value:.4f}")
    print(f"\nrun      {here}")
    if (run / "gallery.mp4").exists():
        print(f"video    {here}/gallery.mp4")
        print(f"grid     {here}/gallery.png    rows: given, real, generated, and what it was made from")
    print(f"curves   {here}/curves.png, {here}/metrics.csv")
    print(f"more     {what_next(MODELS.find(model).card, here)}")
    for offline in sorted(here.glob("wandb/offline-run-*")):
        print(f"wandb    wandb sync {offline}")


def what_next(card: ModelCard, run: Path) -> str:
    """The command to type after a training."""
    if card.samples:
        return f"python -m zoo.sample run={run} frames=100"
    return f"python -m zoo.evaluate run=<run of a model> {card.name}={run}"


if __name__ == "__main__":
    main()
