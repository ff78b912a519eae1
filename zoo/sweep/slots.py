"""Slots of this machine: so many jobs at a time, with so many GPUs and threads each. Imports no torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from zoo.errors import ZooError, listed


def divide(slots: str | None) -> list[dict[str, str]]:
    """The environment of each slot, beside what is common: ``4x1`` is four with a GPU each, ``2`` two with an equal
    share of what there is; None is one with everything.

    Raises a ZooError where there are fewer GPUs than that.
    """
    if slots is None:
        return [{}]
    form = re.fullmatch(r"([1-9]\d*)(?:x(\d+))?", slots)
    if not form:
        raise ZooError(
            f"slots={slots} is not understood. Type slots=<jobs at a time>x<GPUs for each>, such as slots=4x1."
        )
    jobs = int(form[1])
    gpus = visible_gpus() if form[2] != "0" else []
    each = int(form[2]) if form[2] else len(gpus) // jobs
    if jobs * each > len(gpus) or (gpus and not each):
        raise ZooError(
            f"slots={slots} needs {jobs * max(each, 1)} GPUs; {len(gpus) or 'none'} can be seen here"
            f"{f' ({listed(gpus)})' if gpus else ''}. Try: slots={_advice(jobs, len(gpus))}"
        )
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, processors() // jobs))}
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[slot * each : (slot + 1) * each])} | threads for slot in range(jobs)]


def _advice(jobs: int, gpus: int) -> str:
    return f"{min(jobs, gpus)}x{max(1, gpus // jobs)}" if gpus else f"{jobs}x0"


def processors() -> int:
    """How many of this machine's processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """What a job would see, as CUDA_VISIBLE_DEVICES names it; torch is asked in a process that then ends."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None and named.strip() in ("", "-1"):
        return []
    ask = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    count = int(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
    return named.split(",")[:count] if named else [str(number) for number in range(count)]
