"""Run folders as a comparison: what may stand in one column, what differs, which difference is larger than chance."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from glob import glob, has_magic
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from zoo.comparison.content import Cell, Column, Comparison, Row, Run
from zoo.errors import ZooError, listed
from zoo.evaluation.catalogue import better
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, read_results
from zoo.io.safe_settings import check_plain, read_settings
from zoo.runs.files import CLIPS, CONFIG, INDEX, METRICS, wandb_run
from zoo.runs.metrics_csv import read_curves

NO_MATTER = (
    "seed",
    "runs",
    "logger.",
    "evaluation.",
    "callbacks.gallery_clips",
    "callbacks.monitor",
    "trainer.threads",
    "trainer.progress",
    "trainer.log_every",
    "data.workers",
    "data.root",
)
"""Settings by which two runs may differ and still be the same variant: the seed, and what changes no number."""
CONFIDENCE = 0.95
KINDS = ("given", "real", "generated")
"""Of films of a clip."""
READERS = ("classify", "segment")
"""Tasks of models that make no videos."""

Results = Mapping[str, Sequence[Result]]  # by the name of the run


def find_runs(words: Iterable[str]) -> list[Path]:
    """The run folders that paths and globs mean, in their order, none twice."""
    found: dict[Path, Path] = {}
    for word in words:
        whole = (Path(word) / CONFIG).is_file()  # a folder's own name may hold brackets
        paths = sorted(map(Path, glob(word))) if has_magic(word) and not whole else [Path(word)]  # noqa: PTH207 - or absolute
        folders = [path for path in paths if (path / CONFIG).is_file()]
        if not folders:
            raise ZooError(f"{word} is no run: a folder with a {CONFIG} is expected.{_what_is_there(Path(word))}")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _what_is_there(path: Path) -> str:
    if path.is_file():
        return f" It is a file. Try: {path.parent}"
    if not path.is_dir():
        return " There is no such folder." if not has_magic(str(path)) else " Nothing matches."
    runs = sorted(each.parent.name for each in path.glob(f"*/{CONFIG}"))
    return (
        f" It holds runs. Try: {path}/*" if runs else f" It holds {listed(sorted(p.name for p in path.iterdir())[:8])}."
    )


def gather(folders: Sequence[Path]) -> tuple[Comparison, list[str]]:
    """The comparison, and sentences about what was left out of it. A ZooError where nothing may be compared."""
    runs = _named(folders)
    results = {run.name: read_results(run.folder) for run in runs}
    readers = [name for name, lines in results.items() if all(line.task in READERS for line in lines)]
    if len(readers) == len(runs):
        raise ZooError(f"{listed(readers)}: these make no videos, so there is nothing to lay side by side.")
    comparison, notes = lay_side_by_side(
        [run for run in runs if run.name not in readers],
        {name: lines for name, lines in results.items() if name not in readers},
    )
    return comparison, [*notes, *(f"{name} makes no videos: it is left out." for name in readers)]


def lay_side_by_side(runs: Sequence[Run], results: Results) -> tuple[Comparison, list[str]]:
    """The same of runs that are read, and their results by name."""
    newest = {name: _newest(lines) for name, lines in results.items()}
    columns, notes = _columns(newest)
    notes += _unequal_trainings(runs, newest)
    return Comparison(tuple(runs), tuple(columns), tuple(_rows(runs, newest, columns))), notes


def _unequal_trainings(runs: Sequence[Run], results: Results) -> Iterator[str]:
    """Sentences about variants whose seeds were measured after trainings of unequal length."""
    seen: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        seen[run.variant].add(max(line.seen for line in results[run.name]))
    for variant, clips in seen.items():
        if len(clips) > 1:
            counts = listed(map(str, sorted(clips)))
            yield f"The seeds of {variant} have seen {counts} clips: they are not equally trained."


# ---------------------------------------------------------------- runs


def _named(folders: Sequence[Path]) -> list[Run]:
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    read = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    variants = name_variants([run.config for run in read])
    twice = {pair for pair, runs in _by_variant_and_seed(read, variants).items() if runs > 1}
    return [
        replace(run, variant=f"{variant} ({run.name})" if (variant, run.seed) in twice else variant)
        for run, variant in zip(read, variants, strict=True)
    ]


def _by_variant_and_seed(runs: Sequence[Run], variants: Sequence[str]) -> dict[tuple[str, int], int]:
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for run, variant in zip(runs, variants, strict=True):
        counts[variant, run.seed] += 1
    return counts


def _read(folder: Path, name: str) -> Run:
    try:
        config = flat(read_settings(folder / CONFIG))
        seed = int(config.get("seed", 0))
    except (TypeError, ValueError, OverflowError) as problem:
        raise ZooError(f"{folder / CONFIG} cannot be read as the settings of a run: {problem}") from problem
    curves = read_curves(folder / METRICS) if (folder / METRICS).is_file() else {}
    return Run(name, folder, "", seed, config, curves, read_films(folder / CLIPS), wandb_run(folder))


def read_films(folder: Path) -> dict[str, dict[str, Path]]:
    """Clip key -> kind -> file, as the gallery of a run left them; empty where there are none.

    A ZooError for what no gallery writes: kinds and names become names of files.
    """
    index = folder / INDEX
    if not index.is_file():
        return {}
    try:
        known = json.loads(index.read_text())
        check_plain(known, str(index))
        films = {key: {kind: folder / name for kind, name in kinds.items()} for key, kinds in known.items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as problem:
        raise ZooError(f"{index} cannot be read: {problem}. A training writes it anew in its next round.") from problem
    for kind, path in (pair for kinds in films.values() for pair in kinds.items()):
        if kind not in KINDS:
            raise ZooError(f"{index} names a film of the kind `{kind}`; known are {listed(KINDS)}.")
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ZooError(f"{index} names a film outside its folder, {path}. It was not written by a training.")
        if not path.is_file():
            raise ZooError(f"{index} names a film that is not there, {path}. Copy the folder {CLIPS} as a whole.")
    return films


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {f"{prefix}{name}": value}
    return found


def name_variants(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Short names: the model, and its values of the settings that differ between the runs of that model."""
    by_model: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for config in configs:
        by_model[str(config.get("model.name"))].append(config)
    differing = {model: differences(same) for model, same in by_model.items()}
    names = []
    for config in configs:
        model = str(config.get("model.name"))
        own = [f"{name.removeprefix('model.')}={config.get(name)}" for name in differing[model]]
        names.append(" ".join([model, *own]))
    return names


def differences(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings that differ, without those that do not matter."""
    names = dict.fromkeys(name for config in configs for name in config)
    return [
        name
        for name in names
        if not name.startswith(NO_MATTER) and len({repr(config.get(name)) for config in configs}) > 1
    ]


# ---------------------------------------------------------------- columns


def _newest(results: Sequence[Result]) -> list[Result]:
    """One for each protocol and given: what was measured with the most training behind, the last one of each metric."""
    newest: list[Result] = []
    for result in results:
        same = [i for i, r in enumerate(newest) if (r.protocol, r.given) == (result.protocol, result.given)]
        if not same:
            newest.append(result)
        elif result.seen > newest[same[0]].seen:
            newest[same[0]] = result
        elif result.seen == newest[same[0]].seen:
            newest[same[0]] = replace(result, metrics={**newest[same[0]].metrics, **result.metrics})
    return newest


def _columns(results: Results) -> tuple[list[Column], list[str]]:
    """The metrics that may be compared, and sentences about those that may not.

    A protocol is in if all runs of a task have it, and one of them at least must be common to all runs.
    """
    protocols = {name: [result.protocol for result in lines] for name, lines in results.items()}
    everywhere = _common(protocols)
    if not everywhere:
        raise ZooError(_no_common(protocols))
    tasks: dict[str, dict[str, list[Protocol]]] = defaultdict(dict)
    for name, lines in results.items():
        tasks[lines[0].task][name] = protocols[name]
    kept = [*everywhere]
    for members in tasks.values():
        kept += [protocol for protocol in _common(members) if protocol not in kept]
    notes = [_left_out(name, each, kept) for name, own in protocols.items() for each in own if each not in kept]
    columns: dict[str, Column] = {}
    for protocol in kept:
        for lines in results.values():
            for metric in (m for line in lines if line.protocol == protocol for m in line.metrics):
                _add_column(columns, metric, protocol)
    return list(columns.values()), notes


def _left_out(name: str, protocol: Protocol, kept: Sequence[Protocol]) -> str:
    nearest = min((protocol.differing_fields(each) for each in kept), key=len)
    return f"{name} was also measured as {protocol.slug}, which differs in {listed(nearest)}: it is left out."


def _add_column(columns: dict[str, Column], metric: str, protocol: Protocol) -> None:
    """A ZooError where one key would mean two things."""
    if metric.startswith("real/"):
        return
    key, plain = protocol.key(metric), protocol.flat()
    there = columns.get(key)
    if there is None:
        columns[key] = Column(key, better(metric), plain)
    elif there.protocol != plain:
        differing = [name for name in plain if there.protocol.get(name) != plain[name]]
        raise ZooError(
            f"{key} was measured in two ways, which differ in {listed(differing)}. Compare runs that were measured "
            "alike: python -m zoo.evaluate run=<run> with the same settings for each."
        )


def _common(protocols: Mapping[str, Sequence[Protocol]]) -> list[Protocol]:
    first, *others = protocols.values()
    return [protocol for i, protocol in enumerate(first) if protocol not in first[:i] and _in_all(protocol, others)]


def _in_all(protocol: Protocol, lists: Sequence[Sequence[Protocol]]) -> bool:
    return all(protocol in each for each in lists)


def _no_common(protocols: Mapping[str, Sequence[Protocol]]) -> str:
    """Which fields differ, of the two runs' protocols that are nearest to each other."""
    for (a, mine), (b, others) in combinations(protocols.items(), 2):
        if any(protocol in others for protocol in mine):
            continue
        nearest = min((p.differing_fields(q) for p in mine for q in others), key=len)
        fields = "\n".join(f"  {name}: {one!r} and {two!r}" for name, (one, two) in nearest.items())
        return (
            f"{a} and {b} were not measured alike, so their numbers cannot stand in one column. They differ in\n"
            f"{fields}\nMeasure both with the same settings: python -m zoo.evaluate run=<run> …"
        )
    return "These runs were measured in pairs alike, but in no way that all share. Measure all with the same settings."


# ---------------------------------------------------------------- rows


def _rows(runs: Sequence[Run], results: Results, columns: Sequence[Column]) -> Iterator[Row]:
    """A row for every variant and what it was given, rows of a task together, in the order of the runs."""
    grouped: dict[tuple[str, str, str], dict[int, Result]] = {}
    figures: dict[tuple[str, str, str], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    kept = [column.protocol for column in columns]
    for run in runs:
        for result in (line for line in results[run.name] if line.protocol.flat() in kept):
            row = result.task, run.variant, result.given
            grouped.setdefault(row, {})[run.seed] = result
            for metric, value in result.metrics.items():
                figures[row][result.protocol.key(metric)][run.seed] = value
    keys = {column.key for column in columns}
    shown = [row for row in grouped if keys & set(figures[row])]
    for task in dict.fromkeys(row[0] for row in shown):
        members = [row for row in shown if row[0] == task]
        cells: dict[tuple[str, str, str], dict[str, Cell]] = {row: {} for row in members}
        for column in columns:
            values = {row: figures[row].get(column.key, {}) for row in members}
            for row, by_seed in values.items():
                if by_seed:
                    others = [list(each.values()) for other, each in values.items() if other != row and each]
                    real = figures[row].get(_real(column.key), {})
                    cells[row][column.key] = cell(by_seed, others, column.better, list(real.values()))
        for row in members:
            yield Row(row[1], task, row[2], tuple(sorted(grouped[row])), cells[row])


def _real(key: str) -> str:
    split, _, rest = key.partition("/")
    return f"{split}/real/{rest}"


def cell(by_seed: Mapping[int, float], others: Sequence[list[float]], which: str, real: Sequence[float] = ()) -> Cell:
    """Mean and half of its interval over seeds; best if it is better than every other by more than chance."""
    seeds = tuple(sorted(by_seed))
    values = tuple(by_seed[seed] for seed in seeds)
    best = bool(others) and which in ("min", "max") and all(surpasses(values, other, which) for other in others)
    return Cell(values, mean(values), half_interval(values), best, mean(real) if real else None, seeds)


def half_interval(values: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the mean, by Student's t; None of one value."""
    if len(values) < 2:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    return float(student.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def surpasses(values: Sequence[float], other: Sequence[float], which: str) -> bool:
    """Whether the difference of two means is better and larger than half of its 95 % interval (Welch's t)."""
    if min(len(values), len(other)) < 2 or not all(map(math.isfinite, [*values, *other])):
        return False
    gain = (mean(values) - mean(other)) * (1 if which == "max" else -1)
    a, b = (stdev(each) ** 2 / len(each) for each in (values, other))
    if a + b == 0:
        return gain > 0
    freedom = (a + b) ** 2 / (a**2 / (len(values) - 1) + b**2 / (len(other) - 1))
    return gain > float(student.ppf(0.5 + CONFIDENCE / 2, freedom)) * math.sqrt(a + b)
