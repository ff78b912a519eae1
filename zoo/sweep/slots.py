"""Divide this machine into slots: jobs that run at a time, with GPUs and threads for each. Imports no torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from zoo.errors import ZooError, joined


def parse_slots(slots: str | None) -> list[dict[str, str]]:
    """Environment variables of each slot: ``4x1`` is four slots with one GPU each, ``2`` two with an equal share of all
    GPUs, None one with everything.

    Raises ZooError for another form, and for more GPUs than there are.
    """
    if slots is None:
        return [{}]
    form = re.fullmatch(r"([1-9]\d*)(?:x(\d+))?", slots)
    if not form:
        raise ZooError(
            f"slots={slots} is not valid; expected <jobs at a time>x<GPUs for each>. Type, for example: slots=4x1"
        )
    jobs = int(form[1])
    gpus = visible_gpus() if form[2] != "0" else []
    per_job = int(form[2]) if form[2] else len(gpus) // jobs
    if jobs * per_job > len(gpus) or (gpus and not per_job):
        possible = f"{min(jobs, len(gpus))}x{max(1, len(gpus) // jobs)}" if gpus else f"{jobs}x0"
        raise ZooError(
            f"slots={slots} needs {jobs * max(per_job, 1)} GPUs, but {len(gpus) or 'none'} can be used here"
            f"{f' ({joined(gpus)})' if gpus else ''}. Try: slots={possible}"
        )
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, processors() // jobs))}
    shares = [gpus[slot * per_job : (slot + 1) * per_job] for slot in range(jobs)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(share)} | threads for share in shares]


def processors() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The GPUs that a job could use, as named in CUDA_VISIBLE_DEVICES. They are counted by torch in another process."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None and named.strip() in ("", "-1"):
        return []
    count_gpus = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    count = int(subprocess.run(count_gpus, capture_output=True, text=True, check=True).stdout)
    return named.split(",")[:count] if named else [str(number) for number in range(count)]
