"""The page of a comparison: one HTML file, with the films beside it.

It is opened from disk, so style, scripts and data are embedded and nothing is fetched. Imports no torch.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from zoo.comparison.content import ComparedRun, Comparison, PublishedTable, Row
from zoo.data.decode import probe
from zoo.errors import ZooError
from zoo.evaluation.catalogue import better
from zoo.io.atomic import copy_atomically, write_text
from zoo.io.own_files import inside

PARTS = Path(__file__).parent / "page"
SCRIPTS = ("page.js", "films.js", "curves.js", "frames.js", "tables.js", "published.js")
"""Scripts of the page; the browser runs them as one script, in this order."""

BINS = 250
"""Bins of a thinned curve. A curve is drawn about 300 pixels wide, so two points per bin show all that is visible."""

Curve = list[tuple[float, float]]


def write_page(folder: Path, comparison: Comparison) -> Path:
    """Write ``index.html`` and its ``films/`` into this folder, and return the path of the page.

    Raises ZooError, naming the file, if a film cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "runs": [_run_to_dict(run) for run in comparison.runs],
        "clips": _copy_films(folder, comparison.runs),
        "columns": [asdict(column) for column in comparison.columns],
        "rows": [_row_to_dict(row) for row in comparison.rows],
        "published": [_published_to_dict(table) for table in comparison.published],
    }
    page = folder / "index.html"
    template = Template((PARTS / "index.html").read_text("utf-8"))
    script = "\n".join((PARTS / name).read_text("utf-8") for name in SCRIPTS)
    style = (PARTS / "page.css").read_text("utf-8")
    write_text(page, template.substitute(policy=_policy(script), style=style, script=script, data=_to_json(contents)))
    return page


def _policy(script: str) -> str:
    """The Content-Security-Policy: this script alone runs, films come from beside the page, and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; media-src file: 'self' blob:; "
        "img-src file: 'self' data: blob:; base-uri 'none'; form-action 'none'"
    )


def _to_json(contents: dict[str, Any]) -> str:
    """Encode as JSON for a script element. Without any "<", no string can end the element."""
    return json.dumps(_finite(contents), default=str, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by strings that JavaScript's ``Number`` converts back."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


def _run_to_dict(run: ComparedRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "variant": run.variant,
        "seed": run.seed,
        "config": run.config,
        "curves": {key: _points(curve) for key, curve in run.curves.items() if curve},
    }


def _row_to_dict(row: Row) -> dict[str, Any]:
    """The points of its curves are (frame, value), with frames counted from 1 after the context."""
    curves = {
        key: _points([(float(frame), value) for frame, value in enumerate(curve, 1)])
        for key, curve in row.curves.items()
    }
    return asdict(row) | {"curves": curves}


def _published_to_dict(table: PublishedTable) -> dict[str, Any]:
    return asdict(table) | {"better": {metric: better(metric) for metric in table.metrics}}


def _points(curve: Curve) -> Curve:
    """The points of a curve that are drawn."""
    return [_round(point) for point in _thin(curve)]


def _round(point: tuple[float, float]) -> tuple[float, float]:
    """Round a point so that it takes few characters."""
    seen, value = point
    return (int(seen) if float(seen).is_integer() else seen), float(f"{value:.6g}")


def _thin(curve: Curve) -> Curve:
    """Keep the minimum, the maximum and the first non-finite point of each bin, and both ends of the curve."""
    length = math.ceil(len(curve) / BINS)
    if length <= 3:
        return curve
    kept = {0, len(curve) - 1}
    for start in range(0, len(curve), length):
        points = range(start, min(start + length, len(curve)))
        finite = [index for index in points if math.isfinite(curve[index][1])]
        if finite:
            kept |= {min(finite, key=lambda index: curve[index][1]), max(finite, key=lambda index: curve[index][1])}
        kept.update([index for index in points if not math.isfinite(curve[index][1])][:1])
    return [curve[index] for index in sorted(kept)]


def _copy_films(folder: Path, runs: tuple[ComparedRun, ...]) -> list[dict[str, Any]]:
    """Copy the films of every clip. Equal conditioning and real films of several runs are copied once."""
    _check_free_space(folder, [film for run in runs for kinds in run.films.values() for film in kinds.values()])
    clips = dict.fromkeys(clip for run in runs for clip in run.films)
    return [
        _copy_clip(folder, f"films/{number:03d}-{_file_name(clip)}", clip, runs) for number, clip in enumerate(clips)
    ]


def _check_free_space(folder: Path, films: Sequence[Path]) -> None:
    """Raise ZooError unless copies of all films have room; one that is missing is named when it is copied."""
    needed, free = sum(film.stat().st_size for film in films if film.is_file()), shutil.disk_usage(folder).free
    if needed > free:
        raise ZooError(
            f"The films of these runs need {needed:,} bytes, but {free:,} are free in {folder}. Free some space, or "
            "type out=<folder> on another disk."
        )


def _copy_clip(folder: Path, prefix: str, clip: str, runs: tuple[ComparedRun, ...]) -> dict[str, Any]:
    """Copy the films of one clip. generated: one film per run, None if the run has none. given, real: the distinct
    films, each with the runs that share it."""
    content: dict[str, Any] = {"key": clip, "given": [], "real": [], "generated": [None] * len(runs)}
    known: dict[tuple[str, bytes], dict[str, Any]] = {}
    for number, run in enumerate(runs):
        for kind, film in run.films.get(clip, {}).items():
            copy = f"{prefix}/{number:02d}-{_file_name(run.name)}-{kind}.mp4"
            if kind == "generated":
                content[kind][number] = _copy_film(film, folder, copy)
                continue
            with film.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").digest()
            if (kind, digest) not in known:
                known[kind, digest] = {"film": _copy_film(film, folder, copy), "runs": []}
                content[kind].append(known[kind, digest])
            known[kind, digest]["runs"].append(number)
    return content


def _copy_film(film: Path, folder: Path, address: str) -> dict[str, Any]:
    """Copy a film, and return its address with the facts that the player needs: size, frames and frame rate."""
    info = asdict(probe(film))
    copy_atomically(film, inside(folder, address))
    return {"address": address, **info}


def _file_name(name: str) -> str:
    """Turn a name into a short file name that is valid on any system. Different names may give the same one."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "unnamed"
