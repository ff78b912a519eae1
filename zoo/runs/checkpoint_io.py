"""Write Lightning's checkpoints atomically, and read them without unpickling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from zoo.io.atomic import write_atomically
from zoo.io.contents import with_contents
from zoo.runs.load import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint IO of Lightning's Trainer: a crash at any moment leaves the old file or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write to a temporary file, sync, rename. The file records its contents."""
        write_atomically(Path(path), lambda out: torch.save(with_contents(checkpoint), out))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read and check a checkpoint as `zoo.load` does. Raises ZooError for one that is damaged or unsafe."""
        return read_checkpoint(Path(path))
