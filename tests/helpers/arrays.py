"""Write small files of arrays for the tests of `arrays`."""

from pathlib import Path

import numpy as np


def moving_square(
    videos: int = 8, frames: int = 12, height: int = 32, width: int = 48, channels: int = 3
) -> np.ndarray:
    """Bright squares that move right over darker noise, (N, T, H, W, C) uint8; each video has noise of its own."""
    noise = np.random.default_rng(0).integers(0, 160, (videos, 1, height, width, channels), np.uint8)
    values = np.repeat(noise, frames, axis=1)
    for video in range(videos):
        for frame in range(frames):
            left = (video + 2 * frame) % (width - 8)
            values[video, frame, 8:24, left : left + 8] = 255
    return values


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return path
