"""Text from files is shown without codes that a terminal obeys, and without markup of tables."""

import io
import logging
import sys
import warnings

import pytest
from rich.console import Console
from rich.table import Table

from zoo.cli import TerminalHandler, command, log_to_terminal
from zoo.errors import ZooError
from zoo.io.printable import markdown_cell, one_line, printable, spreadsheet_cell, table_cell

TITLE = "\x1b]0;owned\x07"  # sets the title of a terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, r"\x1b]0;owned\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x08c", r"a\rb\x08c"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("\udcff", r"\udcff"),
        ("Zürich 動画 🎬\n\tnext", "Zürich 動画 🎬\n\tnext"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printable(text) == shown


def test_a_name_stays_in_its_line():
    assert one_line("a\nb\tc") == r"a\nb\tc"


def test_errors_messages_warnings_and_traces_are_printable(capsys, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    @command
    def fail():
        raise ZooError(f"{TITLE} is no film")

    with pytest.raises(SystemExit):
        fail()
    TerminalHandler().emit(logging.LogRecord("zoo", logging.INFO, "", 0, TITLE, None, None))
    log_to_terminal()
    sys.stderr.write(warnings.formatwarning(TITLE, UserWarning, "file.py", 1))
    sys.excepthook(ValueError, ValueError(TITLE), None)
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert printed.err.count(r"\x1b]0;owned\x07") == 3
    assert printed.out.count(r"\x1b]0;owned\x07") == 1


def test_tables_show_markup_as_it_is():
    table = Table()
    table.add_column("name")
    table.add_row(table_cell(f"[red]a[/] [link=http://x]b[/] {TITLE}"))
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    assert r"[red]a[/] [link=http://x]b[/] \x1b]0;owned\x07" in out.getvalue()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", " =1", "\t=1", "\r=1"])
def test_a_spreadsheet_shows_text_and_runs_no_formula(text):
    assert spreadsheet_cell(text) == f"'{text}"
    assert spreadsheet_cell(f"vid2vid {text}") == f"vid2vid {text}"


def test_markdown_stays_in_its_cell():
    assert markdown_cell("a|b\n`c` <img src=x> [d](e)") == r"a\|b \`c\` \<img src=x\> \[d\](e)"
