"""Check what a checkpoint holds for a training besides the model, and offer an older one in place of a bad one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.runs.files import BEST, COMMAND, LAST, METRICS, checkpoint_exists
from zoo.runs.load import read_checkpoint
from zoo.runs.metrics_csv import read_rows

PARTS: dict[str, type] = {"optimizer_states": list, "lr_schedulers": list, "loops": dict, "callbacks": dict}
"""What a training needs besides the model, as Lightning names it."""


def read_training_state(run: Path, name: str = LAST) -> dict[str, Any]:
    """Read the checkpoint of a run from which it resumes.

    Raises ZooError, which offers an older checkpoint, if the training cannot be resumed exactly: the file is damaged,
    it lacks a part, or rows of metrics.csv that were logged before it are missing.
    """
    try:
        state = read_checkpoint(run / name)
        check_training_state(run / name, state)
        check_rows(run, run / name, state["zoo"]["rows"])
    except ZooError as problem:
        raise ZooError(f"{problem}\n{older_checkpoint_hint(run)}") from problem
    return state


def check_training_state(file: Path, state: dict[str, Any]) -> None:
    """Raise ZooError unless a checkpoint has every part that a training resumes from, each of the right type."""
    if "zoo" not in state:
        raise ZooError(f"{file} contains only weights, so the training cannot be resumed. Start a new one.")
    for part, kind in PARTS.items():
        if not isinstance(state.get(part), kind):
            found = f"of type {type(state[part]).__name__}" if part in state else "missing"
            raise ZooError(f"{file} cannot be resumed: its part `{part}` is {found}.")
    progress = state["zoo"]
    counts = [progress.get(key) for key in ("ranks", "rows")] if isinstance(progress, dict) else [None]
    if not all(type(count) is int and count >= 0 for count in counts) or type(progress.get("round_due")) is not bool:
        raise ZooError(f"{file} cannot be resumed: its part `zoo` does not hold the numbers of processes and rows.")


def check_rows(run: Path, file: Path, rows: int) -> None:
    """Raise ZooError if metrics.csv has fewer rows than were logged before a checkpoint."""
    metrics = run / METRICS
    found = len(read_rows(metrics)) if metrics.is_file() else 0
    if found >= rows:
        return
    fill = f"yes '' | head -n {rows - found} >> {shlex.quote(str(metrics))}"
    if not found:  # the first line is the header
        fill = f"yes '' | head -n {rows + 1} > {shlex.quote(str(metrics))}"
    raise ZooError(
        f"{metrics} has {found} rows, but {rows} were logged before {file} was written. Copy the file back, or leave "
        f"the missing rows empty and resume: {fill} && {resume_command(run)}"
    )


def older_checkpoint_hint(run: Path) -> str:
    """Say which other checkpoint of a run is complete, and the command that resumes from it."""
    older = find_older_checkpoint(run)
    if older is None:
        return (
            f"No other checkpoint of the run can be resumed. To train anew, add overwrite=true to the command in "
            f"{run / COMMAND}, or restore the file from a copy."
        )
    last, best = (shlex.quote(str(run / name)) for name in (LAST, BEST))
    aside = f"mv {last} {shlex.quote(str(run / LAST) + '.damaged')} && " if (run / LAST).exists() else ""
    return (
        f"The older checkpoint {run / BEST} is complete, from {older} clips. "
        f"To resume from it: {aside}cp -r {best} {last} && {resume_command(run)}"
    )


def find_older_checkpoint(run: Path) -> int | None:
    """The clips that best.ckpt has seen; None if there is none from which the training can be resumed."""
    if not checkpoint_exists(run / BEST):
        return None
    try:
        state = read_checkpoint(run / BEST)
        check_training_state(run / BEST, state)
        check_rows(run, run / BEST, state["zoo"]["rows"])
    except ZooError:
        return None
    return int(state["clips_seen"])


def resume_command(run: Path) -> str:
    """The command that resumes a training."""
    return f"python -m zoo.train {shlex.quote(f'resume={run}')}"
