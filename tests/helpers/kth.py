"""Write small videos in the published layout of KTH, with a list of sequences of its form."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

HEAD = """
This database contains sequences of six classes of actions performed by
25 subjects in four different conditions (see below).

Training:   person11, 12, 13, 14, 15, 16, 17, 18
Validation: person19, 20, 21, 23, 24, 25, 01, 04
Test:       person22, 02, 03, 05, 06, 07, 08, 09, 10


"""
"""Text before the published list."""


def film(number: int, frames: int, height: int = 120, width: int = 160) -> np.ndarray:
    """A bright bar that moves right by two pixels a frame in front of a dark wall, (T, H, W, 3); it is ``number`` + 8
    pixels wide."""
    video = np.full((frames, height, width, 3), 40, np.uint8)
    for t in range(frames):
        left = 2 * t % (width - 40)
        video[t, 20:100, left : left + 8 + number] = 220
    return video


def write(path: Path, video: np.ndarray) -> None:
    """Write MPEG-4 in AVI at 25 frames per second, like the published set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qmin": "3", "qmax": "3"})
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in video:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_kth(
    root: Path,
    people: Iterable[int],
    actions: Iterable[str] = ("boxing", "walking"),
    frames: int = 24,
    spans: str = "1-12, 13-24",
) -> Path:
    """Write one video of each person and action in scenario d1, and the list."""
    lines = []
    for person in people:
        for action in actions:
            name = f"person{person:02d}_{action}_d1"
            write(root / action / f"{name}_uncomp.avi", film(person, frames))
            lines.append(f"{name}\t\tframes\t{spans}")
    (root / "00sequences.txt").write_text(HEAD + "\n".join(lines) + "\n\nperson13_handclapping_d3\t*missing*\n")
    return root
