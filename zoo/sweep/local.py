"""``launcher=local``: run the jobs of a sweep on this machine, one at a time, or several with ``slots``."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from zoo.sweep.jobs import Job
from zoo.sweep.processes import run_jobs
from zoo.sweep.slots import parse_slots
from zoo.sweep.task import Task


class LocalLauncher(Launcher):
    """Runs jobs in processes of their own, and stops them when it is stopped. slots: see `parse_slots`."""

    __module__ = "hydra_plugins.zoo"  # where Hydra looks for plug-ins

    def __init__(self, slots: str | None) -> None:
        self.slots = slots

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before the sweep."""
        assert isinstance(task_function, Task)
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs. The result of each is its objective, None if it failed."""
        setup_globals()
        prepared = [self._prepare(overrides, initial_job_idx + i) for i, overrides in enumerate(job_overrides)]
        jobs: list[Job] = [result.return_value for result in prepared]
        run_jobs(jobs, parse_slots(self.slots))
        for result, job in zip(prepared, jobs, strict=True):
            result.return_value = job.objective
        return prepared

    def _prepare(self, overrides: Sequence[str], number: int) -> JobReturn:
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return run_job(
            hydra_context=self.context,
            task_function=self.task.job,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
