"""Lay runs side by side: ``python -m zoo.compare runs/<run> runs/<run> …``.

Takes run folders, globs and, where wandb is online, its runs as ``<entity>/<project>/<id>``. Writes into a new folder,
``out=<folder>``, a table (table.md, table.csv), the same clips of every run as one film (grid.mp4), a page that needs
no server (index.html), and a wandb report, saved in the project of the first run unless ``project=<name>`` is another.
Numbers of different protocols are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli import command
from zoo.errors import ZooError, listed, nearest
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, settings_of, show_help
from zoo.settings import CompareSettings

if TYPE_CHECKING:
    from zoo.comparison.content import Comparison

SETTINGS = tuple(setting.name for setting in fields(CompareSettings))


def compare(words: Sequence[str], out: Path, project: str | None = None) -> Comparison:
    """Compare runs and write everything into ``out``, a new folder; prints the table and what was written.

    project: of wandb, where the report is saved; None is that of the first run.
    """
    from rich.console import Console

    from zoo.comparison.gather import find_runs, gather
    from zoo.comparison.grid import write_grid
    from zoo.comparison.online import fetched
    from zoo.comparison.page import write_page
    from zoo.comparison.report import reports_are_there, write_report
    from zoo.comparison.table import comma_separated, for_terminal, markdown

    if out.exists() and any(out.iterdir()):
        raise ZooError(f"out={out} is there and not empty, and nothing is overwritten. Type another folder.")
    comparison, notes = gather(find_runs(fetched(words, out / "wandb")))
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(markdown(comparison))
    (out / "table.csv").write_text(comma_separated(comparison))
    console = Console()
    for table in for_terminal(comparison):
        console.print(table)
    written = {"table": f"{out}/table.md, {out}/table.csv", "page": str(write_page(out, comparison))}
    try:
        write_grid(out / "grid.mp4", comparison)
        written["film"] = f"{out}/grid.mp4"
    except ZooError as missing:
        notes.append(str(missing))
    if reports_are_there():
        written["report"] = write_report(out / "report.json", comparison, project)
    else:
        notes.append("There is no wandb report without the extra `reports`: pip install 'video-zoo[reports]'")
    print("* is better than every other by more than chance: 95 %, over seeds\n")
    for name, where in written.items():
        print(f"{name:8s} {where}")
    for note in notes:
        print(f"note     {note}")
    return comparison


def read_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Runs, and settings ``key=value``; a path that is there may hold an equals sign."""
    runs, settings = [], {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or Path(word).exists() or "/" in name:
            runs.append(word)
        elif name in SETTINGS:
            settings[name] = value
        else:
            raise ZooError(f"There is no setting `{name}`.{nearest(name, SETTINGS)} Known: {listed(SETTINGS)}.")
    if not runs:
        raise ZooError("Which runs?    Type: python -m zoo.compare runs/<run> runs/<run> … [out=<folder>]")
    return runs, settings


@command
def main() -> Comparison | None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["compare"], [Section("", "general", settings_of(CompareSettings))])
        return None
    runs, settings = read_words(sys.argv[1:])
    out = settings.pop("out", f"comparison-{datetime.now():%Y%m%d-%H%M%S}")
    return compare(runs, Path(out), **settings)


if __name__ == "__main__":
    main()
