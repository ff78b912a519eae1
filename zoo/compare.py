"""Compare runs: ``python -m zoo.compare runs/<run> runs/<run> …``.

Takes run folders, globs and, if wandb is online, wandb runs as ``<entity>/<project>/<id>``. Writes a new folder,
``out=<folder>``, with a table (table.md, table.csv), paired metrics frame by frame (curves.csv), a video of the same
clips of every run (grid.mp4), a page that needs no server (index.html), and a wandb report, saved in the project of the
first run or in ``project=<name>``. Runs that were measured under different protocols are refused.

``--published`` adds the published values of the named protocols, in tables of their own; without runs it prints these
alone.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli import command, say
from zoo.devices.launch import unique_label
from zoo.errors import ZooError, joined, suggest
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, settings_of, show_help
from zoo.io.atomic import write_text
from zoo.io.own_files import check_writable
from zoo.settings import CompareSettings

if TYPE_CHECKING:
    from zoo.comparison.content import Comparison, PublishedTable

PUBLISHED = "--published"
SETTINGS = tuple(setting.name for setting in fields(CompareSettings))


def compare(runs: Sequence[str], out: Path, project: str | None = None, published: bool = False) -> Comparison:
    """Compare runs, write everything into ``out`` and print the table and the files written.

    runs: run folders, globs or wandb runs. out: new or empty folder. project: wandb project of the report; None is that
    of the first run. published: add the published values on the data sets of the runs. Raises ZooError for runs that
    cannot be read or compared, and if ``out`` is not empty.
    """
    from rich.console import Console

    from zoo.comparison.gather import find_runs, gather
    from zoo.comparison.grid import write_grid
    from zoo.comparison.online import download_wandb_runs
    from zoo.comparison.page import write_page
    from zoo.comparison.published import published_tables
    from zoo.comparison.report import reports_are_there, write_report
    from zoo.comparison.table import curves_to_csv, published_to_markdown, terminal_tables, to_csv, to_markdown

    if out.is_dir() and any(out.iterdir()):
        advice = shlex.quote(f"out={out}-2")
        raise ZooError(f"out={out} exists and is not empty, and nothing is overwritten. Try: {advice}")
    comparison, notes = gather(find_runs(download_wandb_runs(runs, out / "wandb")))
    if published:
        comparison = replace(comparison, published=published_tables(comparison.columns))
        if not comparison.published:
            notes.append(f"No published values are known on the data sets of these runs. All: zoo compare {PUBLISHED}")
    check_writable(out, "out")
    texts = {
        "table.md": to_markdown(comparison) + published_to_markdown(comparison.published),
        "table.csv": to_csv(comparison),
        "curves.csv": curves_to_csv(comparison),
    }
    for name, text in texts.items():  # names of files that are no text are shown by the numbers of their bytes
        write_text(out / name, text.encode(errors="backslashreplace").decode())
    console = Console()
    for table in terminal_tables(comparison):
        console.print(table)
    print_published(comparison.published)
    written = {
        "table": f"{out}/table.md, {out}/table.csv",
        "curves": f"{out}/curves.csv",
        "page": str(write_page(out, comparison)),
    }
    try:
        write_grid(out / "grid.mp4", comparison)
        written["film"] = f"{out}/grid.mp4"
    except ZooError as missing:
        notes.append(str(missing))
    if reports_are_there():
        written["report"] = write_report(out / "report.json", comparison, project)
    else:
        notes.append(
            "No wandb report was written, since the extra `reports` is missing. Type: pip install 'video-zoo[reports]'"
        )
    say("* is significantly better than every other variant of its task (95 %, over seeds)\n")
    for name, where in written.items():
        say(f"{name:8s} {where}")
    for note in notes:
        say(f"note     {note}")
    return comparison


def print_published(tables: Sequence[PublishedTable]) -> None:
    """Print published values, one table per protocol."""
    from rich.console import Console

    from zoo.comparison.table import published_for_terminal

    console = Console()
    for shown in published_for_terminal(tables):
        console.print(shown)


def parse_arguments(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Split the command line into runs and settings ``key=value``. An existing path may contain an equals sign.

    Raises ZooError for an unknown setting or flag, and if there are no runs.
    """
    runs, settings = [], {}
    for argument in arguments:
        if argument.startswith("--") and not Path(argument).exists():
            raise ZooError(f"There is no flag `{argument}`.{suggest(argument, [PUBLISHED])} Known: {PUBLISHED}.")
        name, equals, value = argument.partition("=")
        if not equals or Path(argument).exists() or "/" in name:
            runs.append(argument)
        elif name in SETTINGS:
            settings[name] = value
        else:
            raise ZooError(f"There is no setting `{name}`.{suggest(name, SETTINGS)} Known: {joined(SETTINGS)}.")
    if not runs:
        raise ZooError("No runs are given. Type: python -m zoo.compare runs/<run> runs/<run> … [out=<folder>]")
    return runs, settings


@command
def main() -> Comparison | None:
    """Run the command."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["compare"], [Section("", "general", settings_of(CompareSettings))])
        return None
    arguments = [argument for argument in sys.argv[1:] if argument != PUBLISHED]
    published = PUBLISHED in sys.argv[1:]
    if published and not arguments:
        from zoo.comparison.published import published_tables

        print_published(published_tables())
        return None
    runs, settings = parse_arguments(arguments)
    out = settings.pop("out", f"comparison-{unique_label()}")
    return compare(runs, Path(out), settings.get("project"), published)


if __name__ == "__main__":
    main()
