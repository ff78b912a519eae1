"""A training whose losses are no longer numbers stops, says which, and leaves the last good checkpoint alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zoo.errors import ZooError, listed
from zoo.model import VideoModel
from zoo.runs.files import CHECKPOINTS

NEVER = 1 << 62


class StopOnNonFinite(Callback):
    """Notes on the device when each loss was first NaN or infinite; looks at the notes where losses are logged, and
    before every checkpoint. So a step needs no copy to the processor."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.first: dict[str, Tensor] = {}

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the losses of the step."""
        for name, loss in model.losses.items():
            seen = self.first.get(name, torch.full((), NEVER, device=loss.device))
            now = torch.where(loss.isfinite(), NEVER, model.clips_seen)
            self.first[name] = torch.minimum(seen, now)
        if (batch_idx + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._look()

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Nothing is saved after a loss that is no number."""
        self._look()

    def _look(self) -> None:
        when = {name: int(first) for name, first in self.first.items()}
        start = min(when.values(), default=NEVER)
        if start == NEVER:
            return
        terms = listed(sorted(f"train/loss/{name}" for name, clips in when.items() if clips == start))
        kept = [name for name in CHECKPOINTS if (self.run / name).exists()]
        saved = f"The last good state is {self.run / kept[0]}." if kept else "Nothing was saved yet."
        raise ZooError(
            f"{terms} was no finite number at {start} clips; the training has stopped. {saved} Try a lower model.lr "
            "and model.discriminator_lr, or trainer.precision=32."
        )
