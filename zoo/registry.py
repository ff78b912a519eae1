"""The registry class of models and data sets: register, find, list, build.

A config dataclass is registered with its card; both are plain data and import no torch. The class that the config
builds is named by its module and imported only when it is built, so listing and checking are fast.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from zoo.errors import ZooError, joined, suggest


class Card(Protocol):
    """What the registry needs of a card."""

    @property
    def name(self) -> str:
        """Short name, as typed on the command line."""


CardT = TypeVar("CardT", bound=Card)
ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class Entry(Generic[CardT]):
    """A registered name: its card, its config class, and the location of the class that the config builds."""

    card: CardT
    config: type[Any]
    builds: str

    def load(self) -> type[Any]:
        """Import and return the class; this imports torch."""
        module, _, name = self.builds.partition(":")
        package = self.config.__module__.rpartition(".")[0]
        return getattr(importlib.import_module(module, package), name)

    @property
    def conf_dir(self) -> Path:
        """The ``conf`` folder beside the module of the config, for the YAML files of a plug-in."""
        module = importlib.import_module(self.config.__module__)
        return Path(str(module.__file__)).parent / "conf"


class Registry(Generic[CardT]):
    """Maps names to entries. Built-in entries are in ``package``, those of plug-ins are found by entry points.

    kind: what is registered, for error messages. package: contains one folder per name, each with a ``config.py`` that
    registers itself. group: entry-point group under which other distributions name such a module.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind = kind
        self.package = package
        self.group = group
        self._entries: dict[str, Entry[CardT]] = {}
        self._discovered = False

    def register(self, card: CardT, builds: str) -> Callable[[type[ConfigT]], type[ConfigT]]:
        """Class decorator for a config dataclass. builds: ``".module:Class"``, relative to its package.

        Raises ZooError if another package has registered the name.
        """

        def add(config: type[ConfigT]) -> type[ConfigT]:
            existing = self._entries.get(card.name)
            if existing is not None and existing.config.__module__ != config.__module__:
                raise ZooError(
                    f"Two packages register the {self.kind} `{card.name}`: "
                    f"{existing.config.__module__} and {config.__module__}. Uninstall one of them."
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
        """The conf folders of all entries that have one."""
        return sorted({entry.conf_dir for entry in self.entries() if entry.conf_dir.is_dir()})

    def find(self, name: str) -> Entry[CardT]:
        """The entry with that name. Raises ZooError, with the most similar name, if there is none."""
        entries = self._all()
        if name not in entries:
            raise ZooError(
                f"There is no {self.kind} `{name}`.{suggest(name, entries)} "
                f"Known: {joined(sorted(entries))}.    See: python -m zoo.list"
            )
        return entries[name]

    def config(self, settings: Mapping[str, Any]) -> Any:
        """Build the config dataclass that ``name`` in the settings selects.

        Raises ZooError for a missing or unknown name, and for unknown settings.
        """
        if "name" not in settings:
            raise ZooError(f"The settings of a {self.kind} need the key `name`; found {joined(settings) or 'none'}.")
        entry = self.find(settings["name"])
        known = [f.name for f in fields(entry.config)]
        for key in settings:
            if key not in known:
                raise ZooError(
                    f"The {self.kind} `{settings['name']}` has no setting `{key}`.{suggest(key, known)} "
                    f"Known: {joined(known)}."
                )
        return entry.config(**settings)

    def _all(self) -> dict[str, Entry[CardT]]:
        if not self._discovered:
            self._discovered = True
            for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                importlib.import_module(f"{self.package}.{module.name}.config")
            for point in entry_points(group=self.group):
                if not _is_of_current_folder(point):
                    self._load_plugin(point.name, point.value)
        return self._entries

    def _load_plugin(self, name: str, module: str) -> None:
        try:
            importlib.import_module(module)
        except Exception as problem:  # a broken plug-in must not break the zoo
            warnings.warn(
                f"The plug-in `{name}` of the group {self.group} is skipped: importing {module} "
                f"failed with {type(problem).__name__}: {problem}",
                stacklevel=2,
            )


def _is_of_current_folder(point: EntryPoint) -> bool:
    """Whether an entry point is of a distribution that lies in the current folder, which may be a download. Editable
    installs name their folder from the environment, and are none."""
    if point.dist is None:
        return False
    folder = Path(str(point.dist.locate_file(""))).resolve()
    return folder == Path.cwd() and folder != Path(__file__).resolve().parents[1]
