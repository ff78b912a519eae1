"""How this process was started, and as which of how many: alone, by Lightning, by torchrun or by SLURM.

Imports torch only if torchrun has started several processes.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping

AGENT_STORE = "TORCHELASTIC_USE_AGENT_STORE"
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK")
GROUP_VARIABLES = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")


def is_main_process() -> bool:
    """Whether this process is the one that writes files."""
    for name in ("RANK", "SLURM_PROCID"):  # counted over all machines
        if name in os.environ:
            return os.environ[name] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))  # set by Lightning's launcher


def launched_processes() -> tuple[int, int] | None:
    """Number of processes on each machine and number of machines, as started by torchrun or srun; None without them."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        per_machine = int(os.environ["LOCAL_WORLD_SIZE"])
        return per_machine, int(os.environ["WORLD_SIZE"]) // per_machine
    if "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        machines = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // machines, machines
    return None


def was_restarted() -> bool:
    """Whether torchrun or SLURM has started this training before and it was interrupted."""
    return any(int(os.environ.get(name) or 0) > 0 for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def start_label() -> str:
    """Suffix of the run folder of this start: the same for all its processes, and after a restart.

    Under SLURM it is made of the ids of job and step, else of the time and four random digits, on which torchrun's
    processes agree.
    """
    if "SLURM_STEP_ID" in os.environ:
        return f"slurm{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}"
    if os.environ.get(AGENT_STORE) == "True":
        return _first_proposal(unique_label())
    return time.strftime("%Y%m%d-%H%M%S") if launched_processes() else unique_label()


def unique_label() -> str:
    """The time, with four random hexadecimal digits, since two commands may start in the same second."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _first_proposal(proposal: str) -> str:
    """The proposal that reached the store of torchrun's agent first. The store lives as long as the training."""
    from torch import distributed

    store = distributed.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), wait_for_workers=False
    )
    return str(store.compare_set("zoo/mark", "", proposal).decode())


def run_folder(resumed: str | None, name: str) -> str:
    """The folder of a resumed run, or a new one; conf/train.yaml calls it as ``zoo.run_folder``."""
    return resumed or f"{name}-{start_label()}"


def without_launcher_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Copy an environment without the variables that make a process one of several started by a launcher.

    SLURM's variables stay if submitit has started several tasks for one job: those tasks are the job's processes.
    """
    prefixes = ("TORCHELASTIC_",) if is_task_of_several(environment) else ("TORCHELASTIC_", "SLURM_")
    return {
        name: value
        for name, value in environment.items()
        if name not in RANK_VARIABLES and name not in GROUP_VARIABLES and not name.startswith(prefixes)
    }


def is_task_of_several(environment: Mapping[str, str]) -> bool:
    """Whether submitit has started this process as one of several tasks of a job."""
    return environment.get("SUBMITIT_EXECUTOR") == "slurm" and int(environment.get("SLURM_NTASKS") or 1) > 1


def is_main_task(environment: Mapping[str, str]) -> bool:
    """Whether this process writes the record and output of its job."""
    return not is_task_of_several(environment) or environment.get("SLURM_PROCID") == "0"
