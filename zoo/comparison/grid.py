"""The same clips of every run as one film: a row a clip, a column a run, the real clip and what was given at the left.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.comparison.content import Comparison, Run
from zoo.data.decode import iter_frames, probe, write_video
from zoo.errors import ZooError

Film = NDArray[np.uint8]
HEIGHT, GAP, HEAD = 128, 4, 22  # pixels
MOST_CLIPS = 8
MOST_FRAMES = 1500  # a minute at 25 a second; longer films are cut
WIDEST = 16  # times its height


def common_clips(runs: tuple[Run, ...]) -> list[str]:
    """The clips of which every run has a film, in order."""
    return [key for key in runs[0].films if all("generated" in run.films.get(key, {}) for run in runs)] if runs else []


def write_grid(path: Path, comparison: Comparison) -> None:
    """Write the mp4. A ZooError where no clip is common to all runs."""
    runs = comparison.runs
    clips = common_clips(runs)[:MOST_CLIPS]
    if not clips:
        without = [run.name for run in runs if not run.films]
        why = f"{', '.join(without)} kept none" if without else "they were evaluated on different clips"
        raise ZooError(
            f"No film of the same clip is there of all runs: {why}. A training keeps those of its last round."
        )
    rows = [_row(runs, key) for key in clips]
    frames = min(len(film) for row in rows for film in row.values())
    kinds = [kind for kind in ("given", "real") if any(kind in row for row in rows)]
    heads = [*kinds, *(run.name for run in runs)]
    widths = [max(row[head].shape[2] for row in rows if head in row) for head in heads]
    names = np.concatenate([_name(head, width) for head, width in zip(heads, widths, strict=True)], axis=1)
    blank = np.full((frames, HEIGHT, 1, 3), 255, np.uint8)
    bodies = [
        np.concatenate([_padded(row.get(h, blank)[:frames], w) for h, w in zip(heads, widths, strict=True)], axis=2)
        for row in rows
    ]
    body = np.concatenate(bodies, axis=1)
    whole = np.concatenate([np.broadcast_to(names, (frames, *names.shape)), body], axis=1)
    first = next(iter(runs[0].films[clips[0]].values()))
    write_video(path, np.ascontiguousarray(whole), probe(first).fps)


def _row(runs: tuple[Run, ...], key: str) -> dict[str, Film]:
    """Head of a column -> film of one clip."""
    films = {}
    for kind in ("given", "real"):
        source = next((run.films[key][kind] for run in runs if kind in run.films[key]), None)
        if source is not None:
            films[kind] = _read(source)
    return films | {run.name: _read(run.films[key]["generated"]) for run in runs}


def _read(path: Path) -> Film:
    """(T, HEIGHT, W, 3); small pictures by a whole factor, so that a pixel stays a pixel."""
    info = probe(path)
    if info.width > WIDEST * info.height:
        raise ZooError(f"{path} is {info.width}x{info.height} pixels: no training wrote so wide a film.")
    frames = iter_frames(path, range(min(info.frames, MOST_FRAMES)))
    scale = HEIGHT / info.height
    size = (round(info.width * scale), HEIGHT)
    how = cv2.INTER_NEAREST if scale >= 1 and HEIGHT % info.height == 0 else cv2.INTER_AREA
    return np.stack([cv2.resize(frame, size, interpolation=how) for frame in frames])


def _padded(film: Film, width: int) -> Film:
    """With a white gap at the right and below."""
    missing = width - film.shape[2]
    return np.pad(film, ((0, 0), (0, GAP), (0, missing + GAP), (0, 0)), constant_values=255)


def _name(text: str, width: int) -> Film:
    """The head of a column, cut where it is too long."""
    canvas = np.full((HEAD, width + GAP, 3), 255, np.uint8)
    cv2.putText(canvas, text, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
