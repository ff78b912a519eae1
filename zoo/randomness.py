"""Randomness as a function of integers: no stage depends on how many numbers an earlier one drew.

Python's ``hash`` is salted for strings, so seeds are mixed by integer arithmetic alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    import torch

MASK = 2**64 - 1


def mix(*numbers: int) -> int:
    """A 63-bit seed from integers; every number and its place matter (the finaliser of splitmix64)."""
    state = 0
    for number in numbers:
        state = (state + 0x9E3779B97F4A7C15 + (number & MASK)) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state >> 1


def number_of(name: str, place: int = 0) -> int:
    """As if drawn at random for a place in what has that name, such as a frame: 52 bits, so a double holds it."""
    return mix(crc32(name.encode()), place) >> 11


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded by integers; draw there and move, and every device sees the same numbers."""
    import torch

    return torch.Generator().manual_seed(mix(*numbers))
