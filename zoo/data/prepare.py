"""`python -m zoo.data.prepare <data set> root=<folder>`: unpack a downloaded data set, check it and show its clips.

Takes the settings of the data set as ``key=value``, and ``sheet=<file>.png``. Unpacks the zip archives in the folder,
prints a summary, writes a contact sheet of clips as a model sees them, and suggests the next command. Downloads
nothing. Imports torch only for data sets without files.
"""

from __future__ import annotations

import importlib
import importlib.util
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from rich.console import Console
from rich.table import Table

from zoo.card import MODELS
from zoo.cli import command
from zoo.data.archives import unpack_all
from zoo.data.base import DATA_SETS, DataConfig, build_set
from zoo.data.check import MAX_ROWS, parse_settings, spread_evenly, write_sheet
from zoo.data.decode import RGBFrame
from zoo.data.sequences.labelled import Survey
from zoo.data.sequences.split import Segment
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError, joined
from zoo.grey import to_rgb
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, data_set_section, settings_of, show_help
from zoo.io.printable import printable, table_cell
from zoo.settings import CheckSettings

FRAMES_PER_ROW = 10
"""Maximal number of frames per clip on the sheet."""


def main(arguments: Sequence[str]) -> Path | None:
    """Prepare a data set; returns the path of the contact sheet, or None if there is nothing to show yet."""
    if not arguments or "=" in arguments[0]:
        raise ZooError(
            f"No data set was named.    Type: python -m zoo.data.prepare <name> root=<folder>. {_list_prepared()}"
        )
    name, settings = arguments[0], arguments[1:]
    config_class = DATA_SETS.find(name).config
    config, sheet = parse_settings(config_class, settings, f"python -m zoo.data.prepare {name}")
    module = find_preparation(name)
    if module is None or hasattr(module, "summarise"):
        return _prepare_without_files(config, settings, sheet, module)
    if not config.root:
        _print_lines(module.SOURCE, f"Then type: python -m zoo.data.prepare {name} root=<folder>")
        return None
    root = Path(config.root).expanduser()
    try:
        unpacked = unpack_all(root) if root.is_dir() else []
        survey, segments = module.survey(config)
    except ZooError as error:
        raise ZooError(f"{error}\n\n{module.SOURCE}") from error
    shown = spread_evenly(segments, MAX_ROWS)
    write_sheet(sheet, [_draw_segment(segment, config.frames) for segment in shown], config.channels)
    _print_lines(*unpacked)
    _print_survey(survey, shown)
    _print_lines(f"Contact sheet: {sheet.resolve()}", f"Type next: {_suggest_training(name, settings)}")
    return sheet


def find_preparation(name: str) -> ModuleType | None:
    """Import the module ``prepare`` beside a data set's config, with its ``SOURCE`` and ``survey``; None if there is
    none.

    Of a data set that generates its clips and works without files, it has ``summarise`` in place of ``survey``.
    """
    package = DATA_SETS.find(name).config.__module__.rpartition(".")[0]
    module = f"{package}.prepare"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None


def _list_prepared() -> str:
    return f"Data sets with a preparation: {joined(name for name in DATA_SETS.names() if find_preparation(name))}."


def _prepare_without_files(
    config: DataConfig, arguments: Sequence[str], sheet: Path, module: ModuleType | None
) -> Path:
    """Show the clips of a data set that needs no files. Raises ZooError for one of the user's own files."""
    if module is None and hasattr(config, "root"):
        raise ZooError(
            f"`{config.name}` takes your own files, so there is nothing to prepare. {_list_prepared()} To check a "
            "folder of videos    type: python -m zoo.data.check root=<folder>"
        )
    clips = build_set(config, "train", frozenset(), seed=0)
    videos = [clips.clip(index, 0, config.frames)["video"] for index in range(min(MAX_ROWS, len(clips)))]
    if module is not None:
        _print_survey(module.summarise(config))
    write_sheet(sheet, [_join_frames(to_uint8(to_rgb(video).numpy())) for video in videos], config.channels)
    _print_lines(
        module.SOURCE if module is not None else f"Nothing to download: `{config.name}` generates its clips.",
        f"Contact sheet: {sheet.resolve()}",
        f"Type next: {_suggest_training(config.name, arguments)}",
    )
    return sheet


def _draw_segment(segment: Segment, frames: int) -> RGBFrame:
    """Draw the clip in the middle of a segment."""
    start = segment.first + (segment.length - frames) // 2
    return _join_frames(segment.footage.frames(start, start + frames))


def _join_frames(video: RGBFrame) -> RGBFrame:
    """Put at most FRAMES_PER_ROW frames of a clip side by side, (T, H, W, 3) to (H, n W, 3)."""
    return np.concatenate(spread_evenly(list(video), FRAMES_PER_ROW), axis=1)


def _print_survey(survey: Survey, shown: Sequence[Segment] = ()) -> None:
    _print_lines(survey.title)
    table = Table(*map(table_cell, survey.headings), box=None)
    for row in survey.rows:
        table.add_row(*map(table_cell, row))
    Console().print(table)
    rows = [f"  {number}: {segment.footage.video.name}" for number, segment in enumerate(shown, start=1)]
    _print_lines(*survey.notes, *(["On the contact sheet:"] if rows else []), *rows)


def _print_lines(*lines: str) -> None:
    if lines:
        Console(soft_wrap=True).print(*map(printable, lines), sep="\n", markup=False, highlight=False)


def _suggest_training(name: str, arguments: Sequence[str]) -> str:
    """Suggest a training: of a model that generates, if possible from attributes and without adversary; otherwise of
    any model that fits."""
    card = DATA_SETS.find(name).card
    fitting = [entry.card for entry in MODELS.entries() if entry.card.fits(card.fields)]
    fitting.sort(
        key=lambda model: ("generate" not in model.tasks, "attributes" not in model.wanted(), model.adversarial)
    )
    model = [f"model={fitting[0].name}"] if fitting else []
    typed = [f"data.{word.removeprefix('data.')}" for word in arguments if not word.startswith("sheet=")]
    return shlex.join(["python", "-m", "zoo.train", *model, f"data={name}", *typed])


@command
def run() -> None:
    """Run the command."""
    if asks_for_help(sys.argv[1:]):
        _show_help([word for word in sys.argv[1:] if not word.startswith("-")])
        return
    main(sys.argv[1:])


def _show_help(arguments: Sequence[str]) -> None:
    """Print help, with the settings of the data set if one was named."""
    sections = [Section("", "general", settings_of(CheckSettings))]
    if arguments:
        sections.append(data_set_section(DATA_SETS.find(arguments[0]).config))
    show_help(COMMANDS["data prepare"], sections)


if __name__ == "__main__":
    run()
