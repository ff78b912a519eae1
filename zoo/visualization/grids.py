"""What a person looks at: clips and samples as rows of pictures, as PNG grids and as videos.

Shapes: T frames, C channels, H x W pixels; a picture is (3, H, W), a film (T, 3, H, W), both uint8.
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
from zoo.types import Clip, ClipSpec, Sample

GAP = 2  # pixels between pictures
MARGIN = 84  # pixels for the names of the rows
SMALLEST = 128  # pixels a picture is high at least
MOST_COLUMNS = 8  # frames that a row of a grid shows


def to_bytes(video: Tensor) -> Tensor:
    """[-1, 1] floats to 0 … 255, any shape."""
    return ((video.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@lru_cache
def palette(classes: int) -> Tensor:
    """A colour a class, (classes, 3) uint8: hues a golden angle apart, so that neighbours differ."""
    colours = [
        colorsys.hsv_to_rgb((0.61803398875 * i) % 1.0, 0.45 + 0.2 * (i % 3), 0.95 - 0.2 * (i % 2))
        for i in range(classes)
    ]
    return (torch.tensor(colours) * 255).round().to(torch.uint8)


def given_film(clip: Clip, index: int, spec: ClipSpec, source: str) -> Tensor:
    """The conditioning of one clip of a batch: labels in colours, drawings laid over each other, or lines in grey.

    Drawings have three channels each, in [-1, 1]; edges, and the distance to them, have one each, in [0, 1].
    """
    if source == "labels":
        return rearrange(palette(len(spec.label_names))[clip["labels"][index].cpu()], "t h w c -> t c h w")
    condition = clip["condition"][index]
    if condition.shape[1] % 3 == 0:
        return map_film(reduce(condition, "t (n c) h w -> t c h w", "mean", c=3))
    return map_film(condition * 2 - 1)


def map_film(video: Tensor) -> Tensor:
    """(T, C, H, W) in [-1, 1] as a film: colour with three channels, else the mean in grey."""
    if video.shape[1] != 3:
        video = repeat(video.mean(1), "t h w -> t 3 h w")
    return to_bytes(video)


def rows_of(clip: Clip, sample: Sample, index: int, spec: ClipSpec, source: str | None) -> dict[str, Tensor]:
    """Name to film: given, real, generated, and below them the details of the sample."""
    rows = {"given": given_film(clip, index, spec, source)} if source else {}
    rows["real"] = to_bytes(clip["video"][index])
    rows["generated"] = to_bytes(sample.video[index])
    return rows


def detail_rows(sample: Sample, index: int) -> dict[str, Tensor]:
    """Name to film of what a sample was made from: a mask in [0, 1] from black to white, flow as a colour wheel."""
    films = {}
    for name, video in sample.details.items():
        if video.shape[2] == 2:
            films[name] = to_bytes(flow_to_rgb(video[index]))
        else:
            films[name] = map_film(video[index] * 2 - 1 if video.shape[2] == 1 else video[index])
    return films


def enlarge(film: Tensor) -> Tensor:
    """Small frames by a whole factor, so that a pixel stays a pixel."""
    factor = -(-SMALLEST // film.shape[-2])
    return repeat(film, "t c h w -> t c (h a) (w b)", a=factor, b=factor)


def name_column(names: list[str], height: int) -> Tensor:
    """The names of rows, each ``height`` pixels high, as a picture at their left."""
    canvas = np.full((len(names) * (height + GAP), MARGIN, 3), 255, np.uint8)
    for i, name in enumerate(names):
        at = (4, i * (height + GAP) + height // 2)
        cv2.putText(canvas, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return torch.from_numpy(canvas).permute(2, 0, 1)


def tile(films: list[Tensor]) -> Tensor:
    """Pictures side by side, each (3, H, W)."""
    return torch.cat([F.pad(film, (0, GAP, 0, GAP), value=255) for film in films], dim=-1)


def side_by_side(clips: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """A film with a column a clip and a row a name: (T, 3, rows, columns)."""
    names = list(clips[0])
    rows = [tile([enlarge(clip[name]) for clip in clips]) for name in names]
    film = torch.cat(rows, dim=-2)
    names_picture = name_column(names, rows[0].shape[-2] - GAP)
    return torch.cat([names_picture.expand(len(film), -1, -1, -1), film], dim=-1)


def filmstrip(clip: Mapping[str, Tensor]) -> Tensor:
    """A picture with a column a frame, at most MOST_COLUMNS evenly spaced ones, and a row a name."""
    names = list(clip)
    frames = len(clip[names[0]])
    chosen = torch.tensor(sorted(kept_frames(frames)))
    strips = {name: [enlarge(clip[name][chosen])[i] for i in range(len(chosen))] for name in names}
    picture = torch.cat([tile(strips[name]) for name in names], dim=-2)
    return torch.cat([name_column(names, picture.shape[-2] // len(names) - GAP), picture], dim=-1)


def kept_frames(frames: int) -> frozenset[int]:
    """The frames that a filmstrip shows of a film of that length: at most MOST_COLUMNS, evenly spaced."""
    columns = min(frames, MOST_COLUMNS)
    return frozenset(round(i * (frames - 1) / max(columns - 1, 1)) for i in range(columns))


def write_mp4(video: Tensor, path: str | PathLike[str], fps: float) -> None:
    """Write a video (T, 3, H, W) in [-1, 1] as an MP4 file; raises ZooError for another shape."""
    if video.ndim != 4 or video.shape[1] != 3:
        raise ZooError(
            f"The video has the shape {tuple(video.shape)}; (T, 3, H, W) is expected. "
            "Of a batch, take one clip: sample.video[0]"
        )
    write_video(Path(path), rearrange(to_bytes(video), "t c h w -> t h w c").numpy(), fps)


def save_film(path: Path, clips: Sequence[Mapping[str, Tensor]], fps: float) -> None:
    """Write clips side by side as an mp4."""
    write_video(path, rearrange(side_by_side(clips), "t c h w -> t h w c").numpy(), fps)


def save_grid(path: Path, clips: Sequence[Mapping[str, Tensor]]) -> None:
    """Write filmstrips below each other as a PNG."""
    picture = torch.cat([filmstrip(clip) for clip in clips], dim=-2).permute(1, 2, 0).numpy()
    _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    path.write_bytes(png.tobytes())
