"""A user's own feature network: a TorchScript file, or any module.

It takes clips (B, T, 3, H, W) in [-1, 1] of any size, resizes and rescales them by itself, and returns one row of
features per clip, (B, D). This is how VideoMAE and other networks are used.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.evaluation.features.base import Features, run_view
from zoo.evaluation.features.names import own_key
from zoo.evaluation.features.scripts import open_script
from zoo.evaluation.suite import checksum

TEST_SHAPE = (16, 64, 64)
"""Frames, height and width of the grey clip that is run to find the number of features."""


class CustomFeatures(Features):
    """Any module with the interface above. Raises ZooError for a module without it.

    name: part of a metric's key. sha256: of its file; for a module without one, of its weights. test_shape: frames,
    height and width of a clip that it takes.
    """

    def __init__(
        self, module: nn.Module, name: str, sha256: str = "", test_shape: tuple[int, int, int] = TEST_SHAPE
    ) -> None:
        super().__init__()
        self.name, self.network = own_key(name), module
        self.freeze()
        self.sha256 = (sha256 or checksum(module))[:16]
        self.clip_size = run_view(self, "clips", torch.zeros(1, test_shape[0], 3, *test_shape[1:])).shape[-1]

    def clips(self, video: Tensor) -> Tensor:
        """Features of clips, (B, D)."""
        return self.network(video)


def load_custom(path: Path, sha256: str) -> CustomFeatures:
    """Load the network of a TorchScript file. Raises ZooError if it does not take clips or gives no row per clip."""
    module = open_script(path)
    try:
        return CustomFeatures(module, path.stem, sha256)
    except ZooError as problem:
        raise ZooError(
            f"{problem}\n{path} should take clips (B, T, 3, H, W) in [-1, 1] of any length and size, such as "
            f"{TEST_SHAPE}, and return (B, D). If it is a published I3D, C3D or Inception, type its name: features=i3d "
            f"features_weights={path}"
        ) from problem
