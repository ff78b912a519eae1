"""What follows from the name of a clip alone: neither order nor batch, rank or machine matters."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

from zoo.randomness import mix


def number(key: str, frame: int = 0) -> int:
    """As if drawn at random for a frame of a clip: 52 bits, so a double holds it."""
    return mix(crc32(key.encode()), frame) >> 11


def halves(keys: Sequence[str]) -> Tensor:
    """In which half of the data a clip is, (B,) bool: all clips of a video, ``<video>/<start>``, are in the same."""
    return torch.tensor([number(key.rpartition("/")[0]) % 2 == 1 for key in keys])
