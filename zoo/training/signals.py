"""End a training after SIGTERM, SIGINT, SIGHUP or SIGUSR1. Imports no torch."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from zoo.cli import python_command
from zoo.devices.launch import is_main_process
from zoo.errors import Stopped
from zoo.training.failures import resume_hint

logger = logging.getLogger(__name__)


def exit_after_signal(stop: Stopped, run: Path) -> NoReturn:
    """End the process with exit code 128 + the number of the signal, as shells do. A Ctrl-C does nothing from here on.

    After SIGUSR1, which SLURM sends before the time limit, the job is requeued.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is saved, and the exit code of a second Ctrl-C would be another
    if not is_main_process():
        sys.exit(0)  # Lightning would take any other code for a crash; the main process reports the signal
    name = signal.Signals(stop.number).name
    if stop.saved:
        resume = python_command("zoo.train", f"resume={run}")
        logger.info(f"\nStopped by {name} after {stop.clips_seen} clips; a checkpoint is saved. Resume: {resume}")
    else:
        logger.info(f"\nStopped at once by a second {name}; the last steps are lost. {resume_hint(run)}")
    if stop.number == signal.SIGUSR1 and "SLURM_JOB_ID" in os.environ:
        requeue = ["scontrol", "requeue", os.environ.get("SLURM_ARRAY_JOB_ID", os.environ["SLURM_JOB_ID"])]
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            requeue[-1] += "_" + os.environ["SLURM_ARRAY_TASK_ID"]
        try:
            subprocess.run(requeue, check=True)
        except (OSError, subprocess.CalledProcessError) as problem:
            logger.warning(f"SLURM did not requeue the job: {problem}")
    sys.exit(128 + stop.number)
