"""Tables of settings, made from the dataclasses that declare them, with the words of `--help`."""

from __future__ import annotations

import importlib
from typing import Any

from markdown_tables import code, plain, table

from zoo.help.text import Setting, settings_of


def table_of(where: str, prefix: str = "") -> str:
    """A table for ``module:Class``; ``prefix`` goes before every name.

    Fields that are groups of settings themselves, and the model and data set of a training, are left out: they have
    tables of their own.
    """
    module, _, name = where.partition(":")
    return settings_table(getattr(importlib.import_module(module), name), prefix)


def settings_table(cls: type[Any], prefix: str = "", without: frozenset[str] = frozenset()) -> str:
    """The same for a class, without some of its fields."""
    rows = [
        [code(setting.name), code(setting.kind), code(default_of(setting)), plain(setting.meaning)]
        for setting in settings_of(cls, prefix=prefix)
        if setting.kind != "Any" and setting.name.removeprefix(prefix) not in without
    ]
    return "{.settings}\n" + table(["setting", "type", "default", "meaning"], rows)


def default_of(setting: Setting) -> str:
    """As it is typed; nothing for a setting that has no default of its own."""
    return "" if setting.default.startswith("<") else setting.default
