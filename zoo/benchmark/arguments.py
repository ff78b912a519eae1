"""The arguments of ``python -m zoo.benchmark``: its own settings, those of a training, and what B changes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.cli import explain
from zoo.config.compose import compose_settings
from zoo.config.overrides import override_key
from zoo.errors import ZooError
from zoo.fields.ranges import check_ranges
from zoo.training.plan import Plan, plan

if TYPE_CHECKING:
    from zoo.settings import BenchmarkSettings

COMPARE = "--compare"
UNUSED = (
    "resume",
    "runs",
    "overwrite",
    "trust",
    "accept_changed_data",
    "slots",
    "launcher",
    "sweep",
    "logger",
    "budget",
)
"""Groups and settings of a training that have no effect on a training step."""
WORKER_MODULES = ("arguments", "measure", "roofline", "step_profiler", "worker")
"""Modules of this package that run in a worker, with the code of another checkout."""


@dataclass(frozen=True)
class Side:
    """One of two compared sides. overrides: those of `zoo.train`. code: a checkout of the zoo."""

    overrides: tuple[str, ...]
    code: Path


@dataclass(frozen=True)
class Arguments:
    """The parsed command line. b: None if nothing is compared."""

    settings: BenchmarkSettings
    a: Side
    b: Side | None


def parse_arguments(arguments: Sequence[str]) -> Arguments:
    """Parse a command line. Raises ZooError for an argument that is invalid or has no effect."""
    from zoo.settings import BenchmarkSettings

    arguments = list(arguments)
    if flags := [argument for argument in arguments if argument.startswith("-") and argument != COMPARE]:
        raise ZooError(f"There is no flag {flags[0]}. Type: python -m zoo.benchmark --help")
    first, compares, second = _split_at_compare(arguments)
    own = {field.name for field in fields(BenchmarkSettings)}
    _check_second(second, own)
    for override in (*first, *second):
        if override_key(override).partition(".")[0] in UNUSED:
            raise ZooError(
                f"{override} has no effect on a training step, so the benchmark does not use it. Leave it out."
            )
    config = compose_settings("benchmark", [override for override in first if override_key(override) in own])
    settings: BenchmarkSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    check_ranges(settings)
    here = Path(__file__).resolve().parents[2]
    training = tuple(override for override in first if override_key(override) not in own)
    checkouts = [Path(override.partition("=")[2]) for override in second if override_key(override) == "against"]
    changes = tuple(override for override in second if override_key(override) != "against")
    changed = {override_key(override) for override in changes}
    kept = [override for override in training if override_key(override) not in changed]
    b = Side((*kept, *changes), check_checkout(checkouts[-1]) if checkouts else here) if compares else None
    return Arguments(settings, Side(training, here), b)


def _split_at_compare(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    """The arguments before ``--compare``, whether it is there, and the arguments after it."""
    if COMPARE not in arguments:
        return arguments, False, []
    place = arguments.index(COMPARE)
    return arguments[:place], True, arguments[place + 1 :]


def _check_second(overrides: list[str], own: set[str]) -> None:
    for override in overrides:
        if override == COMPARE:
            raise ZooError("--compare is typed twice. Type it once, before the settings that differ in B.")
        if override_key(override) in own:
            raise ZooError(f"{override} applies to both sides. Type it before --compare.")


def check_checkout(folder: Path) -> Path:
    """Return the absolute path of a checkout whose code the benchmark can import.

    Raises ZooError for a folder that is no checkout, and for a checkout of an older layout.
    """
    if not (folder / "zoo" / "train.py").is_file():
        raise ZooError(
            f"against={folder} is not a checkout of the zoo: it has no zoo/train.py. Type: against=<checkout>"
        )
    if missing := next(missing_imports(folder), None):
        raise ZooError(
            f"against={folder} has another layout than this checkout: {missing}, which the benchmark imports. "
            "Compare with a checkout of this layout, or run that checkout's own benchmark."
        )
    return folder.resolve()


def missing_imports(folder: Path) -> Iterator[str]:
    """Describe every name that a worker imports from the zoo and that a checkout does not define."""
    for name in WORKER_MODULES:
        for node in ast.walk(ast.parse((Path(__file__).parent / f"{name}.py").read_text())):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if not module.startswith("zoo.") or module.startswith("zoo.benchmark"):
                continue
            assert isinstance(node, ast.ImportFrom)
            path = folder.joinpath(*module.split("."))
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            if not file.is_file():
                yield f"it has no {path.relative_to(folder)}.py"
            elif unknown := [alias.name for alias in node.names if alias.name not in _defined_names(file)]:
                yield f"its {file.relative_to(folder)} has no `{unknown[0]}`"


def _defined_names(file: Path) -> set[str]:
    """Names that a module defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names


def plan_training(overrides: Sequence[str]) -> Plan:
    """Plan the training that overrides of `zoo.train` describe. Raises ZooError for settings that do not fit."""
    try:
        return plan(compose_settings("train", overrides))
    except OmegaConfBaseException as problem:
        raise ZooError(explain(problem)) from problem
