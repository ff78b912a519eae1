"""Layout of a data set with a folder per class. Imports no torch."""

from __future__ import annotations

from zoo.data.sequences.find import LAYOUT as VIDEOS

LAYOUT = f"<root>/<class>/<video>, where videos are {VIDEOS}"
