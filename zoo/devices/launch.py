"""Who started this process, and as which of how many: alone, by Lightning, by torchrun or by SLURM. Imports no torch
unless torchrun has started several."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

AGENT_STORE = "TORCHELASTIC_USE_AGENT_STORE"


def is_main_process() -> bool:
    """Whether this process is the one that writes files."""
    for name in ("RANK", "SLURM_PROCID"):  # over all machines
        if name in os.environ:
            return os.environ[name] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))  # of Lightning's launcher


def launched() -> tuple[int, int] | None:
    """How many processes torchrun or srun has started on each machine, and on how many; None where it was neither."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        each = int(os.environ["LOCAL_WORLD_SIZE"])
        return each, int(os.environ["WORLD_SIZE"]) // each
    if "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        machines = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // machines, machines
    return None


def was_restarted() -> bool:
    """Whether torchrun or SLURM has started the same training before, and it was cut off."""
    return any(int(os.environ.get(name) or 0) > 0 for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def start_label() -> str:
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
    return resumed or f"{name}-{start_label()}"


RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK")
SIZES = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")


def without_launcher_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would make a job one process of several that somebody else has started.

    SLURM's names stay where submitit has started several tasks for one job: these are its processes.
    """
    prefixes = ("TORCHELASTIC_",) if is_task_of_several(environment) else ("TORCHELASTIC_", "SLURM_")
    return {
        name: value
        for name, value in environment.items()
        if name not in RANKS and name not in SIZES and not name.startswith(prefixes)
    }


def is_task_of_several(environment: Mapping[str, str]) -> bool:
    """Whether submitit has started this process as one of the tasks of a job."""
    return environment.get("SUBMITIT_EXECUTOR") == "slurm" and int(environment.get("SLURM_NTASKS") or 1) > 1


def is_main_task(environment: Mapping[str, str]) -> bool:
    """Whether this process writes about its job."""
    return not is_task_of_several(environment) or environment.get("SLURM_PROCID") == "0"
