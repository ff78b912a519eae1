"""Two halves of the real clips, for the distance that chance alone makes. They follow from the clips' names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.randomness import number_of


def halves(keys: Sequence[str]) -> Tensor:
    """In which half of the data a clip is, (B,) bool: all clips of a video, ``<video>/<start>``, are in the same."""
    return torch.tensor([number_of(key.rpartition("/")[0]) % 2 == 1 for key in keys])
