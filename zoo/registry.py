"""One registry for models and one for data sets: register, find, list, build.

A config dataclass is registered together with its card; both are plain data and import no torch. The class that
the config builds is named by module and imported only when it is built, so listing and checking are fast.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from zoo.errors import ZooError, listed, nearest


class Card(Protocol):
    """What every card has."""

    @property
    def name(self) -> str:
        """The short name that a person types."""


CardT = TypeVar("CardT", bound=Card)
ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class Entry(Generic[CardT]):
    """A registered name: its card, its config class, and where the class stands that the config builds."""

    card: CardT
    config: type[Any]
    builds: str

    def load(self) -> type[Any]:
        """Import and return the class; this is where torch comes in."""
        module, _, name = self.builds.partition(":")
        package = self.config.__module__.rpartition(".")[0]
        return getattr(importlib.import_module(module, package), name)  # type: ignore[no-any-return]

    @property
    def conf_dir(self) -> Path:
        """The ``conf`` folder beside the config's module, where a plug-in keeps its YAML."""
        module = importlib.import_module(self.config.__module__)
        return Path(str(module.__file__)).parent / "conf"


class Registry(Generic[CardT]):
    """Names to entries. Built-in entries live in the folders of ``package``, others come by ``group``.

    ``package`` holds one folder a name, each with a ``config.py`` that registers itself; ``group`` is the
    entry-point group under which other distributions name such a module.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind = kind
        self.package = package
        self.group = group
        self._entries: dict[str, Entry[CardT]] = {}
        self._discovered = False

    def register(self, card: CardT, builds: str) -> Callable[[type[ConfigT]], type[ConfigT]]:
        """Class decorator for a config dataclass; ``builds`` is ``".module:Class"``, relative to its package."""

        def add(config: type[ConfigT]) -> type[ConfigT]:
            there = self._entries.get(card.name)
            if there is not None and there.config.__module__ != config.__module__:
                raise ZooError(
                    f"Two packages register the {self.kind} `{card.name}`: "
                    f"{there.config.__module__} and {config.__module__}. Uninstall one of them."
                )
            self._entries[card.name] = Entry(card, config, builds)
            return config

        return add

    def names(self, pattern: str = "*") -> list[str]:
        """Registered names that match a shell pattern, sorted."""
        return sorted(fnmatch.filter(self._all(), pattern))

    def entries(self) -> list[Entry[CardT]]:
        """Every entry, sorted by name."""
        return [self._all()[name] for name in self.names()]

    def conf_dirs(self) -> list[Path]:
        """The conf folders that entries bring along."""
        return sorted({entry.conf_dir for entry in self.entries() if entry.conf_dir.is_dir()})

    def find(self, name: str) -> Entry[CardT]:
        """The entry of that name; a ZooError with the nearest known name if there is none."""
        entries = self._all()
        if name not in entries:
            raise ZooError(
                f"There is no {self.kind} `{name}`.{nearest(name, entries)} "
                f"Known: {listed(sorted(entries))}.    See: python -m zoo.list"
            )
        return entries[name]

    def config(self, settings: Mapping[str, Any]) -> Any:
        """Plain data with a ``name`` to the config dataclass of that name; unknown keys are refused."""
        if "name" not in settings:
            raise ZooError(f"A {self.kind} is chosen by `name`; got the keys {listed(settings)}.")
        entry = self.find(settings["name"])
        known = [f.name for f in fields(entry.config)]
        for key in settings:
            if key not in known:
                raise ZooError(
                    f"The {self.kind} `{settings['name']}` has no setting `{key}`.{nearest(key, known)} "
                    f"Known: {listed(known)}."
                )
        return entry.config(**settings)

    def _all(self) -> dict[str, Entry[CardT]]:
        if not self._discovered:
            self._discovered = True
            for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                importlib.import_module(f"{self.package}.{module.name}.config")
            for point in entry_points(group=self.group):
                self._load_plugin(point.name, point.value)
        return self._entries

    def _load_plugin(self, name: str, module: str) -> None:
        try:
            importlib.import_module(module)
        except Exception as problem:  # a broken plug-in must not take the zoo down with it
            warnings.warn(
                f"The plug-in `{name}` of the group {self.group} is skipped: importing {module} "
                f"failed with {type(problem).__name__}: {problem}",
                stacklevel=2,
            )
