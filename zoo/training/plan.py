"""What a training is going to do: settings that have passed preflight, and what follows from them. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from zoo.card import MODELS, ModelCard
from zoo.cli import plain
from zoo.data.base import DATA_SETS, DataConfig
from zoo.devices.launch import launched
from zoo.evaluation.catalogue import better
from zoo.evaluation.choice import default_metrics, monitor_choices, training_situation
from zoo.evaluation.protocol import Protocol
from zoo.settings import Train
from zoo.training.preflight import check
from zoo.types import ClipSpec, SampleRequest

if TYPE_CHECKING:
    pass


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
        return self.settings.callbacks.monitor or next(iter(monitor_choices(self.card, self.metrics)), None)

    @property
    def objective(self) -> tuple[str, str] | None:
        """That metric as it is logged, and whether the ``min`` or the ``max`` is best."""
        return (self.protocol.key(self.monitor), better(self.monitor)) if self.monitor else None

    @property
    def metrics(self) -> list[str]:
        """What is measured of the samples of a round."""
        situation = training_situation(self.card, self.request.context, self.spec)
        evaluation = self.settings.evaluation
        return list(evaluation.metrics or default_metrics(evaluation, situation))

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
