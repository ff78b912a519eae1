"""How a training ended: ``outcome.json``, which is there when it has finished and not before. Imports no torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from zoo.devices.launch import is_first
from zoo.errors import Stopped
from zoo.io.atomic import write_text
from zoo.runs.files import OUTCOME


def write_outcome(run: Path, metrics: dict[str, float], objective: tuple[str, str] | None) -> None:
    """objective: the metric that best.ckpt was chosen by, and whether its ``max`` or ``min`` is best."""
    key, mode = objective or (None, None)
    value = metrics.get(key) if key else None
    told = {"finished": True, "metrics": metrics, "objective": key, "value": value, "mode": mode}
    write_text(run / OUTCOME, json.dumps(told, indent=2) + "\n")


def read_outcome(run: Path) -> dict[str, Any] | None:
    """What was written; None for a training that has not finished."""
    file = run / OUTCOME
    return json.loads(file.read_text()) if file.is_file() else None


def leave(stop: Stopped, run: Path) -> NoReturn:
    """End the process after a signal, as a shell would say it: 128 and the number. Ask SLURM to run the job again if
    the signal was its warning that the time is over."""
    if not is_first():
        sys.exit(0)  # the first one speaks for all; Lightning takes another code for an accident
    name = signal.Signals(stop.number).name
    print(
        f"\nStopped by {name} at {stop.clips_seen} clips; the state is saved. Go on: python -m zoo.train resume={run}"
    )
    if stop.number == signal.SIGUSR1 and "SLURM_JOB_ID" in os.environ:
        requeue = ["scontrol", "requeue", os.environ.get("SLURM_ARRAY_JOB_ID", os.environ["SLURM_JOB_ID"])]
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            requeue[-1] += "_" + os.environ["SLURM_ARRAY_TASK_ID"]
        try:
            subprocess.run(requeue, check=True)
        except (OSError, subprocess.CalledProcessError) as problem:
            print(f"SLURM did not take the job back: {problem}", file=sys.stderr)
    sys.exit(128 + stop.number)
