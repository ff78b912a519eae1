"""Show clips and samples: rows of frames as PNG grids, and videos side by side.

Shapes: T frames, C channels, H x W pixels; an image is (3, H, W), a film (T, 3, H, W), both uint8.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor

from zoo.data.decode import write_video
from zoo.errors import ZooError
from zoo.flow.colour import flow_to_rgb
from zoo.grey import to_rgb
from zoo.io.atomic import write_atomically
from zoo.types import Clip, ClipSpec, Sample

GAP = 2  # pixels between images
MARGIN = 84  # pixels for the names of the rows
MIN_HEIGHT = 128  # of an image, in pixels
MAX_COLUMNS = 8  # frames in a row of a grid


def to_bytes(video: Tensor) -> Tensor:
    """Convert floats in [-1, 1] to uint8, any shape."""
    return ((video.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@lru_cache
def palette(classes: int) -> Tensor:
    """One colour per class, (classes, 3) uint8: hues a golden angle apart, so that neighbouring ids differ."""
    colours = [
        colorsys.hsv_to_rgb((0.61803398875 * i) % 1.0, 0.45 + 0.2 * (i % 3), 0.95 - 0.2 * (i % 2))
        for i in range(classes)
    ]
    return (torch.tensor(colours) * 255).round().to(torch.uint8)


def conditioning_film(clip: Clip, index: int, spec: ClipSpec, source: str) -> Tensor:
    """Film of the conditioning of one clip of a batch: labels in colours, the mean of drawings, or edges in grey.

    source: field of the clip, ``labels`` or ``condition``. Drawings have three channels each, in [-1, 1]; edges, and
    the distance to them, have one channel each, in [0, 1].
    """
    if source == "labels":
        colours = torch.cat(
            [palette(len(spec.label_names)), torch.zeros(1, 3, dtype=torch.uint8)]
        )  # IGNORED, -1: black
        return rearrange(colours[clip["labels"][index].cpu()], "t h w c -> t c h w")
    condition = clip["condition"][index]
    if condition.shape[1] % 3 == 0:
        return to_film(reduce(condition, "t (n c) h w -> t c h w", "mean", c=3))
    return to_film(condition * 2 - 1)


def to_film(video: Tensor) -> Tensor:
    """Convert a video or a map in [-1, 1], (T, C, H, W), to a film: three channels as RGB, else their mean in grey."""
    return to_bytes(video if video.shape[1] == 3 else to_rgb(video.mean(1, keepdim=True)))


def sample_films(
    clip: Clip, sample: Sample, index: int, spec: ClipSpec, source: str | None, paired: bool = True
) -> dict[str, Tensor]:
    """Films of one clip of a batch by name: ``given`` (if the model has a source field), ``real`` (if the sample should
    equal it) and ``generated``."""
    rows = {"given": conditioning_film(clip, index, spec, source)} if source else {}
    if paired:
        rows["real"] = to_film(clip["video"][index])
    rows["generated"] = to_film(sample.video[index])
    return rows


def detail_rows(sample: Sample, index: int) -> dict[str, Tensor]:
    """Films of ``sample.details`` by name: one channel is a mask in [0, 1], two are a flow, shown on a colour wheel."""
    films = {}
    for name, video in sample.details.items():
        if video.shape[2] == 2:
            films[name] = to_bytes(flow_to_rgb(video[index]))
        else:
            films[name] = to_film(video[index] * 2 - 1 if video.shape[2] == 1 else video[index])
    return films


def enlarge(film: Tensor) -> Tensor:
    """Enlarge small frames by an integer factor, without interpolation."""
    factor = -(-MIN_HEIGHT // film.shape[-2])
    return repeat(film, "t c h w -> t c (h a) (w b)", a=factor, b=factor)


def name_column(names: list[str], height: int) -> Tensor:
    """Image with the names of the rows, each ``height`` pixels high, for the left margin."""
    canvas = np.full((len(names) * (height + GAP), MARGIN, 3), 255, np.uint8)
    for i, name in enumerate(names):
        at = (4, i * (height + GAP) + height // 2)
        cv2.putText(canvas, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return torch.from_numpy(canvas).permute(2, 0, 1)


def tile(images: list[Tensor]) -> Tensor:
    """Put images (or films) of equal height side by side, with gaps."""
    return torch.cat([F.pad(image, (0, GAP, 0, GAP), value=255) for image in images], dim=-1)


def side_by_side(clips: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """Film with one column per clip and one row per name, (T, 3, H, W)."""
    names = list(clips[0])
    rows = [tile([enlarge(clip[name]) for clip in clips]) for name in names]
    film = torch.cat(rows, dim=-2)
    column = name_column(names, rows[0].shape[-2] - GAP)
    return torch.cat([column.expand(len(film), -1, -1, -1), film], dim=-1)


def filmstrip(clip: Mapping[str, Tensor]) -> Tensor:
    """Image with one column per frame, at most MAX_COLUMNS evenly spaced ones, and one row per name."""
    names = list(clip)
    frames = len(clip[names[0]])
    chosen = torch.tensor(sorted(filmstrip_frames(frames)))
    strips = {name: [enlarge(clip[name][chosen])[i] for i in range(len(chosen))] for name in names}
    image = torch.cat([tile(strips[name]) for name in names], dim=-2)
    return torch.cat([name_column(names, image.shape[-2] // len(names) - GAP), image], dim=-1)


def filmstrip_frames(frames: int) -> frozenset[int]:
    """Indices of the frames that a filmstrip of a film of that length shows: at most MAX_COLUMNS, evenly spaced."""
    columns = min(frames, MAX_COLUMNS)
    return frozenset(round(i * (frames - 1) / max(columns - 1, 1)) for i in range(columns))


def write_mp4(video: Tensor, path: str | PathLike[str], fps: float) -> None:
    """Write a video (T, C, H, W) in [-1, 1], RGB or grey, as an MP4 file; raises ZooError for another shape."""
    if video.ndim != 4 or video.shape[1] not in (1, 3):
        raise ZooError(
            f"The video has the shape {tuple(video.shape)}; (T, 3, H, W) is expected, or (T, 1, H, W) for grey. "
            "Of a batch, take one clip: sample.video[0]"
        )
    write_video(Path(path), rearrange(to_film(video), "t c h w -> t h w c").numpy(), fps)


def save_film(path: Path, clips: Sequence[Mapping[str, Tensor]], fps: float) -> None:
    """Write clips side by side as an mp4. fps: frames per second."""
    write_video(path, rearrange(side_by_side(clips), "t c h w -> t h w c").numpy(), fps)


def save_grid(path: Path, clips: Sequence[Mapping[str, Tensor]]) -> None:
    """Write one filmstrip per clip, below each other, as a PNG."""
    image = torch.cat([filmstrip(clip) for clip in clips], dim=-2).permute(1, 2, 0).numpy()
    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    write_atomically(path, lambda out: out.write(png.tobytes()))
