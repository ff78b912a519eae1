"""The base class of every model: a Lightning module that can be sampled from.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from lightning import LightningModule
from torch import Tensor, nn

from zoo.card import MODELS, ModelCard
from zoo.errors import ZooError, listed
from zoo.types import Clip, ClipSpec, Sample, SampleRequest, Stage, Verdict

ConfigT = TypeVar("ConfigT")


class VideoModel(LightningModule, Generic[ConfigT]):
    """A model of the zoo. A subclass gives ``card``, ``training_step``, ``configure_optimizers`` and ``sample``.

    A model that makes frames one after another gives ``stream`` instead of ``sample``. Models hold no metrics:
    validation samples once and hands ``(clip, sample)`` to the callbacks.
    """

    card: ClassVar[ModelCard]
    source: str | None = None  # the field that a model translates from, `labels` or `condition`

    def __init__(self, config: ConfigT, spec: ClipSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.seed = 0
        self.clips_seen = 0
        self.step_clips = 0  # of them, those of the batch at hand
        self.accuracy: dict[str, float] = {}  # of a model that reads clips, on held-out ones: by attribute, or its miou
        self.losses: dict[str, Tensor] = {}  # of the last step, by part
        self.evaluation = SampleRequest(frames=spec.frames)
        # Plain data, so that a checkpoint rebuilds the model without unpickling code.
        self.save_hyperparameters({"model": asdict(config), "spec": asdict(spec)}, logger=False)  # type: ignore[call-overload]

    # ---------------------------------------------------------------- what a model gives

    @abstractmethod
    def training_step(self, clip: Clip, batch_idx: int) -> Tensor | None:
        """One step on a batch of clips."""

    def sample(self, request: SampleRequest) -> Sample:
        """Make ``request.frames`` frames; the same request gives the same sample."""
        frames = list(islice(self.stream(request), request.frames))
        details = {name: torch.stack([f.details[name] for f in frames], 1) for name in frames[0].details}
        return Sample(torch.stack([f.video for f in frames], 1), details)

    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Yield the frames of a sample one by one, without the axis T, at constant memory."""
        raise NotImplementedError(f"{self.card.name} does not stream")

    def classify(self, video: Tensor) -> Verdict:
        """Of a model that classifies: what it says of clips, (B, T, 3, H, W), attribute by attribute."""
        raise NotImplementedError(f"{self.card.name} does not classify")

    def segment(self, video: Tensor) -> Tensor:
        """Of a model that segments: the label of every pixel, (B, T, 3, H, W) -> (B, T, H, W) int64."""
        raise NotImplementedError(f"{self.card.name} does not segment")

    def ema_parts(self) -> dict[str, nn.Module]:
        """The parts that sampling uses, by attribute name: their moving average is kept and sampled from."""
        return {}

    def stage(self, clips_seen: int) -> Stage:
        """Where the curriculum stands when so many clips have been seen; the data module asks, too."""
        return Stage()

    def for_sampling(self) -> Self:
        """Give up the parts that only training uses."""
        return self

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> VideoModel[Any]:
        """A model from a checkpoint of the original release; a ZooError for what is none."""
        raise ZooError(f"{cls.card.name} reads no checkpoints of another release.")

    @property
    def knows_looks(self) -> bool:
        """Whether one map can be painted in several ways, so that draws differ."""
        return False

    @property
    def conditions(self) -> tuple[str, ...]:
        """The fields of a clip, besides its first frames, that a sample is made from."""
        return (self.source,) if self.source else ()

    def notes(self) -> list[str]:
        """Sentences for the user about choices that this model made for the machine or the data at hand."""
        return []

    # ---------------------------------------------------------------- what every model has

    def given(self, context: int) -> str:
        """What a sample with so many real frames is made from, in words, for tables: ``labels, 1 frame``."""
        frames = [f"{context} frame{'s' if context > 1 else ''}"] if context else []
        return listed([*self.conditions, *frames]) or "nothing"

    @property
    def progress(self) -> float:
        """The share of the training budget that is behind: 0 in the first step, just under 1 in the last."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return done / float(self.trainer.num_training_batches)

    def annealed(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """What ``configure_optimizers`` returns for a rate that falls to zero along half a cosine over the budget."""

        def share(step: int) -> float:
            return 0.5 + 0.5 * math.cos(math.pi * step / max(self.trainer.num_training_batches, 1))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def log_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Log each part of the loss as ``train/loss/<part>``."""
        self.losses = {part: value.detach() for part, value in losses.items()}
        self.log_dict({f"train/loss/{part}": value for part, value in self.losses.items()})

    def validation_step(self, clip: Clip, batch_idx: int) -> tuple[Clip, Sample]:  # type: ignore[override]
        """Sample once for all the callbacks that look at it or measure it."""
        request = self.evaluation
        return clip, self.sample(replace(request, given=clip))

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """Count clips over all ranks; the clock of every curve."""
        self.step_clips = len(batch["video"]) * self.trainer.world_size
        self.clips_seen += self.step_clips

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the clock, and how good a model that reads clips is."""
        checkpoint["clips_seen"] = self.clips_seen
        if self.accuracy:
            checkpoint["accuracy"] = self.accuracy

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock, and know how good it is."""
        self.clips_seen = checkpoint["clips_seen"]
        self.accuracy = checkpoint.get("accuracy", {})


def build(model: Mapping[str, Any], spec: ClipSpec) -> VideoModel[Any]:
    """Build a model from plain data: ``build({"name": "vid2vid", "width": 32}, spec)``."""
    entry = MODELS.find(model["name"])
    return entry.load()(MODELS.config(model), spec)  # type: ignore[no-any-return]


def pieces(given: Clip | Iterable[Clip] | None) -> Iterator[Clip]:
    """The given as consecutive pieces of a clip, whichever way it came."""
    if given is None:
        return
    if isinstance(given, Mapping):
        yield given  # type: ignore[misc]
    else:
        yield from given
