"""What a training does after SIGTERM, SIGINT or SIGUSR1. Imports no torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from zoo.devices.launch import is_main_process
from zoo.errors import Stopped


def exit_after_signal(stop: Stopped, run: Path) -> NoReturn:
    """End the process after a signal, as a shell would say it: 128 and the number. Ask SLURM to run the job again if
    the signal was its warning that the time is over."""
    if not is_main_process():
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
