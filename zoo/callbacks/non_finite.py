"""Stop a training on a non-finite loss or weight, with an error message; the last good checkpoint stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.distributed.tensor import DTensor

from zoo.errors import ZooError, joined
from zoo.model import VideoModel
from zoo.runs.files import CHECKPOINTS

NEVER = 1 << 62


class StopOnNonFinite(Callback):
    """Raises a ZooError that names the first loss that was NaN or infinite, or a weight that is.

    It records on the device when each loss was first non-finite, and reads that where losses are logged and before
    every checkpoint, so that a step needs no copy to the CPU. The loss is still finite in the step that breaks the
    weights, so before every checkpoint it also looks at the weights and the states of the optimizers.
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
        """Save nothing after a non-finite loss, nor with a weight that is NaN or infinite."""
        self._raise_if_found()
        found = find_broken_weights(model, checkpoint)
        if trainer.strategy.reduce_boolean_decision(bool(found), all=False):  # another rank may have the shard
            name = f"{found[0]} and {len(found) - 1} more" if len(found) > 1 else (found or ["a weight"])[0]
            raise self._error(name, f"by {model.clips_seen} clips, before they were saved")

    def _raise_if_found(self) -> None:
        found = {name: int(first) for name, first in self.first_clips.items()}
        start = min(found.values(), default=NEVER)
        if start == NEVER:
            return
        terms = joined(sorted(f"train/loss/{name}" for name, clips in found.items() if clips == start))
        raise self._error(terms, f"at {start} clips")

    def _error(self, what: str, when: str) -> ZooError:
        kept = [name for name in CHECKPOINTS if (self.run / name).exists()]
        saved = f"The last good checkpoint is {self.run / kept[0]}." if kept else "No checkpoint was saved yet."
        return ZooError(
            f"{what} became NaN or infinite {when}; the training has stopped. {saved} Try a lower model.lr "
            "and model.discriminator_lr, or trainer.precision=32."
        )


def find_broken_weights(model: VideoModel[Any], checkpoint: Mapping[str, Any]) -> list[str]:
    """Names of the parameters and states of optimizers in a checkpoint that hold a NaN or an infinite number, and of
    the buffers that hold a NaN: a mask may be infinite.

    Of a sharded tensor, the shard of this rank counts. The device is waited for once.
    """
    parameters = {name for name, _ in model.named_parameters()}
    names, good = [], []
    for name, value in _tensors(checkpoint["state_dict"]):
        names.append(f"`{name}`")
        good.append(value.isfinite().all() if name in parameters else ~value.isnan().any())
    for name, value in _tensors(checkpoint.get("optimizer_states", [])):
        names.append(f"the optimizer's `{name}`")
        good.append(value.isfinite().all())
    are_good = torch.stack([value.to(model.device) for value in good]).tolist() if good else []
    return [name for name, is_good in zip(names, are_good, strict=True) if not is_good]


def _tensors(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Floating-point tensors in nested containers, and their names."""
    if isinstance(content, Tensor):
        value = content.to_local() if isinstance(content, DTensor) else content
        if value.is_floating_point():
            yield name, value
    elif isinstance(content, Mapping | list):
        pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, value in pairs:
            yield from _tensors(value, f"{name}.{key}".lstrip("."))
