"""``sweep=grid``: every combination of the listed values. Jobs with invalid settings are left out, the others run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from zoo.cli import explain, say
from zoo.config.compose import without_hydra
from zoo.config.overrides import job_overrides
from zoo.errors import ZooError
from zoo.sweep.jobs import FAILED, Job
from zoo.sweep.task import Task, job_settings


class GridSweeper(BasicSweeper):
    """Hydra's basic sweeper, which leaves out invalid jobs: each keeps its number, and its folder the error message.

    Raises ZooError if all jobs are invalid.
    """

    __module__ = "hydra_plugins.zoo"  # where Hydra looks for plug-ins

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before the sweep."""
        assert isinstance(task_function, Task)
        self.task, self.numbered = task_function, 0
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The overrides of the next valid jobs."""
        batch = super().get_job_batch()
        first, self.numbered = self.numbered, self.numbered + len(batch)
        errors = [self._find_error(overrides) for overrides in batch]
        if all(errors):
            raise ZooError("\n".join(dict.fromkeys(errors)))
        if not any(errors):
            return batch
        kept = []
        for number, (overrides, error) in enumerate(zip(batch, errors, strict=True), first):
            if error:
                self._record_error(overrides, number, error)
            else:
                kept.append([*overrides, f"hydra.sweep.subdir={number}"])
        return kept

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Do nothing: ``get_job_batch`` has checked the jobs."""

    def _find_error(self, overrides: Sequence[str]) -> str:
        """Error message of an invalid job, else an empty string."""
        assert self.hydra_context is not None
        assert self.config is not None
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            job_settings(without_hydra(config), config.hydra.sweeper)
        except (HydraException, OmegaConfBaseException) as problem:
            return explain(problem)
        except ZooError as error:
            return str(error)
        return ""

    def _record_error(self, overrides: Sequence[str], number: int, error: str) -> None:
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir, str(number))
        Job(self.task.session, folder, tuple(job_overrides(overrides)), mistake=error).write_record(FAILED, error)
        say(f"job {number}: failed    {error}")
