"""Split the real clips in two halves by a hash of their keys.

The distance between the halves is due to chance alone: the floor of a distance between real and generated clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.randomness import number_of


def key_hash_split(keys: Sequence[str]) -> Tensor:
    """Return the half of each clip, (B,) bool. All clips of a video, ``<video>/<start>``, are in the same half."""
    return torch.tensor([number_of(key.rpartition("/")[0]) % 2 == 1 for key in keys])
