"""Gather run folders into a comparison: which values are comparable, what differs, and what is significant."""

from __future__ import annotations

import math
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from glob import glob, has_magic
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from zoo.card import MODELS, ModelConfig
from zoo.comparison.content import Cell, Column, ComparedRun, Comparison, Row
from zoo.errors import ZooError, joined
from zoo.evaluation.catalogue import better, current_name
from zoo.evaluation.past_baselines import compare_with_baselines
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, read_results
from zoo.io.bounded import read_bounded_json
from zoo.io.safe_settings import check_plain, read_settings
from zoo.runs.files import CLIPS, CONFIG, FILM_KINDS, INDEX, METRICS, wandb_run
from zoo.runs.metrics_csv import read_curves
from zoo.types import is_sample_name

IGNORED_SETTINGS = (
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
"""Settings in which runs of one variant may differ: the seed, and what changes no value."""
CONFIDENCE = 0.95
NO_SEED = -1
"""In place of the seed of a trivial row, which no training made."""
NOT_GENERATIVE = ("classify", "segment")
"""Tasks of models that generate no videos."""

MOST_INDEX_BYTES = 1 << 20
MOST_FILM_BYTES = 1 << 30
"""Largest film of a gallery, 1 GiB: films are copied, and one with holes would fill the disk."""

Curve = list[tuple[float, float]]
"""(clips seen, value) pairs."""

Results = Mapping[str, Sequence[Result]]
"""Results by the name of the run."""


def find_runs(patterns: Iterable[str]) -> list[Path]:
    """Return the run folders that paths and globs match, in their order, without duplicates.

    Raises ZooError for a pattern that matches no run folder.
    """
    found: dict[Path, Path] = {}
    for pattern in patterns:
        is_run = (Path(pattern) / CONFIG).is_file()  # the name of a run folder may contain brackets
        is_glob = has_magic(pattern) and not is_run
        paths = sorted(map(Path, glob(pattern))) if is_glob else [Path(pattern)]  # noqa: PTH207 - it may be absolute
        folders = [path for path in paths if (path / CONFIG).is_file()]
        if not folders:
            raise ZooError(f"{pattern} is no run: a folder with a {CONFIG} is expected.{_describe(Path(pattern))}")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _describe(path: Path) -> str:
    """Say what there is instead of a run folder, and what to type."""
    if path.is_file():
        return f" It is a file. Try: {shlex.quote(str(path.parent))}"
    if not path.is_dir():
        found = "Nothing matches" if has_magic(str(path)) else "There is no such folder"
        return f" {found}. Type the path of a run folder, runs/<run>."
    runs = sorted(each.parent.name for each in path.glob(f"*/{CONFIG}"))
    return (
        f" It holds runs. Try: {shlex.quote(str(path))}/*"
        if runs
        else f" It holds {joined(sorted(p.name for p in path.iterdir())[:8])}."
    )


def gather(folders: Sequence[Path]) -> tuple[Comparison, list[str]]:
    """Read runs and compare them; also returns notes about what was left out.

    Raises ZooError if a run cannot be read, or the runs share no protocol.
    """
    runs = align_films(_read_runs(folders))
    results = {run.name: read_results(run.folder) for run in runs}
    runs = [replace(run, curves=rename_old_curves(run.curves, results[run.name])) for run in runs]
    excluded = [name for name, lines in results.items() if all(line.task in NOT_GENERATIVE for line in lines)]
    if len(excluded) == len(runs):
        raise ZooError(
            f"Runs of models that generate videos are expected, but {joined(excluded)} generate none. "
            "Type: python -m zoo.compare runs/<run> runs/<run>"
        )
    comparison, notes = compare_results(
        [run for run in runs if run.name not in excluded],
        {name: lines for name, lines in results.items() if name not in excluded},
    )
    return comparison, [*notes, *(f"{name} was left out: it generates no videos." for name in excluded)]


def compare_results(runs: Sequence[ComparedRun], results: Results) -> tuple[Comparison, list[str]]:
    """Compare runs that were read already, with their results by name; also returns notes about what was left out."""
    newest = {name: _newest(lines) for name, lines in results.items()}
    columns, notes = _columns(newest)
    notes += _unequal_trainings(runs, newest)
    return Comparison(tuple(runs), tuple(columns), tuple(_rows(runs, newest, columns))), notes


def _unequal_trainings(runs: Sequence[ComparedRun], results: Results) -> Iterator[str]:
    """Notes about variants whose seeds were trained for different numbers of clips."""
    seen: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        seen[run.variant].add(max(line.seen for line in results[run.name]))
    for variant, clips in seen.items():
        if len(clips) > 1:
            counts = joined(map(str, sorted(clips)))
            yield f"The seeds of {variant} were trained for different numbers of clips: {counts}."


# ---------------------------------------------------------------- runs


def _read_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    read = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    variants = name_variants([run.config for run in read])
    counts = Counter((variant, run.seed) for run, variant in zip(read, variants, strict=True))
    return [  # two runs of one variant and seed stay apart
        replace(run, variant=f"{variant} ({run.name})" if counts[variant, run.seed] > 1 else variant)
        for run, variant in zip(read, variants, strict=True)
    ]


def _read(folder: Path, name: str) -> ComparedRun:
    try:
        config = flat(read_settings(folder / CONFIG))
        seed = int(config.get("seed", 0))
    except (TypeError, ValueError, OverflowError) as problem:
        raise ZooError(
            f"{folder / CONFIG} cannot be read as the settings of a run: {problem}. Leave the run out, or restore the "
            "file."
        ) from problem
    curves = read_curves(folder / METRICS) if (folder / METRICS).is_file() else {}
    return ComparedRun(name, folder, "", seed, config, curves, read_films(folder / CLIPS), wandb_run(folder))


def read_films(folder: Path) -> dict[str, dict[str, Path]]:
    """Return clip key -> kind -> file of a run's gallery; empty if there is none.

    Raises ZooError for an index that no gallery writes, since kinds and names become file names.
    """
    index = folder / INDEX
    if not index.is_file():
        return {}
    try:
        known = read_bounded_json(index, MOST_INDEX_BYTES)
        check_plain(known, str(index))
        films = {key: {kind: folder / name for kind, name in kinds.items()} for key, kinds in known.items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as problem:
        raise ZooError(
            f"{index} cannot be read: {problem}. Delete the folder {folder}; the next validation round writes it again."
        ) from problem
    for kind, path in (pair for kinds in films.values() for pair in kinds.items()):
        if kind not in FILM_KINDS:
            raise ZooError(
                f"{index} names a film of the kind `{kind}`, but the kinds are {joined(FILM_KINDS)}. Delete {folder}."
            )
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ZooError(
                f"{index} names a film outside its folder, {path}, so no training wrote it. Delete {folder}."
            )
        if not path.is_file():
            raise ZooError(
                f"{index} names a film that does not exist, {path}. Copy the whole folder {CLIPS} of the run."
            )
        if (size := path.stat().st_size) > MOST_FILM_BYTES:
            raise ZooError(
                f"{path} has {size:,} bytes, but a film of {MOST_FILM_BYTES:,} is the longest that a training writes. "
                f"Delete {folder}."
            )
    found = [path.stat() for kinds in films.values() for path in kinds.values()]
    if len({(each.st_dev, each.st_ino) for each in found}) < len(found):  # links included
        raise ZooError(f"{index} names a film twice, so no training wrote it. Delete {folder}.")
    return films


def rename_old_curves(curves: Mapping[str, Curve], results: Sequence[Result]) -> dict[str, Curve]:
    """Rename the curves of metrics whose values have another version in results.jsonl, as ``ssim-v1``: metrics.csv does
    not know versions."""
    names = {
        line.protocol.key(current_name(metric)): line.protocol.key(metric)
        for line in results
        for metric in line.metrics
        if current_name(metric) != metric
    }
    return {names.get(key, key): curve for key, curve in curves.items()}


def align_films(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Put films of samples that are made from nothing beside the clips of the other runs: the first beside the first
    clip, and so on. They belong to no clip, so without other runs they keep their own names."""
    clips = next((list(run.films) for run in runs if run.films and not all(map(is_sample_name, run.films))), None)
    if clips is None:
        return list(runs)
    return [
        replace(run, films=dict(zip(clips, run.films.values(), strict=False)))
        if run.films and all(map(is_sample_name, run.films))
        else run
        for run in runs
    ]


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {f"{prefix}{name}": value}
    return found


def name_variants(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each run's variant: the model, and the settings that differ between the runs of that model."""
    by_model: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for config in configs:
        by_model[str(config.get("model.name"))].append(config)
    differing = {model: differing_settings(same) for model, same in by_model.items()}
    names = []
    for config in configs:
        model = str(config.get("model.name"))
        own = [f"{name.removeprefix('model.')}={config.get(name)}" for name in differing[model]]
        names.append(" ".join([model, *own]))
    return names


def differing_settings(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the settings that differ, without IGNORED_SETTINGS."""
    names = dict.fromkeys(name for config in configs for name in config)
    return [
        name
        for name in names
        if not name.startswith(IGNORED_SETTINGS)
        and len({repr(config.get(name)) for config in configs}) > 1
        and not all(_follows_preset(config, name) for config in configs)
    ]


def _follows_preset(config: Mapping[str, Any], name: str) -> bool:
    """Whether a setting of a model has a value that the preset of the run gives it, so the preset's name says it."""
    model, preset = config.get("model.name"), config.get("model.preset")
    if model not in MODELS.names():  # a run of a plug-in that is not installed
        return False
    cls: type[ModelConfig] = MODELS.find(str(model)).config
    setting = name.removeprefix("model.")
    depends_on_preset = any(setting in values for values in cls.presets.values())
    return depends_on_preset and cls.preset_default(str(preset), setting) == config.get(name)


# ---------------------------------------------------------------- columns


def _newest(results: Sequence[Result]) -> list[Result]:
    """One result per protocol and ``given``: the one after the longest training, with the last value of each metric."""
    newest: list[Result] = []
    for result in results:
        same = [i for i, r in enumerate(newest) if _identity(r) == _identity(result)]
        if not same:
            newest.append(result)
        elif result.seen > newest[same[0]].seen:
            newest[same[0]] = result
        elif result.seen == newest[same[0]].seen:
            before = newest[same[0]]
            metrics, curves = before.metrics | result.metrics, before.curves | result.curves
            newest[same[0]] = replace(result, metrics=metrics, curves=curves)
    return newest


def _identity(result: Result) -> tuple[Protocol, str, str]:
    return result.protocol, result.given, result.baseline


def _columns(results: Results) -> tuple[list[Column], list[str]]:
    """The metrics that may be compared, and notes about those that may not.

    A protocol is kept if all runs of a task have it; each task has a table of its own. At least one protocol must be
    common to the runs of a task, or a ZooError is raised.
    """
    protocols = {name: [result.protocol for result in lines] for name, lines in results.items()}
    tasks: dict[str, dict[str, list[Protocol]]] = defaultdict(dict)
    for name, lines in results.items():
        tasks[lines[0].task][name] = protocols[name]
    kept = _common(protocols)
    shared = bool(kept)
    for members in tasks.values():
        common = _common(members)
        if not common:
            raise ZooError(_explain_no_common(members))
        kept += [protocol for protocol in common if protocol not in kept]
    notes = (
        [] if shared else [f"No protocol is common to {joined(tasks)}: values of different tables are not comparable."]
    )
    notes += [_excluded_note(name, each, kept) for name, own in protocols.items() for each in own if each not in kept]
    columns: dict[str, Column] = {}
    for protocol in kept:
        for lines in results.values():
            for metric in (m for line in lines if line.protocol == protocol for m in line.metrics):
                _add_column(columns, metric, protocol)
    return list(columns.values()), notes


def _excluded_note(name: str, protocol: Protocol, kept: Sequence[Protocol]) -> str:
    nearest = min((protocol.differing_fields(each) for each in kept), key=len)
    return f"{name}: its results under {protocol.slug} were left out, since the protocol differs in {joined(nearest)}."


def _add_column(columns: dict[str, Column], metric: str, protocol: Protocol) -> None:
    """Add a column. Raises ZooError if its key belongs to a column of another protocol."""
    if metric.startswith("real/"):
        return
    key, plain = protocol.key(metric), protocol.flat()
    existing = columns.get(key)
    if existing is None:
        columns[key] = Column(key, better(metric), plain)
    elif existing.protocol != plain:
        differing = [name for name in plain if existing.protocol.get(name) != plain[name]]
        raise ZooError(
            f"{key} was measured under two protocols, which differ in {joined(differing)}. Evaluate each run with the "
            "same settings: python -m zoo.evaluate run=<run> …"
        )


def _common(protocols: Mapping[str, Sequence[Protocol]]) -> list[Protocol]:
    first, *others = protocols.values()
    return [protocol for protocol in _distinct(first) if all(protocol in each for each in others)]


def _distinct(protocols: Sequence[Protocol]) -> list[Protocol]:
    return [protocol for i, protocol in enumerate(protocols) if protocol not in protocols[:i]]


def _explain_no_common(protocols: Mapping[str, Sequence[Protocol]]) -> str:
    """Name the fields in which the most similar protocols of two runs differ."""
    for (a, mine), (b, others) in combinations(protocols.items(), 2):
        if any(protocol in others for protocol in mine):
            continue
        nearest = min((p.differing_fields(q) for p in mine for q in others), key=len)
        fields = "\n".join(f"  {name}: {one!r} and {two!r}" for name, (one, two) in nearest.items())
        return (
            f"{a} and {b} were measured under different protocols, so their values are not comparable. They differ in\n"
            f"{fields}\nEvaluate both with the same settings: python -m zoo.evaluate run=<run> …"
        )
    return (
        "Any two of these runs share a protocol, but no protocol is common to all. Evaluate all with the same "
        "settings: python -m zoo.evaluate run=<run> …"
    )


# ---------------------------------------------------------------- rows


def _rows(runs: Sequence[ComparedRun], results: Results, columns: Sequence[Column]) -> Iterator[Row]:
    """One row per variant and ``given``; rows of a task are consecutive, in the order of the runs."""
    grouped: dict[tuple[str, str, str], dict[int, Result]] = {}
    values: dict[tuple[str, str, str], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    curves: dict[tuple[str, str, str], dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    baselines: set[tuple[str, str, str]] = set()
    kept = [column.protocol for column in columns]
    for run in runs:
        for result in (line for line in results[run.name] if line.protocol.flat() in kept):
            row, seed = (result.task, run.variant, result.given), run.seed
            if result.baseline:  # the same in every run
                row, seed = (result.task, result.baseline, result.given), NO_SEED
                baselines.add(row)
            grouped.setdefault(row, {})[seed] = result
            for metric, value in result.metrics.items():
                values[row][result.protocol.key(metric)][seed] = value
            for metric, curve in result.curves.items():
                curves[row][result.protocol.key(metric)].append(curve)
    keys = {column.key for column in columns}
    shown = [row for row in grouped if keys & set(values[row])]
    for task in dict.fromkeys(row[0] for row in shown):
        members = sorted((row for row in shown if row[0] == task), key=lambda row: row in baselines)
        cells: dict[tuple[str, str, str], dict[str, Cell]] = {row: {} for row in members}
        for column in columns:
            by_row = {row: values[row].get(column.key, {}) for row in members}
            for row, by_seed in by_row.items():
                if by_seed:
                    rivals = (other for other in members if other != row and other not in baselines)
                    others = [list(by_row[other].values()) for other in rivals if by_row[other]]
                    real = values[row].get(_real_key(column.key), {})
                    cells[row][column.key] = build_cell(by_seed, others, column.better, list(real.values()))
        for row in members:
            trivial = {other[1]: cells[other] for other in members if other in baselines and other[2] == row[2]}
            standing = "" if row in baselines else _standing(cells[row], trivial)
            seeds = tuple(sorted(seed for seed in grouped[row] if seed != NO_SEED))
            frames = {key: mean_curve(each) for key, each in curves[row].items()}
            yield Row(row[1], task, row[2], seeds, cells[row], frames, row in baselines, standing)


def _standing(model: Mapping[str, Cell], trivial: Mapping[str, Mapping[str, Cell]]) -> str:
    """Which trivial rows a variant is past, by its means over seeds."""
    rows = {title: {key: cell.mean for key, cell in cells.items()} for title, cells in trivial.items()}
    return str(compare_with_baselines({key: cell.mean for key, cell in model.items()}, rows))


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean of curves of equal length, frame by frame."""
    return [mean(values) for values in zip(*curves, strict=True)]


def _real_key(key: str) -> str:
    """``val/flicker@…`` -> ``val/real/flicker@…``."""
    split, _, rest = key.partition("/")
    return f"{split}/real/{rest}"


def build_cell(
    by_seed: Mapping[int, float], others: Sequence[list[float]], better: str, real: Sequence[float] = ()
) -> Cell:
    """Build the cell of one row and column.

    by_seed: value by seed. others: values of each other row. better: ``min``, ``max`` or "". real: values on real
    clips.
    """
    seeds = tuple(sorted(by_seed))
    values = tuple(by_seed[seed] for seed in seeds)
    best = bool(others) and better in ("min", "max")
    best = best and all(significantly_better(values, other, better) for other in others)
    return Cell(values, mean(values), half_width(values), best, mean(real) if real else None, seeds)


def half_width(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % confidence interval of the mean, by Student's t; None for one value."""
    if len(values) < 2:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    scale = _scale(values)
    spread = stdev(value / scale for value in values)
    return float(student.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * spread / math.sqrt(len(values)) * scale


def _scale(values: Sequence[float]) -> float:
    """A power of two near the largest number: divided by it, numbers have squares that are floats."""
    return 2.0 ** min(max(math.frexp(max(map(abs, values)))[1], -1000), 1000)


def significantly_better(values: Sequence[float], other: Sequence[float], better: str) -> bool:
    """Whether the mean is better and zero lies outside the 95 % confidence interval of the difference (Welch's t).

    better: ``min`` or ``max``. False with fewer than two values on either side, and for values that are not finite.
    """
    if min(len(values), len(other)) < 2 or not all(map(math.isfinite, [*values, *other])):
        return False
    scale = _scale([*values, *other])
    values, other = [value / scale for value in values], [value / scale for value in other]
    gain = (mean(values) - mean(other)) * (1 if better == "max" else -1)
    a, b = (stdev(each) ** 2 / len(each) for each in (values, other))
    if a + b == 0:
        return gain > 0
    share = a / (a + b)
    freedom = 1 / (share**2 / (len(values) - 1) + (1 - share) ** 2 / (len(other) - 1))
    return gain > float(student.ppf(0.5 + CONFIDENCE / 2, freedom)) * math.sqrt(a + b)
