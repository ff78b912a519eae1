"""What is typed after ``python -m zoo.benchmark``: settings of the benchmark, of a training, and of the other side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.cli import explain
from zoo.config.compose import compose_settings
from zoo.config.overrides import key_of
from zoo.errors import ZooError
from zoo.training.plan import Plan, plan

if TYPE_CHECKING:
    from zoo.settings import BenchmarkSettings

COMPARE = "--compare"
NOT_READ = ("resume", "runs", "overwrite", "slots", "launcher", "sweep", "logger", "budget")
"""Groups and settings of a training that leave no trace in a step of it."""


@dataclass(frozen=True)
class Side:
    """One of two that are compared. words: the overrides of `zoo.train`. code: a checkout of the zoo."""

    words: tuple[str, ...]
    code: Path


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; ``other`` is None where nothing is compared."""

    settings: BenchmarkSettings
    side: Side
    other: Side | None


def read_words(words: Sequence[str]) -> Asked:
    """Understand a command line; a ZooError says which word is not understood."""
    from zoo.settings import BenchmarkSettings

    words = list(words)
    if flags := [word for word in words if word.startswith("-") and word != COMPARE]:
        raise ZooError(f"{flags[0]} is not understood. Type: python -m zoo.benchmark --help")
    first, compares, more = _split(words)
    own = {field.name for field in fields(BenchmarkSettings)}
    _check_other(more, own)
    for word in (*first, *more):
        if key_of(word).partition(".")[0] in NOT_READ:
            raise ZooError(f"{word} changes nothing in a training step, and is not read here. Leave it out.")
    config = compose_settings("benchmark", [word for word in first if key_of(word) in own])
    settings: BenchmarkSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    _check_counts(settings)
    here = Path(__file__).resolve().parents[2]
    training = tuple(word for word in first if key_of(word) not in own)
    codes = [Path(word.partition("=")[2]) for word in more if key_of(word) == "against"]
    beside = tuple(word for word in more if key_of(word) != "against")
    changed = {key_of(word) for word in beside}
    kept = [word for word in training if key_of(word) not in changed]
    other = Side((*kept, *beside), _checkout(codes[-1]) if codes else here) if compares else None
    return Asked(settings, Side(training, here), other)


def _split(words: list[str]) -> tuple[list[str], bool, list[str]]:
    """What stands before ``--compare``, whether it is there, and what stands behind it."""
    if COMPARE not in words:
        return words, False, []
    place = words.index(COMPARE)
    return words[:place], True, words[place + 1 :]


def _check_other(words: list[str], own: set[str]) -> None:
    for word in words:
        if word == COMPARE:
            raise ZooError("Two are compared, and --compare is typed once, before what differs in the second.")
        if key_of(word) in own:
            raise ZooError(f"{word} is of the whole benchmark. Type it before --compare.")


def _check_counts(settings: BenchmarkSettings) -> None:
    for name, least in (("repetitions", 1), ("warm_up", 0), ("turn", 1)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise ZooError(f"{name}={value} is too small. Try: {name}={least}")


def _checkout(folder: Path) -> Path:
    if not (folder / "zoo" / "train.py").is_file():
        raise ZooError(f"against={folder} is no checkout of the zoo: there is no {folder}/zoo/train.py.")
    return folder.resolve()


def planned(words: Sequence[str]) -> Plan:
    """The training that these words of `zoo.train` mean; a ZooError says what does not fit."""
    try:
        return plan(compose_settings("train", words))
    except OmegaConfBaseException as problem:
        raise ZooError(explain(problem)) from problem
