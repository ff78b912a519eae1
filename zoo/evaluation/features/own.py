"""A user's own network of features: a TorchScript file, or any module.

It takes clips (B, T, 3, H, W) in [-1, 1] of any size, resizes and rescales them by itself, and gives a row of numbers a
clip, (B, D). VideoMAE and the like come in this way.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.evaluation.features.base import Features, tried
from zoo.evaluation.features.names import CARDS, safe
from zoo.evaluation.features.scripts import open_script
from zoo.evaluation.suite import checksum

TRIED = (16, 64, 64)
"""Frames, height and width of the grey clip that says how many features there are."""


class OwnFeatures(Features):
    """Any module that is called as said above; a ZooError where it cannot be.

    name: of a metric's key. sha256: of its file; of a module without one, of its weights. tried_on: frames, height and
    width of a clip that it takes.
    """

    def __init__(self, module: nn.Module, name: str, sha256: str = "", tried_on: tuple[int, int, int] = TRIED) -> None:
        super().__init__()
        self.name, self.network = safe(name), module
        if self.name in {card.key for card in CARDS}:
            self.name = f"own{self.name}"  # called in another way than the zoo's
        self.freeze()
        self.sha256 = (sha256 or checksum(module))[:16]
        self.clip_size = tried(self, "clips", torch.zeros(1, tried_on[0], 3, *tried_on[1:])).shape[-1]

    def clips(self, video: Tensor) -> Tensor:
        """Features of clips, (B, D)."""
        return self.network(video)  # type: ignore[no-any-return]


def open_own(path: Path, sha256: str) -> OwnFeatures:
    """The network of a TorchScript file."""
    module = open_script(path)
    try:
        return OwnFeatures(module, path.stem, sha256)
    except ZooError as problem:
        raise ZooError(
            f"{problem}\n{path} should take clips (B, T, 3, H, W) in [-1, 1] of any length and size, such as {TRIED}, "
            "and give (B, D). If it is a published I3D, C3D or Inception, type its name: features=i3d "
            f"features_weights={path}"
        ) from problem
