"""`python -m zoo.data.check root=<folder>`: check a folder of videos before training on it. Imports no torch.

Takes the settings of the data set `folder` as ``key=value``, and ``sheet=<file>.png``. Writes a contact sheet, one row
per video, and prints which videos are used, which are skipped, and what looks suspicious.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import cv2
import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from zoo.cli import command, explain
from zoo.data.decode import RGBFrame, read_image
from zoo.data.sequences.copies import describe_copies
from zoo.data.sets.folder.catalogue import MAX_LISTED, Catalogue, label_names, open_catalogue
from zoo.data.sets.folder.config import FolderConfig
from zoo.data.sets.folder.footage import FolderVideo, stored_frames
from zoo.data.sets.folder.statistics import CONSECUTIVE_FRAMES, SPREAD_FRAMES, Statistics, compute_statistics
from zoo.data.transforms import cover, drawing
from zoo.errors import ZooError
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, data_set_section, settings_of, show_help
from zoo.io.atomic import write_atomically
from zoo.io.printable import printable, table_cell
from zoo.settings import CheckSettings

T = TypeVar("T")

MAX_ROWS = 16
"""Maximal number of videos on the sheet and in the table, spread over the folder."""
NUMBER_WIDTH = 28
"""Width of the column of row numbers, in pixels."""


def main(arguments: Sequence[str]) -> Path:
    """Check a folder; returns the path of the contact sheet. Raises ZooError if the folder is unusable."""
    config, sheet = parse_settings(FolderConfig, arguments, "python -m zoo.data.check")
    catalogue = open_catalogue(config)
    problems = find_problems(catalogue)
    videos = spread_evenly([each for each in catalogue.videos if each.name not in problems], MAX_ROWS)
    rows, found = [], []
    for video in videos:
        frames, run = _read_frames(video)
        rows.append(_make_row([cover(frame, config.height, catalogue.width) for frame in frames], config))
        found.append(compute_statistics(frames, run))
    if rows:
        write_sheet(sheet, rows, config.channels)
    _print_report(catalogue, videos, found, sheet if rows else None)
    if problems:
        listed = [message for messages in problems.values() for message in messages]
        more = [f"... and {len(listed) - MAX_LISTED} more"] if len(listed) > MAX_LISTED else []
        lead = f"{len(problems)} of {len(catalogue.videos)} videos have problems:"
        raise ZooError("\n  ".join([lead, *listed[:MAX_LISTED], *more]))
    return sheet


def find_problems(catalogue: Catalogue) -> dict[str, list[str]]:
    """Read every image of folders of frames, and every map: name of a video -> what is wrong with it.

    Of a video file only frames of the table are decoded.
    """
    with ThreadPoolExecutor() as pool:
        classes, ignore = len(label_names(catalogue.config)), catalogue.config.ignore
        found = pool.map(lambda video: _problems_of(video, classes, ignore), catalogue.videos)
        return {video.name: problems for video, problems in zip(catalogue.videos, found, strict=True) if problems}


def _problems_of(video: FolderVideo, classes: int, ignore: Sequence[int]) -> list[str]:
    problems = []
    for path in video.files if video.path.is_dir() else ():
        try:
            read_image(path)
        except ZooError as problem:
            problems.append(str(problem))
    for kind, maps in video.maps.items():
        for number, path in enumerate(maps.files):
            try:
                (ids,) = video.read(kind, np.array([number]))
            except ZooError as problem:
                problems.append(str(problem))
                continue
            ids = ids[~np.isin(ids, ignore)] if kind == "labels" else ids
            if kind == "labels" and ids.max(initial=0) >= classes:
                problems.append(f"{path} contains the label {ids.max()}, but {classes} classes were given.")
    return problems


def parse_settings(config_class: type[Any], arguments: Sequence[str], command: str) -> tuple[Any, Path]:
    """Parse ``key=value`` arguments to the settings of a data set and the file for the contact sheet.

    Values of settings that are texts, such as paths, arrive as they are; the others are read as YAML.
    """
    for word in arguments:
        if "=" not in word:
            raise ZooError(f"`{word}` is not key=value.    Try: {command} {shlex.quote(f'root={word}')}")
    sheet = [word.partition("=")[2] for word in arguments if word.startswith("sheet=")]
    words = [word.removeprefix("data.") for word in arguments if not word.startswith("sheet=")]
    schema = OmegaConf.structured(config_class)
    texts = {name for name, kind in get_type_hints(config_class).items() if kind in (str, str | None)}
    paths = dict(word.split("=", 1) for word in words if word.partition("=")[0] in texts and not word.endswith("=null"))
    others = [word for word in words if word.partition("=")[0] not in paths]
    try:
        typed = OmegaConf.merge(schema, OmegaConf.from_dotlist(others), paths)
    except OmegaConfBaseException as problem:
        raise ZooError(explain(problem)) from problem
    return OmegaConf.to_object(typed), Path(sheet[0] if sheet else CheckSettings.sheet).expanduser()


def spread_evenly(items: Sequence[T], count: int) -> list[T]:
    """Choose at most ``count`` of the items, evenly spread."""
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in chosen]


def _read_frames(video: FolderVideo) -> tuple[list[RGBFrame], list[RGBFrame]]:
    """Read frames spread over the whole video, and consecutive frames from its middle, in their stored size."""
    last = video.info.frames - 1
    start = max(0, (last + 1 - CONSECUTIVE_FRAMES) // 2)
    spread = np.linspace(0, last, SPREAD_FRAMES).round().astype(np.int64)
    run = np.arange(start, min(start + CONSECUTIVE_FRAMES, last + 1))
    return list(stored_frames(video.path, spread)), list(stored_frames(video.path, run))


def _make_row(frames: Sequence[RGBFrame], config: FolderConfig) -> RGBFrame:
    """One row of the sheet: the frames side by side, and below them the condition, one row per channel."""
    strip = np.concatenate(frames, axis=1)
    if config.condition == "none":
        return strip
    drawn = np.concatenate([drawing(frame, config.condition) for frame in frames], axis=2)
    return np.concatenate(
        [strip, *(np.repeat(channel[..., None] * 255, 3, axis=2).astype(np.uint8) for channel in drawn)]
    )


def write_sheet(path: Path, rows: Sequence[RGBFrame], channels: int) -> None:
    """Write the rows below each other as a PNG, numbered from 1 as in the table. channels: 3, or 1 for a grey PNG."""
    numbered = []
    for number, row in enumerate(rows, start=1):
        label = np.full((row.shape[0], NUMBER_WIDTH, 3), 255, dtype=np.uint8)
        cv2.putText(label, str(number), (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        numbered.append(np.pad(np.concatenate([label, row], axis=1), ((0, 2), (0, 0), (0, 0)), constant_values=255))
    sheet = cv2.cvtColor(np.concatenate(numbered), cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGB2GRAY)
    _, png = cv2.imencode(".png", sheet)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda out: out.write(png.tobytes()))


def _print_report(
    catalogue: Catalogue, videos: Sequence[FolderVideo], found: Sequence[Statistics], sheet: Path | None
) -> None:
    console = Console()
    table = Table(title=table_cell(f"{len(videos)} of {len(catalogue.videos)} videos in {catalogue.root}"))
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
            *(str(row), table_cell(video.name), str(info.frames), f"{info.fps:.4g}", f"{info.frames / info.fps:.1f}"),
            *(f"{info.width}x{info.height}", f"{stats.lowest} to {stats.highest} ({stats.mean:.0f})"),
            *(str(video.length // catalogue.config.frames), "; ".join(stats.possible_problems())),
        )
    console.print(table)
    config, spec = catalogue.config, catalogue.spec()
    clips = sum(video.length // config.frames for video in catalogue.videos)
    console.print(
        f"{clips} {'grey ' if spec.channels == 1 else ''}clips of {spec.frames} frames, "
        f"{spec.width}x{spec.height} (width x height), "
        f"{spec.fps:g} fps, with {', '.join(spec.fields)}.",
        *map(printable, catalogue.skipped),
        *map(printable, describe_copies(catalogue.copies)),
        *map(printable, _describe_pixels(catalogue)),
        *map(printable, catalogue.others),
        *([printable(f"Contact sheet: {sheet.resolve()}")] if sheet else []),
        sep="\n",
        markup=False,
        highlight=False,
    )


def _describe_pixels(catalogue: Catalogue) -> list[str]:
    """Sentence about videos whose pixels are not square, if there are any."""
    wide = [video for video in catalogue.videos if video.info.pixel != 1]
    if not wide:
        return []
    info = wide[0].info
    return [
        f"{len(wide)} videos have pixels that are not square, e.g. {wide[0].name}, {info.pixel:g} times as wide as "
        f"high. Their frames are scaled to square pixels, here to {info.width}x{info.height}."
    ]


@command
def run() -> None:
    """Run the command."""
    if asks_for_help(sys.argv[1:]):
        general = Section("", "general", settings_of(CheckSettings))
        show_help(COMMANDS["data check"], [general, data_set_section(FolderConfig)])
        return
    main(sys.argv[1:])


if __name__ == "__main__":
    run()
