"""The page of a comparison: one file with everything in it but the films, which lie beside it.

It is opened from disk, so nothing in it is fetched: style, scripts and data stand in the HTML itself. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from zoo.comparison.content import Comparison, Run
from zoo.data.decode import probe

PARTS = Path(__file__).parent / "page"
SCRIPTS = ("page.js", "films.js", "curves.js", "tables.js")
"""Read by the browser as one script, in this order."""

STRETCHES = 250
"""A curve is drawn some 300 pixels wide: two points in each of so many stretches show all that can be seen."""

Curve = list[tuple[float, float]]


def write_page(folder: Path, comparison: Comparison) -> Path:
    """Write ``index.html`` and the ``films/`` that it plays into this folder; returns the path of the page.

    Raises ZooError, naming the file, if a film cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "runs": [_run(run) for run in comparison.runs],
        "clips": _copy_films(folder, comparison.runs),
        "columns": [asdict(column) for column in comparison.columns],
        "rows": [asdict(row) for row in comparison.rows],
    }
    page = folder / "index.html"
    template = Template((PARTS / "index.html").read_text("utf-8"))
    page.write_text(
        template.substitute(
            style=(PARTS / "page.css").read_text("utf-8"),
            script="\n".join((PARTS / name).read_text("utf-8") for name in SCRIPTS),
            data=_embedded(contents),
        ),
        "utf-8",
    )
    return page


def _embedded(contents: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: without any "<", no string in it can end the element."""
    return json.dumps(_finite(contents), default=str, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they travel as strings, which JavaScript's ``Number`` turns back."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


def _run(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "variant": run.variant,
        "seed": run.seed,
        "config": run.config,
        "curves": {key: [_short(point) for point in _thinned(curve)] for key, curve in run.curves.items() if curve},
    }


def _short(point: tuple[float, float]) -> tuple[float, float]:
    seen, value = point
    return (int(seen) if float(seen).is_integer() else seen), float(f"{value:.6g}")


def _thinned(curve: Curve) -> Curve:
    """The lowest and the highest point of every stretch, the first that is no number, and the curve's two ends."""
    length = math.ceil(len(curve) / STRETCHES)
    if length <= 3:
        return curve
    kept = {0, len(curve) - 1}
    for start in range(0, len(curve), length):
        stretch = range(start, min(start + length, len(curve)))
        finite = [index for index in stretch if math.isfinite(curve[index][1])]
        if finite:
            kept |= {min(finite, key=lambda index: curve[index][1]), max(finite, key=lambda index: curve[index][1])}
        kept.update([index for index in stretch if not math.isfinite(curve[index][1])][:1])
    return [curve[index] for index in sorted(kept)]


def _copy_films(folder: Path, runs: tuple[Run, ...]) -> list[dict[str, Any]]:
    """The films of every clip. What a clip was made from and what really followed stand once, where runs agree."""
    clips = dict.fromkeys(clip for run in runs for clip in run.films)
    return [_copy_clip(folder, f"films/{number:03d}-{_slug(clip)}", clip, runs) for number, clip in enumerate(clips)]


def _copy_clip(folder: Path, place: str, clip: str, runs: tuple[Run, ...]) -> dict[str, Any]:
    """generated: one film a run, None where the run lacks it. given, real: the different films, and whose they are."""
    content: dict[str, Any] = {"key": clip, "given": [], "real": [], "generated": [None] * len(runs)}
    known: dict[tuple[str, bytes], dict[str, Any]] = {}
    for number, run in enumerate(runs):
        for kind, film in run.films.get(clip, {}).items():
            copy = f"{place}/{number:02d}-{_slug(run.name)}-{kind}.mp4"
            if kind == "generated":
                content[kind][number] = _copy_film(film, folder, copy)
                continue
            digest = hashlib.sha256(film.read_bytes()).digest()
            if (kind, digest) not in known:
                known[kind, digest] = {"film": _copy_film(film, folder, copy), "runs": []}
                content[kind].append(known[kind, digest])
            known[kind, digest]["runs"].append(number)
    return content


def _copy_film(film: Path, folder: Path, place: str) -> dict[str, Any]:
    """Copy it; its address, and what the player must know to find a frame in it."""
    info = asdict(probe(film))
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(film, target)
    return {"address": place, **info}


def _slug(name: str) -> str:
    """A name as a short file name of any system. Different names may share one."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "unnamed"
