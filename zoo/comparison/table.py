"""A comparison as a table: Markdown, CSV, and for the terminal. Numbers of the best are marked where it is sure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.markup import escape
from rich.table import Table

from zoo.comparison.content import Cell, Column, Comparison, Row

ARROWS = {"min": " ↓", "max": " ↑", "": ""}


def shown(comparison: Comparison) -> list[Column]:
    """The columns for people: without those of windows of time, which the CSV and the page have."""
    return [column for column in comparison.columns if "/" not in column.key.partition("@")[0].partition("/")[2]]


def by_task(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Rows of one task together."""
    for task, members in groupby(rows, key=lambda row: row.task):
        yield task, list(members)


def in_words(cell: Cell | None) -> str:
    """``0.123 ± 0.004``, bold where it is the best; the real clips' number behind it."""
    if cell is None:
        return "–"
    text = f"{cell.mean:.4g}" + (f" ± {cell.half:.2g}" if cell.half is not None else "")
    text = f"**{text}**" if cell.best else text
    return text + (f" (real {cell.real:.4g})" if cell.real is not None else "")


def markdown(comparison: Comparison, columns: Sequence[Column] | None = None) -> str:
    """A table a task. ± is half of the 95 % interval of the mean over seeds; bold is better than every other row of the
    task by more than the 95 % interval of the difference."""
    lines = []
    for task, rows in by_task(comparison.rows):
        own = [c for c in columns or shown(comparison) if any(c.key in row.cells for row in rows)]
        lines += [f"**{escaped(task)}**", ""]
        lines.append(
            f"| variant | given | seeds | {' | '.join(f'`{escaped(c.key)}`{ARROWS[c.better]}' for c in own)} |"
        )
        lines.append("| --- | --- | --- |" + " ---: |" * len(own))
        for row in rows:
            cells = (in_words(row.cells.get(column.key)) for column in own)
            lines.append(f"| {escaped(row.variant)} | {escaped(row.given)} | {len(row.seeds)} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Safe in a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def comma_separated(comparison: Comparison) -> str:
    """A line for each number of each seed: everything that the table is made of."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["task", "variant", "given", "seed", "key", "value", "mean", "half_of_95_interval", "best", "real"])
    for row in comparison.rows:
        for key, cell in row.cells.items():
            for seed, value in zip(cell.seeds, cell.values, strict=True):
                about = [
                    cell.mean,
                    "" if cell.half is None else cell.half,
                    cell.best,
                    "" if cell.real is None else cell.real,
                ]
                writer.writerow([row.task, row.variant, row.given, seed, key, value, *about])
    return out.getvalue()


def for_terminal(comparison: Comparison) -> Iterator[Table]:
    """A table a task, metrics down, variants across: terminals are narrow and metrics are many."""
    for task, rows in by_task(comparison.rows):
        table = Table(title=escape(task), title_justify="left")
        table.add_column("metric", overflow="fold")
        for row in rows:
            head = f"{escape(row.variant)}\n[dim]{escape(row.given)}; {len(row.seeds)} seeds[/]"
            table.add_column(head, justify="right")
        for column in shown(comparison):
            if any(column.key in row.cells for row in rows):
                cells = (in_words(row.cells.get(column.key)).replace("**", "") for row in rows)
                marks = ("*" if (cell := row.cells.get(column.key)) and cell.best else "" for row in rows)
                table.add_row(escape(column.key) + ARROWS[column.better], *map(str.__add__, cells, marks))
        yield table
