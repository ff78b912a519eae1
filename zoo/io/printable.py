"""Make text safe to show: a name from a file may contain codes that a terminal obeys, or markup of a table."""

from __future__ import annotations

import re

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline: ESC [2J clears a terminal
    "\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # invisible, or reversing the order of what is shown
    "\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f"  # line separators, annotations, invisible tags
    "\ud800-\udfff]"  # lone surrogates, of names that are not UTF-8: no terminal takes them
)
FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
MARKDOWN = re.compile(r"([\\`|<>\[\]])")


def printable(text: object) -> str:
    """Text in which characters that control a terminal are replaced by their escape sequence, such as ``\\x1b``.

    Newlines and tabs stay. Every command prints through this function.
    """
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: object) -> str:
    """Like `printable`, with newlines and tabs replaced as well, for a name inside a line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def table_cell(text: object) -> str:
    """Text for a table of rich, which reads ``[red]`` as a colour and ``[link=…]`` as a link."""
    from rich.markup import escape

    return escape(printable(text))


def markdown_cell(text: object) -> str:
    """Text for a cell of a Markdown table: neither the next cell, nor code, HTML or a link."""
    return MARKDOWN.sub(r"\\\1", printable(text).replace("\n", " "))


def spreadsheet_cell(text: str) -> str:
    """Text for a cell of a CSV file. What begins with ``=``, ``+``, ``-`` or ``@`` a spreadsheet takes for a formula,
    which may open files and addresses; after ``'`` it is text."""
    return f"'{text}" if FORMULA.match(text) else text
