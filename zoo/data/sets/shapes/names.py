"""Values of the attributes, and the layout of the published files. Imports neither torch nor numpy."""

from __future__ import annotations

MOTIONS = ("up", "left")
"""Where the shape goes: from the bottom to the top, or from right to left."""
FOLDERS = {"0": 0, "1": 1, "up": 0, "left": 1}
"""Folder of the strips -> id of its motion; the release names them 0 and 1."""
SHAPES = ("square", "disc")
SIZES = (8, 10, 12, 14)
"""Sides of a shape in a frame of CANVAS pixels."""
COLOURS = ("black", "blue", "green", "cyan", "red", "magenta", "yellow", "white")
"""Corner of the RGB cube that is nearest to the colour: which of red, green and blue are at least 128."""
ATTRIBUTES = {
    "motion": MOTIONS,
    "shape": SHAPES,
    "size": tuple(f"{size}px" for size in SIZES),
    "colour": COLOURS,
}
"""Every attribute and its values, in the order of their ids."""

CANVAS = 64
"""Side of the published frames, in pixels."""
PATH_FRAMES = 32
"""Frames from one side of the frame to the other."""
LAYOUT = (
    "<root>/0/*.png with strips of shapes that move up and <root>/1/*.png of shapes that move left, as the folder "
    f"data/shapes of MoCoGAN's release: {PATH_FRAMES} frames of {CANVAS}x{CANVAS} pixels side by side in each"
)
