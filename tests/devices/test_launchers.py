"""Lightning's own launcher, torchrun and SLURM's srun lead to the same run folder and the same result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import run_command
from tests.runs.test_run_folder import TINY
from zoo.testing.rerun import unlike

WORDS = [
    *TINY,
    "budget.clips=16",
    "data.batch_size=1",
    "evaluation.clips=3",
    "strategy=ddp",
    "strategy.accelerator=cpu",
]
ZOO = ["-m", "zoo.train", *WORDS]


def by_lightning(folder: Path) -> None:
    run_command("zoo.train", *WORDS, "strategy.devices=2", cwd=folder).check_returncode()


def by_torchrun(folder: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*torchrun, *ZOO], cwd=folder, check=True)


def by_srun(folder: Path) -> None:
    """What srun sets for each of two tasks on one machine."""
    job = {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
    }
    tasks = [
        subprocess.Popen(
            [sys.executable, *ZOO],
            cwd=folder,
            env=os.environ | job | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)},
        )
        for task in range(2)
    ]
    assert [task.wait() for task in tasks] == [0, 0]


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lightning")
    by_lightning(folder)
    return run_in(folder)


def run_in(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.mark.parametrize("launch", [by_torchrun, by_srun], ids=["torchrun", "srun"])
def test_one_run_folder_and_the_same_training(launch, usual, tmp_path):
    launch(tmp_path)
    assert unlike(run_in(tmp_path), usual) == []
    if launch is by_srun:
        assert run_in(tmp_path).name == "segmenter-puppets-s1-slurm4711.0"
