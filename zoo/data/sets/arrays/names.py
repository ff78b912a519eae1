"""Files, axes and splits of the data set `arrays`. Imports no torch."""

from __future__ import annotations

NUMPY = (".npy", ".npz")
HDF5 = (".h5", ".hdf5", ".hdf")
ZARR = ".zarr"
SUFFIXES = (*NUMPY, *HDF5)
LAYOUT = f"files of arrays of frames ({' '.join((*SUFFIXES, ZARR))}), anywhere under the folder, or one such file"
AXES = "NTHWC"
"""Letters of `data.axes`: videos, frames, height, width, channels."""
KNOWN_AXES = {"mnist_test_seq.npy": "TNHW"}
"""Published files whose axes are known by their name."""
CHANNEL_COUNTS = (1, 3)
LEAST_SIDE = 8
"""Least height and width of a frame in pixels: a shorter axis is no side of a frame."""
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Words between `-`, `_`, `.` and `/` in the names of arrays that say which split they belong to."""
