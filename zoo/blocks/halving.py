"""How often a picture can be halved. Imports no torch, so that preflight can ask."""

from __future__ import annotations

from zoo.errors import ZooError

COARSEST = 4  # pixels that are left of the shorter side at least


def halvings(height: int, width: int) -> int:
    """Halvings until 4 to 7 pixels are left of the shorter side; a ZooError for a size that they do not divide."""
    number = (min(height, width) // COARSEST).bit_length() - 1
    if number < 1 or height % 2**number or width % 2**number:
        raise ZooError(
            f"Frames are halved until {COARSEST} to {2 * COARSEST - 1} pixels are left of the shorter side; "
            f"{height}x{width} pixels cannot be. Try: data.height=64 data.width=64"
        )
    return number
