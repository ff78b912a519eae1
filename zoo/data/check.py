"""`python -m zoo.data.check root=<folder>`: will this folder do, and does it look right? Imports no torch.

Takes the settings of the data set `folder` as ``key=value``, and ``sheet=<file>.png``. Writes a contact
sheet, one row a video, and prints what was found, what is skipped and what is worth a look.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from zoo.cli import command, explain
from zoo.data.decode import Frame
from zoo.data.sets.folder.catalogue import Catalogue, open_catalogue
from zoo.data.sets.folder.config import FolderConfig
from zoo.data.sets.folder.footage import Video, stored_frames
from zoo.data.sets.folder.statistics import LOOKS, RUN, Statistics, statistics
from zoo.data.transforms import cover, drawing
from zoo.errors import ZooError
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, data_set_section, settings_of, show_help
from zoo.settings import CheckSettings

T = TypeVar("T")

ROWS = 16
"""Videos on the sheet and in the table, spread over the folder."""
MARGIN = 28
"""Pixels left of a row, for its number."""


def main(arguments: Sequence[str]) -> Path:
    """Check a folder; returns where the contact sheet is."""
    config, sheet = typed_settings(FolderConfig, arguments, "python -m zoo.data.check")
    catalogue = open_catalogue(config)
    videos = spread(catalogue.videos, ROWS)
    rows, found = [], []
    for video in videos:
        looks, run = _look(video)
        rows.append(_strips([cover(frame, config.height, catalogue.width) for frame in looks], config))
        found.append(statistics(looks, run))
    write_sheet(sheet, rows)
    _report(catalogue, videos, found, sheet)
    return sheet


def typed_settings(kind: type[Any], arguments: Sequence[str], command: str) -> tuple[Any, Path]:
    """Command-line words to the settings, of a data set's config class, and the file for the sheet."""
    for word in arguments:
        if "=" not in word:
            raise ZooError(f"`{word}` is not key=value.    Try: {command} root={word}")
    sheet = [word.partition("=")[2] for word in arguments if word.startswith("sheet=")]
    words = [word.removeprefix("data.") for word in arguments if not word.startswith("sheet=")]
    try:
        typed = OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.from_dotlist(words))
    except OmegaConfBaseException as problem:
        raise ZooError(explain(problem)) from problem
    return OmegaConf.to_object(typed), Path(sheet[0] if sheet else CheckSettings.sheet)


def spread(things: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of them, evenly spread."""
    chosen = np.linspace(0, len(things) - 1, min(count, len(things))).round().astype(int)
    return [things[i] for i in chosen]


def _look(video: Video) -> tuple[list[Frame], list[Frame]]:
    """Frames spread over the video, and a run of frames from its middle, as they are stored."""
    last = video.info.frames - 1
    start = max(0, (last + 1 - RUN) // 2)
    spread = np.linspace(0, last, LOOKS).round().astype(np.int64)
    run = np.arange(start, min(start + RUN, last + 1))
    return list(stored_frames(video.path, spread)), list(stored_frames(video.path, run))


def _strips(looks: Sequence[Frame], config: FolderConfig) -> Frame:
    """A row of the sheet: the frames side by side, and what is drawn from them below, a row a channel."""
    strip = np.concatenate(looks, axis=1)
    if config.condition == "none":
        return strip
    drawn = np.concatenate([drawing(frame, config.condition) for frame in looks], axis=2)
    return np.concatenate(
        [strip, *(np.repeat(channel[..., None] * 255, 3, axis=2).astype(np.uint8) for channel in drawn)]
    )


def write_sheet(path: Path, rows: Sequence[Frame]) -> None:
    """Rows under each other, numbered from 1 as in the table."""
    numbered = []
    for number, row in enumerate(rows, start=1):
        label = np.full((row.shape[0], MARGIN, 3), 255, dtype=np.uint8)
        cv2.putText(label, str(number), (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        numbered.append(np.pad(np.concatenate([label, row], axis=1), ((0, 2), (0, 0), (0, 0)), constant_values=255))
    _, png = cv2.imencode(".png", np.concatenate(numbered)[..., ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png.tobytes())


def _report(catalogue: Catalogue, videos: Sequence[Video], found: Sequence[Statistics], sheet: Path) -> None:
    console = Console()
    table = Table(title=f"{len(videos)} of {len(catalogue.videos)} videos in {catalogue.root}")
    for heading in (
        "row",
        "video",
        "frames",
        "fps",
        "seconds",
        "size",
        "levels (mean)",
        "clips",
        "worth a look",
    ):
        table.add_column(heading, overflow="fold")
    for row, (video, stats) in enumerate(zip(videos, found, strict=True), start=1):
        info = video.info
        table.add_row(
            *(str(row), video.name, str(info.frames), f"{info.fps:.4g}", f"{info.frames / info.fps:.1f}"),
            *(f"{info.width}x{info.height}", f"{stats.lowest} to {stats.highest} ({stats.mean:.0f})"),
            *(str(video.length // catalogue.config.frames), "; ".join(stats.suspicions())),
        )
    console.print(table)
    config, spec = catalogue.config, catalogue.spec()
    clips = sum(video.length // config.frames for video in catalogue.videos)
    console.print(
        f"{clips} clips of {spec.frames} frames, {spec.width}x{spec.height} (width x height), "
        f"{spec.fps:g} frames a second, with {', '.join(spec.fields)}.",
        *catalogue.skipped,
        f"Contact sheet: {sheet.resolve()}",
        sep="\n",
        markup=False,
        highlight=False,
    )


@command
def run() -> None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        general = Section("", "general", settings_of(CheckSettings))
        show_help(COMMANDS["data check"], [general, data_set_section(FolderConfig)])
        return
    main(sys.argv[1:])


if __name__ == "__main__":
    run()
