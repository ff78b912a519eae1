"""The text of `--help`: usage, choices, and every setting with type, default and meaning, wrapped to the terminal."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

from zoo.help.commands import Command
from zoo.help.field_docs import field_docs

FLAGS = frozenset({"--help", "-h"})
NARROW = 90  # columns below which meanings stand under their settings instead of beside them
WIDEST = 120  # columns; longer lines are hard to read
LONGEST = 34  # characters of `name=default` that share a line with the meaning
KIND = 7  # columns for a type


@dataclass(frozen=True)
class Setting:
    """One line of a table of settings."""

    name: str
    """As it is typed, such as `budget.clips`."""

    kind: str
    """Type; a `?` marks one that may be null."""

    default: str
    """Default as it is typed, or what to put there if there is none."""

    meaning: str
    """Docstring of the field."""


@dataclass(frozen=True)
class Section:
    """Settings under a heading."""

    group: str
    """Group of settings, such as `budget`; empty for settings without one."""

    title: str
    """The heading."""

    settings: list[Setting]
    """In the order of their fields."""


def asks_for_help(words: Iterable[str]) -> bool:
    """Whether a command line contains ``--help`` or ``-h``."""
    return not FLAGS.isdisjoint(words)


def data_set_section(cls: type[Any]) -> Section:
    """The settings of a data set's config, typed without a prefix; its name is an argument and no setting."""
    settings = [setting for setting in settings_of(cls) if setting.name != "name"]
    return Section("data", f"data set: {first_line(cls)}", settings)


def settings_of(cls: type[Any], values: Mapping[str, Any] | None = None, prefix: str = "") -> list[Setting]:
    """The settings of a dataclass whose fields are plain values.

    values: what is shown as defaults; None: the defaults of the dataclass. prefix: typed before each name, such as
    `data.`.
    """
    values = OmegaConf.structured(cls) if values is None else values
    docs = field_docs(cls)
    types = get_type_hints(cls)
    return [
        Setting(
            f"{prefix}{field.name}",
            type_name(types[field.name]),
            typed(values, field.name),
            docs.get(field.name, "").replace("None: ", "null: "),  # as it is typed
        )
        for field in dataclasses.fields(cls)
        if not is_group(values, field.name)
    ]


def sections_of(config: DictConfig, hidden: Iterable[str] = (), last: Sequence[str] = ()) -> list[Section]:
    """The sections of a composed config: its own plain settings, then each group of settings.

    hidden: full names of settings that are left out. last: groups at the end, where a terminal shows them.
    """
    found = [
        Section(each.group, each.title, [setting for setting in each.settings if setting.name not in hidden])
        for each in _sections(config, "")
    ]
    return sorted(found, key=lambda each: last.index(each.group) + 1 if each.group in last else 0)


def _sections(config: DictConfig, group: str) -> Iterator[Section]:
    cls = OmegaConf.get_type(config)
    assert cls is not None
    prefix = f"{group}." if group else ""
    title = f"{group}: {first_line(cls)}" if group else "general"
    yield Section(group, title, settings_of(cls, config, prefix))
    for field in dataclasses.fields(cls):
        node = config._get_node(field.name)
        if isinstance(node, DictConfig) and is_group(config, field.name):
            yield from _sections(node, f"{prefix}{field.name}")


def is_group(values: Mapping[str, Any], name: str) -> bool:
    """Whether a field contains settings of its own."""
    node = values._get_node(name) if isinstance(values, DictConfig) else None
    return isinstance(node, DictConfig) and not node._is_none() and dataclasses.is_dataclass(OmegaConf.get_type(node))


def first_line(cls: type[Any]) -> str:
    """The first line of a class's docstring, without markup."""
    return cleandoc(cls.__doc__ or "").partition("\n")[0].rstrip(".").replace("``", "")


def type_name(annotation: Any) -> str:
    """A short name of a type: ``int``, ``float?`` for one that may be null, ``list``."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    kind = next(kind for kind in kinds if kind is not NoneType)
    name: str = (get_origin(kind) or kind).__name__
    return f"{name}?" if NoneType in kinds else name


def typed(values: Mapping[str, Any], name: str) -> str:
    """A value as one would type it: `null`, `true`, `[a,b]`; `<value>` where one is required."""
    if OmegaConf.is_missing(values, name):
        return "<value>"
    return _typed(values[name])


def _typed(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return min(repr(value), f"{value:.4g}", key=len) if value % 1 else repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_typed(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_typed, value)) + "]"
    return str(value) or "''"


def show_help(command: Command, sections: Sequence[Section], choices: Mapping[str, str] | None = None) -> None:
    """Print the help of a command; arguments as for `help_text`. A reader such as `head` may stop reading early."""
    try:
        print(help_text(command, sections, choices), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit


def help_text(command: Command, sections: Sequence[Section], choices: Mapping[str, str] | None = None) -> str:
    """What ``--help`` prints for a command. choices: group -> its options, for groups that conf/ has options for."""
    width = min(shutil.get_terminal_size((100, 24)).columns, WIDEST)
    module = f"python -m {command.module}"
    paragraphs = [
        textwrap.fill(f"usage: {module} {command.arguments}", width, subsequent_indent=" " * 7, break_on_hyphens=False),
        textwrap.fill(command.summary, width) + f"\nThe same command: zoo {command.words}",
        *(textwrap.fill(note, width, break_on_hyphens=False) for note in command.notes),
        "\n".join(["Examples", *(f"  {module} {example}".rstrip() for example in command.examples)]),
    ]
    if choices:
        paragraphs.append(_choices(choices, width))
    if sections:
        paragraphs.append("Settings: <name>=<default>, type (`?`: may be null), meaning")
    paragraphs += [_section(each, width) for each in sections if each.settings]
    return "\n\n".join(paragraphs)


def _section(section: Section, width: int) -> str:
    return "\n".join([textwrap.fill(section.title, width), *_table(section.settings, width)])


def _choices(choices: Mapping[str, str], width: int) -> str:
    column = max(map(len, choices)) + 3
    lines = ["Groups: <group>=<choice>; * is chosen"]
    for group, options in choices.items():
        first = f"  {group}=".ljust(column + 2)
        lines.append(textwrap.fill(options, width, initial_indent=first, subsequent_indent=" " * len(first)))
    return "\n".join(lines)


def _table(settings: Sequence[Setting], width: int) -> Iterator[str]:
    heads = [f"{setting.name}={setting.default}" for setting in settings]
    if width < NARROW:
        for head, setting in zip(heads, settings, strict=True):
            yield f"  {head}  ({setting.kind})"
            yield from _wrapped(setting.meaning, width, 6)
        return
    column = LONGEST + 2
    for head, setting in zip(heads, settings, strict=True):
        indent = 2 + column + KIND
        lines = _wrapped(setting.meaning, width, indent) or [" " * indent]
        kind = setting.kind.ljust(KIND)
        if len(head) > LONGEST:
            yield f"  {head}"
            yield f"{' ' * (2 + column)}{kind}{lines[0][indent:]}".rstrip()
        else:
            yield f"  {head:{column}}{kind}{lines[0][indent:]}".rstrip()
        yield from lines[1:]


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
