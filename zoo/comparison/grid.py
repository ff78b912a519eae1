"""The same clips of every run in one video: one row per clip, one column per run, conditioning and real clip first.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.comparison.content import ComparedRun, Comparison
from zoo.data.decode import iter_frames, probe, write_video
from zoo.errors import ZooError

Film = NDArray[np.uint8]
HEIGHT, GAP, HEAD = 128, 4, 22  # pixels: of a film, between films, of the column heads
MAX_CLIPS = 8
MAX_FRAMES = 1500  # one minute at 25 frames per second; longer films are cut
MAX_ASPECT = 16  # width by height


def common_clips(runs: tuple[ComparedRun, ...]) -> list[str]:
    """Return the clips of which every run has a generated film, in order."""
    return [key for key in runs[0].films if all("generated" in run.films.get(key, {}) for run in runs)] if runs else []


def write_grid(path: Path, comparison: Comparison) -> None:
    """Write the mp4. Raises ZooError if no clip is common to all runs."""
    runs = comparison.runs
    clips = common_clips(runs)[:MAX_CLIPS]
    if not clips:
        without = [run.name for run in runs if not run.films]
        why = f"{', '.join(without)} has none" if without else "they were evaluated on different clips"
        raise ZooError(
            f"No grid.mp4 was written, since no clip has a film in all runs: {why}. A training writes films in its "
            f"validation rounds; train with the same data settings and callbacks.gallery_clips={MAX_CLIPS}."
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
    film = np.concatenate([np.broadcast_to(names, (frames, *names.shape)), *bodies], axis=1)
    first = next(iter(runs[0].films[clips[0]].values()))
    write_video(path, np.ascontiguousarray(film), probe(first).fps)


def _row(runs: tuple[ComparedRun, ...], key: str) -> dict[str, Film]:
    """Films of one clip by the head of their column."""
    films = {}
    for kind in ("given", "real"):
        source = next((run.films[key][kind] for run in runs if kind in run.films[key]), None)
        if source is not None:
            films[kind] = _read(source)
    return films | {run.name: _read(run.films[key]["generated"]) for run in runs}


def _read(path: Path) -> Film:
    """Read a film at height HEIGHT, (T, HEIGHT, W, 3). Integer enlargement does not interpolate."""
    info = probe(path)
    if info.width > MAX_ASPECT * info.height:
        raise ZooError(
            f"{path} is {info.width}x{info.height} pixels, but a film is at most {MAX_ASPECT} times as wide as high. "
            "No training wrote it; leave the run out."
        )
    frames = iter_frames(path, range(min(info.frames, MAX_FRAMES)))
    scale = HEIGHT / info.height
    size = (round(info.width * scale), HEIGHT)
    interpolation = cv2.INTER_NEAREST if scale >= 1 and HEIGHT % info.height == 0 else cv2.INTER_AREA
    return np.stack([cv2.resize(frame, size, interpolation=interpolation) for frame in frames])


def _padded(film: Film, width: int) -> Film:
    """Pad a film with white to this width, and with a gap at the right and below."""
    missing = width - film.shape[2]
    return np.pad(film, ((0, 0), (0, GAP), (0, missing + GAP), (0, 0)), constant_values=255)


def _name(text: str, width: int) -> Film:
    """The head of a column, an image (HEAD, width + GAP, 3); long names are cut off."""
    canvas = np.full((HEAD, width + GAP, 3), 255, np.uint8)
    cv2.putText(canvas, text, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
