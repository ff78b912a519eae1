"""Stop a training on a non-finite loss, with an error message; the last good checkpoint stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zoo.errors import ZooError, joined
from zoo.model import VideoModel
from zoo.runs.files import CHECKPOINTS

NEVER = 1 << 62


class StopOnNonFinite(Callback):
    """Raises a ZooError that names the first loss that was NaN or infinite.

    It records on the device when each loss was first non-finite, and reads that where losses are logged and before
    every checkpoint, so that a step needs no copy to the CPU.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.first_clips: dict[str, Tensor] = {}

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record non-finite losses of the step."""
        for name, loss in model.losses.items():
            seen = self.first_clips.get(name, torch.full((), NEVER, device=loss.device))
            now = torch.where(loss.isfinite(), NEVER, model.clips_seen)
            self.first_clips[name] = torch.minimum(seen, now)
        if (batch_idx + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._raise_if_found()

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Save nothing after a non-finite loss."""
        self._raise_if_found()

    def _raise_if_found(self) -> None:
        found = {name: int(first) for name, first in self.first_clips.items()}
        start = min(found.values(), default=NEVER)
        if start == NEVER:
            return
        terms = joined(sorted(f"train/loss/{name}" for name, clips in found.items() if clips == start))
        kept = [name for name in CHECKPOINTS if (self.run / name).exists()]
        saved = f"The last good checkpoint is {self.run / kept[0]}." if kept else "No checkpoint was saved yet."
        raise ZooError(
            f"{terms} became NaN or infinite at {start} clips; the training has stopped. {saved} Try a lower model.lr "
            "and model.discriminator_lr, or trainer.precision=32."
        )
