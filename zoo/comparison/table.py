"""A comparison as a table: Markdown, CSV and terminal. The best value is marked where the difference is significant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.table import Table

from zoo.comparison.content import Cell, Column, Comparison, PublishedRow, PublishedTable, Row
from zoo.evaluation.catalogue import better
from zoo.io.printable import markdown_cell, one_line, spreadsheet_cell, table_cell

ARROWS = {"min": " ↓", "max": " ↑", "": ""}


def main_columns(comparison: Comparison) -> list[Column]:
    """The columns without windows of time, which only the CSV and the page show."""
    return [column for column in comparison.columns if "/" not in column.key.partition("@")[0].partition("/")[2]]


def group_by_task(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield each task with its rows."""
    for task, members in groupby(rows, key=lambda row: row.task):
        yield task, list(members)


def format_cell(cell: Cell | None) -> str:
    """Format a cell: ``0.123 ± 0.004 (real 0.1)``, bold if it is the best."""
    if cell is None:
        return "–"
    text = f"{cell.mean:.4g}" + (f" ± {cell.half_width:.2g}" if cell.half_width is not None else "")
    text = f"**{text}**" if cell.best else text
    return text + (f" (real {cell.real:.4g})" if cell.real is not None else "")


def to_markdown(comparison: Comparison, columns: Sequence[Column] | None = None) -> str:
    """One table per task. ± is half the width of the 95 % confidence interval of the mean over seeds. Bold values are
    significantly better than every other model of the task (95 %, Welch's t-test). Rows in italics are trivial samples;
    a list under the table says which models are past them.

    columns: None is all but the windows of time.
    """
    lines = []
    for task, rows in group_by_task(comparison.rows):
        own = [c for c in columns or main_columns(comparison) if any(c.key in row.cells for row in rows)]
        lines += [f"**{markdown_cell(task)}**", ""]
        lines.append(
            f"| variant | given | seeds | {' | '.join(f'`{code_cell(c.key)}`{ARROWS[c.better]}' for c in own)} |"
        )
        lines.append("| --- | --- | --- |" + " ---: |" * len(own))
        for row in rows:
            cells = (format_cell(row.cells.get(column.key)) for column in own)
            name = f"*{markdown_cell(row.variant)}*" if row.baseline else markdown_cell(row.variant)
            head = f"| {name} | {markdown_cell(row.given)} | {len(row.seeds) or '–'} | "
            lines.append(head + " | ".join(cells) + " |")
        lines += ["", *(f"- {markdown_cell(line)}" for line in standing_lines(rows))]
        if lines[-1]:
            lines.append("")
    return "\n".join(lines)


def published_to_markdown(tables: Sequence[PublishedTable]) -> str:
    """The published values, one table per protocol, under a heading of their own; "" without tables."""
    lines = ["## Published values", "", "Not measured here."] if tables else []
    for table in tables:
        lines += ["", f"**{markdown_cell(published_title(table))}**", ""]
        if table.rows:
            heads = [f"`{metric}`{ARROWS[better(metric)]}" for metric in table.metrics]
            lines.append(f"| model | paper | {' | '.join(heads)} | from |")
            lines.append("| --- | --- | " + "---: | " * len(heads) + "--- |")
            lines += [f"| {' | '.join(map(markdown_cell, published_cells(row, table)))} |" for row in table.rows]
            lines.append("")
        lines += [f"- {markdown_cell(remark)}" for remark in table.remarks]
    return "\n".join([*lines, ""] if lines else [])


def published_title(table: PublishedTable) -> str:
    """Name of the protocol, and where it is from."""
    return f"{table.protocol}: {table.source}"


def published_cells(row: PublishedRow, table: PublishedTable) -> list[str]:
    """Model, paper, values and source of a row; a metric that the source does not have is a dash."""
    values = [f"{row.values[metric]:#.4g}" if metric in row.values else "–" for metric in table.metrics]
    model = f"{row.model}, {row.training}" if row.training else row.model
    return [model, row.paper, *values, row.source + ("" if row.checked else " (unchecked)")]


def standing_lines(rows: Sequence[Row]) -> list[str]:
    """Which models are past the trivial rows, a line each; empty if there are no such rows."""
    return [f"{row.variant}, given {row.given}: {row.standing}" for row in rows if row.standing]


def code_cell(text: str) -> str:
    """Text for code in a cell of a Markdown table, where a backslash is one."""
    return one_line(text).replace("`", "'").replace("|", "\\|")


def to_csv(comparison: Comparison) -> str:
    """One line per value and seed, with the mean and interval of its cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["task", "variant", "given", "seed", "key", "value", "mean", "half_of_95_interval", "best", "real"])
    for row in comparison.rows:
        for key, cell in row.cells.items():
            for seed, value in zip(cell.seeds, cell.values, strict=True):
                about = [
                    cell.mean,
                    "" if cell.half_width is None else cell.half_width,
                    cell.best,
                    "" if cell.real is None else cell.real,
                ]
                names = map(spreadsheet_cell, [row.task, row.variant, row.given])
                writer.writerow([*names, seed, spreadsheet_cell(key), value, *about])
    return out.getvalue()


def curves_to_csv(comparison: Comparison) -> str:
    """One line per value of the curves over frames, mean over seeds. Frames are counted from 1 after the context."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["task", "variant", "given", "key", "frame", "value"])
    for row in comparison.rows:
        for key, curve in row.curves.items():
            names = [spreadsheet_cell(text) for text in (row.task, row.variant, row.given, key)]
            writer.writerows([*names, *point] for point in enumerate(curve, 1))
    return out.getvalue()


def terminal_tables(comparison: Comparison) -> Iterator[Table]:
    """One table per task, with metrics as rows and variants as columns: terminals are narrow and metrics are many."""
    for task, rows in group_by_task(comparison.rows):
        table = Table(title=table_cell(task), title_justify="left")
        table.add_column("metric", overflow="fold")
        for row in rows:
            seeds = "no model" if row.baseline else f"{len(row.seeds)} seeds"
            head = f"{table_cell(row.variant)}\n[dim]{table_cell(row.given)}; {seeds}[/]"
            table.add_column(head, justify="right")
        for column in main_columns(comparison):
            if any(column.key in row.cells for row in rows):
                cells = (format_cell(row.cells.get(column.key)).replace("**", "") for row in rows)
                marks = ("*" if (cell := row.cells.get(column.key)) and cell.best else "" for row in rows)
                table.add_row(table_cell(column.key) + ARROWS[column.better], *map(str.__add__, cells, marks))
        table.caption, table.caption_justify = table_cell("\n".join(standing_lines(rows))) or None, "left"
        yield table


def published_for_terminal(tables: Sequence[PublishedTable]) -> Iterator[Table | str]:
    """The published values for the terminal: a table and remarks for each protocol."""
    for table in tables:
        title = f"published, not measured here: {published_title(table)}"
        shown = Table(title=table_cell(title), title_justify="left")
        shown.add_column("model")
        shown.add_column("paper")
        for metric in table.metrics:
            shown.add_column(metric + ARROWS[better(metric)], justify="right")
        shown.add_column("from")
        for row in table.rows:
            shown.add_row(*map(table_cell, published_cells(row, table)))
        yield shown if table.rows else table_cell(title)
        yield table_cell("\n".join(table.remarks)) + "\n"
