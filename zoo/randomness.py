"""Randomness as a function of integers: no result depends on how many random numbers were drawn before.

Seeds are mixed by integer arithmetic, because Python salts the ``hash`` of strings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    import torch

MASK = 2**64 - 1


def mix(*numbers: int) -> int:
    """Mix integers into a 63-bit seed with the finaliser of splitmix64; values and order matter."""
    state = 0
    for number in numbers:
        state = (state + 0x9E3779B97F4A7C15 + (number & MASK)) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state >> 1


def number_of(name: str, index: int = 0) -> int:
    """Pseudo-random 52-bit integer for a name and an index, such as a clip and a frame; exact as a float64."""
    return mix(crc32(name.encode()), index) >> 11


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded by integers. Draw on the CPU and move: every device then gets the same numbers."""
    import torch

    return torch.Generator().manual_seed(mix(*numbers))
