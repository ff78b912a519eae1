"""Number of times a frame can be halved. Imports no torch, so that configs can use it."""

from __future__ import annotations

from zoo.errors import ZooError
from zoo.types import ClipSpec

MIN_SIDE = 4  # pixels of the shorter side at the coarsest level


def count_halvings(height: int, width: int) -> int:
    """Number of halvings that leave 4 to 7 pixels of the shorter side.

    Raises ZooError if a frame cannot be halved at all, or if a side is not divisible by 2^halvings.
    """
    number = (min(height, width) // MIN_SIDE).bit_length() - 1
    if number < 1 or height % 2**number or width % 2**number:
        raise ZooError(
            f"Frames of {height}x{width} pixels cannot be halved until {MIN_SIDE} to {2 * MIN_SIDE - 1} pixels of the "
            "shorter side are left. Try: data.height=64 data.width=64"
        )
    return number


def halving_problems(spec: ClipSpec) -> list[str]:
    """The message that frames cannot be halved, if that is so."""
    try:
        count_halvings(spec.height, spec.width)
    except ZooError as problem:
        return [str(problem)]
    return []
