"""Hand the words of a command over to Hydra as they are: a path is no expression of its language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.override_parser.types import Quote, QuotedString

from zoo.card import MODELS
from zoo.data.base import DATA_SETS
from zoo.settings import BenchmarkSettings, EvaluateSettings, SampleSettings, Train

PLAIN = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*")
"""Texts that mean the same to Hydra with and without quotes, except the words of SPECIAL."""
SPECIAL = ("true", "false", "null", "nan", "inf", "-inf", "+inf")
SWEEPS = re.compile(r"(choice|range|interval|glob|sort|shuffle|tag)\(.*\)")
FOLDERS_OF_HYDRA = ("hydra.run.dir", "hydra.sweep.dir")
"""Settings of Hydra itself that are texts."""
SWEEP_FLAGS = ("-m", "--multirun")


def quote_words(words: Sequence[str]) -> list[str]:
    """Quote the values of overrides that stand for a text, so that they arrive as the shell hands them over.

    Not quoted are what is quoted for Hydra already (unless a file is called so), `null`, interpolations, and the
    choices of a sweep, which are quoted one by one. A `~` at the beginning becomes the home folder.
    """
    sweeps = any(flag in words for flag in SWEEP_FLAGS)
    return [quote_word(word, sweeps) for word in words]


def quote_word(override: str, sweeps: bool = False) -> str:
    """Quote the value of one override; see `quote_words`."""
    key, equals, value = override.partition("=")
    name = key.lstrip("+")
    if equals and name.startswith("attributes.") and value[:1] not in ("'", '"'):
        return f"++{name}='{value}'"
    if not equals or _is_plain(value) or name not in text_settings():
        return override
    if sweeps and not Path(value).expanduser().exists():
        if SWEEPS.fullmatch(value):
            return override
        return f"{key}={','.join(quote_text(part) for part in value.split(','))}"
    return f"{key}={quote_text(value)}"


def quote_text(value: str) -> str:
    """Quote a text for Hydra, if it means something else there without quotes."""
    home = _expand_home(value)
    if _is_plain(home):
        return home
    means_more = value in ("", "null") or "${" in value or (value[0] in "'\"" and value[-1] == value[0])
    if means_more and not _exists(value):
        return value
    return str(QuotedString(text=home, quote=Quote.single).with_quotes())


def _is_plain(value: str) -> bool:
    return PLAIN.fullmatch(value) is not None and value.lower() not in SPECIAL


def _expand_home(value: str) -> str:
    if value != "~" and not value.startswith("~/"):
        return value
    try:
        return str(Path(value).expanduser())
    except RuntimeError:  # no home folder
        return value


def _exists(value: str) -> bool:
    try:
        return bool(value) and Path(value).exists()
    except OSError:  # longer than a name may be
        return False


@cache
def text_settings() -> frozenset[str]:
    """Names of all settings of all commands whose values are texts, such as `data.root`."""
    found = {name for each in (Train, SampleSettings, EvaluateSettings, BenchmarkSettings) for name in _texts(each)}
    found |= set(FOLDERS_OF_HYDRA)
    for group, registry in (("model", MODELS), ("data", DATA_SETS)):
        for entry in registry.entries():
            found |= {f"{group}.{name}" for name in _texts(entry.config) if name != "name"}
    return frozenset(found)


def _texts(settings: type[Any]) -> Iterator[str]:
    hints = get_type_hints(settings)
    for field in fields(settings):
        kind = hints[field.name]
        if kind in (str, str | None):
            yield field.name
        elif is_dataclass(kind):
            yield from (f"{field.name}.{name}" for name in _texts(kind))  # type: ignore[arg-type]
