"""Layouts, cameras and counts of BAIR robot pushing. Imports no torch."""

from __future__ import annotations

CAMERAS = ("aux1", "main")
PUBLISHED_CAMERA = "aux1"
"""The camera of the published results, the only one that SVG's converter keeps."""
SIDE = 64
"""Side of a frame in pixels."""
ACTION_NAMES = ("action_0", "action_1", "action_2", "action_3")
"""The release gives its four numbers no names."""
TRAINING, TEST = 43_264, 256
"""Trajectories of the release."""
FRAMES = 30
"""Frames of each."""
RECORD_SUFFIX = ".tfrecords"
PLACES = (".", "softmotion30_44k", "processed_data", "processeddata")
"""Folders under the root that may have `train` and `test`."""
LAYOUT = (
    "softmotion30_44k/train/*.tfrecords and softmotion30_44k/test/*.tfrecords as published, or "
    "processed_data/train/<file>/<number>/<frame>.png and processed_data/test/… as SVG's converter writes them"
)
