"""The plan of a training: settings that have passed preflight, and what is derived from them. Imports no torch."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zoo.card import MODELS, ModelCard
from zoo.cli import plain
from zoo.data.base import DATA_SETS, DataConfig
from zoo.devices.launch import launched_processes
from zoo.evaluation.catalogue import METRICS, better
from zoo.evaluation.choice import default_metrics, monitor_choices, training_situation
from zoo.evaluation.features.names import features_key
from zoo.evaluation.protocol import Protocol
from zoo.fields.ranges import check_ranges
from zoo.settings import Train
from zoo.training.preflight import check, evaluation_context
from zoo.types import ClipSpec, SampleRequest


@dataclass(frozen=True)
class Plan:
    """A training that has passed preflight: its settings, and what is derived from them."""

    settings: Train
    card: ModelCard
    data: DataConfig
    spec: ClipSpec

    @property
    def request(self) -> SampleRequest:
        """The request that is sampled from every validation clip."""
        evaluation = self.settings.evaluation
        context = evaluation_context(self.settings) if self.card.samples else 0
        return SampleRequest(evaluation.frames or self.spec.frames, context=context, seed=evaluation.seed)

    @property
    def budget(self) -> int:
        """Number of training clips, over all ranks."""
        return self.settings.budget.clips or self.card.budget_clips

    @property
    def evaluation_clips(self) -> int:
        """Number of clips of a validation round."""
        return self.settings.evaluation.clips or self.card.evaluation_clips

    @property
    def monitor(self) -> str | None:
        """Name of the metric that selects best.ckpt; None if no metric says which samples are better."""
        return self.settings.callbacks.monitor or next(iter(monitor_choices(self.card, self.metrics)), None)

    @property
    def objective(self) -> tuple[str, str] | None:
        """The logged key of ``monitor``, and whether its ``min`` or ``max`` is best."""
        if self.monitor is None:
            return None
        tool, evaluation = METRICS[self.monitor].tool if self.card.samples else "", self.settings.evaluation
        features = (
            tool if tool == "classifier" else features_key(str(evaluation.features)) if tool == "features" else ""
        )
        return replace(self.protocol, features=features).key(self.monitor), better(self.monitor)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics of a validation round."""
        situation = training_situation(self.card, self.settings.model, self.request.context, self.spec)
        evaluation = self.settings.evaluation
        return list(evaluation.metrics or default_metrics(evaluation, situation))

    @property
    def protocol(self) -> Protocol:
        """The protocol of a validation round."""
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
            selection=self.data.selection,
            settings=self.data.shaping(),
            options={"batch": self.data.batch_size} if self._shows_batch else {},
        )

    @property
    def _shows_batch(self) -> bool:
        """Whether the size of a batch changes the samples."""
        return self.card.samples and self.settings.model.batch_statistics and self.data.batch_size > 1

    def config(self) -> dict[str, Any]:
        """All settings as plain data, with every default resolved; stored in the run folder and in wandb."""
        settings = asdict(self.settings)
        settings["budget"]["clips"], settings["evaluation"]["clips"] = self.budget, self.evaluation_clips
        settings["evaluation"]["context"] = evaluation_context(self.settings)
        settings["callbacks"]["monitor"] = self.monitor
        settings["logger"]["project"] = self.settings.logger.project or os.environ.get("WANDB_PROJECT") or "zoo"
        settings["resume"], settings["overwrite"] = None, False
        for name in ("slots", "trust", "accept_changed_data"):  # of a sweep and of a command, not of their runs
            del settings[name]
        return settings | {"data": asdict(self.data), "model": asdict(MODELS.config(settings["model"]))}


def located(data: DataConfig) -> DataConfig:
    """The data settings with absolute paths, so that a run finds its data from any folder."""
    typed = {name: getattr(data, name, None) for name in ("root", "flow_weights")}
    absolute: dict[str, Any] = {name: str(Path(path).expanduser().absolute()) for name, path in typed.items() if path}
    return replace(data, **absolute)


def plan(config: DictConfig) -> Plan:
    """Check a composed config and plan its training. Raises ZooError for settings that do not fit each other."""
    settings: Train = OmegaConf.to_object(config)  # type: ignore[assignment]
    check_ranges(settings)
    card = MODELS.find(config.model.name).card
    data = DATA_SETS.config(plain(config.data)).suited_to(card)
    settings.model, settings.data = MODELS.config(plain(config.model)), data
    spec = data.spec()
    settings.data = data = located(data)
    assert spec.channels == data.channels, f"spec() of the data set {data.name} ignores data.channels"
    if settings.strategy.devices == "auto" and (started := launched_processes()):
        settings.strategy.devices, settings.trainer.num_nodes = str(started[0]), started[1]
    check(card, spec, settings)
    return Plan(settings, card, data, spec)
