"""Who started this process, and as which of how many: alone, by Lightning, by torchrun or by SLURM. Imports no torch
unless torchrun has started several."""

from __future__ import annotations

import os
import time

AGENT_STORE = "TORCHELASTIC_USE_AGENT_STORE"


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    for name in ("RANK", "SLURM_PROCID"):  # over all machines
        if name in os.environ:
            return os.environ[name] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))  # of Lightning's launcher


def was_restarted() -> bool:
    """Whether torchrun or SLURM has started the same training before, and it was cut off."""
    return any(int(os.environ.get(name) or 0) > 0 for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def mark() -> str:
    """What tells the run folder of this start from others: the same for all its processes, and after a restart.

    Under SLURM the numbers of job and step, else the time; torchrun's processes agree on one through its store.
    """
    if "SLURM_STEP_ID" in os.environ:
        return f"slurm{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}"
    now = time.strftime("%Y%m%d-%H%M%S")
    return _agreed(now) if os.environ.get(AGENT_STORE) == "True" else now


def _agreed(proposal: str) -> str:
    """The proposal that came first to the store of torchrun's agent, which lives as long as the training."""
    from torch import distributed

    store = distributed.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), wait_for_workers=False
    )
    return str(store.compare_set("zoo/mark", "", proposal).decode())


def run_folder(resumed: str | None, name: str) -> str:
    """The folder that is resumed, or a new one: what conf/train.yaml calls ``zoo.run_folder``."""
    return resumed or f"{name}-{mark()}"
