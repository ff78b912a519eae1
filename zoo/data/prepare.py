"""`python -m zoo.data.prepare <data set> root=<folder>`: where to get it, is it whole, what will a clip look like?

Takes the settings of the data set as ``key=value``, and ``sheet=<file>.png``. Unpacks zip archives that lie in the
folder, prints what it found, writes a contact sheet of clips as a model sees them, and says what to type next. Nothing
is downloaded. Imports torch for a data set that has no files alone.
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
from zoo.data.check import ROWS, spread, typed_settings, write_sheet
from zoo.data.decode import Frame
from zoo.data.sequences.labelled import Survey
from zoo.data.sequences.split import Stretch
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError, listed
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, data_set_section, settings_of, show_help
from zoo.settings import CheckSettings

LOOKS = 10
"""Frames of a clip on the sheet."""


def main(arguments: Sequence[str]) -> Path | None:
    """Prepare a data set; returns where the contact sheet is, None where there is nothing to show yet."""
    if not arguments or "=" in arguments[0]:
        raise ZooError(f"Which data set?    Type: python -m zoo.data.prepare <name> root=<folder>. {_known()}")
    name, words = arguments[0], arguments[1:]
    kind = DATA_SETS.find(name).config
    config, sheet = typed_settings(kind, words, f"python -m zoo.data.prepare {name}")
    module = preparation_of(name)
    if module is None:
        return _without_files(config, words, sheet)
    if not config.root:
        _say(module.SOURCE, f"Then type: python -m zoo.data.prepare {name} root=<folder>")
        return None
    root = Path(config.root).expanduser()
    try:
        unpacked = unpack_all(root) if root.is_dir() else []
        survey, stretches = module.survey(config)
    except ZooError as mistake:
        raise ZooError(f"{mistake}\n\n{module.SOURCE}") from mistake
    shown = spread(stretches, ROWS)
    write_sheet(sheet, [_strip(stretch, config.frames) for stretch in shown])
    _say(*unpacked)
    _report(survey, shown)
    _say(f"Contact sheet: {sheet.resolve()}", f"Type next: {_train_command(name, words)}")
    return sheet


def preparation_of(name: str) -> ModuleType | None:
    """The module ``prepare`` beside a data set's config, with its ``SOURCE`` and ``survey``; None if it has none."""
    package = DATA_SETS.find(name).config.__module__.rpartition(".")[0]
    module = f"{package}.prepare"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None


def _known() -> str:
    return f"Known: {listed(name for name in DATA_SETS.names() if preparation_of(name))}."


def _without_files(config: DataConfig, words: Sequence[str], sheet: Path) -> Path:
    """A data set that needs no files shows its clips; one that does is the user's own."""
    if hasattr(config, "root"):
        raise ZooError(
            f"`{config.name}` is not prepared here: it takes your own files. {_known()} Will a folder of videos do?    "
            "Type: python -m zoo.data.check root=<folder>"
        )
    clips = build_set(config, "train", frozenset(), seed=0)
    videos = [clips.clip(index, 0, config.frames)["video"] for index in range(min(ROWS, len(clips)))]
    write_sheet(sheet, [_side_by_side(to_uint8(video.numpy())) for video in videos])
    _say(
        f"Nothing has to be downloaded: `{config.name}` makes its clips itself.",
        f"Contact sheet: {sheet.resolve()}",
        f"Type next: {_train_command(config.name, words)}",
    )
    return sheet


def _strip(stretch: Stretch, frames: int) -> Frame:
    """The clip in the middle of a stretch."""
    start = stretch.first + (stretch.length - frames) // 2
    return _side_by_side(stretch.footage.frames(start, start + frames))


def _side_by_side(video: Frame) -> Frame:
    """At most LOOKS frames of a clip, (T, H, W, 3) to (H, n W, 3)."""
    return np.concatenate(spread(list(video), LOOKS), axis=1)


def _report(survey: Survey, shown: Sequence[Stretch]) -> None:
    _say(survey.title)
    table = Table(*survey.headings, box=None)
    for row in survey.rows:
        table.add_row(*row)
    Console().print(table)
    rows = [f"  {number}: {stretch.footage.video.name}" for number, stretch in enumerate(shown, start=1)]
    _say(*survey.sentences, "On the contact sheet:", *rows)


def _say(*sentences: str) -> None:
    if sentences:
        Console(soft_wrap=True).print(*sentences, sep="\n", markup=False, highlight=False)


def _train_command(name: str, words: Sequence[str]) -> str:
    """For a model that generates, one that takes attributes if there is one; or else any that fits."""
    card = DATA_SETS.find(name).card
    fitting = [entry.card for entry in MODELS.entries() if entry.card.fits(card.fields)]
    fitting.sort(key=lambda model: ("generate" not in model.tasks, "attributes" not in model.wanted()))
    model = [f"model={fitting[0].name}"] if fitting else []
    typed = [f"data.{word.removeprefix('data.')}" for word in words if not word.startswith("sheet=")]
    return shlex.join(["python", "-m", "zoo.train", *model, f"data={name}", *typed])


@command
def run() -> None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        _show_help([word for word in sys.argv[1:] if not word.startswith("-")])
        return
    main(sys.argv[1:])


def _show_help(words: Sequence[str]) -> None:
    """Help with the settings of the data set that was named, if any."""
    sections = [Section("", "general", settings_of(CheckSettings))]
    if words:
        sections.append(data_set_section(DATA_SETS.find(words[0]).config))
    show_help(COMMANDS["data prepare"], sections)


if __name__ == "__main__":
    run()
