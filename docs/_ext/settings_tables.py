"""Tables of settings, made from the dataclasses that declare them, with the words of `--help`."""

from __future__ import annotations

import importlib
from typing import Any

from markdown_tables import code, table
from zoo.help.text import settings_of


def table_of(where: str, prefix: str = "") -> str:
    """A table for ``module:Class``; ``prefix`` goes before every name.

    Fields that are groups of settings themselves are left out: they have tables of their own.
    """
    module, _, name = where.partition(":")
    return settings_table(getattr(importlib.import_module(module), name), prefix)


def settings_table(cls: type[Any], prefix: str = "", without: frozenset[str] = frozenset()) -> str:
    """The same for a class, without some of its fields."""
    rows = [
        [code(setting.name), code(setting.kind), code(setting.default), setting.meaning]
        for setting in settings_of(cls, prefix=prefix)
        if setting.name.removeprefix(prefix) not in without
    ]
    return table(["setting", "type", "default", "meaning"], rows)
