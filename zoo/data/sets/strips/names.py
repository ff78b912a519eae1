"""Layout of a folder of strips. Imports no torch."""

from __future__ import annotations

SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = (
    f"<root>/<class>/<strip>, or strips directly in <root>: one image ({' '.join(SUFFIXES)}) for each video, square "
    "frames side by side or one above the other"
)
HELD_OUT = ("strips", "time")
"""What can be held out: whole strips, or the last frames of every strip."""
