"""``sweep=grid``: every combination of what was listed, as Hydra's own sweeper has it, but a job that cannot be is
left out and the others run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from zoo.cli import explain
from zoo.config.compose import without_hydra
from zoo.config.overrides import of_job
from zoo.errors import ZooError
from zoo.sweep.jobs import FAILED, Job
from zoo.sweep.task import Task, settings


class GridSweeper(BasicSweeper):
    """Refuses the sweep where no job can be. A job that is left out keeps its number, and its folder says why."""

    __module__ = "hydra_plugins.zoo"  # where Hydra finds it

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As Hydra asks of a sweeper."""
        assert isinstance(task_function, Task)
        self.task, self.numbered = task_function, 0
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The next jobs, without those that cannot be."""
        batch = super().get_job_batch()
        first, self.numbered = self.numbered, self.numbered + len(batch)
        mistakes = [self._mistake(job) for job in batch]
        if all(mistakes):
            raise ZooError("\n".join(dict.fromkeys(mistakes)))
        if not any(mistakes):
            return batch
        kept = []
        for number, (job, mistake) in enumerate(zip(batch, mistakes, strict=True), first):
            if mistake:
                self._leave_out(job, number, mistake)
            else:
                kept.append([*job, f"hydra.sweep.subdir={number}"])
        return kept

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """It is, by now."""

    def _mistake(self, job: Sequence[str]) -> str:
        assert self.hydra_context is not None
        assert self.config is not None
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(job))
            settings(without_hydra(config), config.hydra.sweeper)
        except (HydraException, OmegaConfBaseException) as problem:
            return explain(problem)
        except ZooError as mistake:
            return str(mistake)
        return ""

    def _leave_out(self, job: Sequence[str], number: int, mistake: str) -> None:
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir, str(number))
        Job(self.task.session, folder, tuple(of_job(job)), mistake=mistake).note(FAILED, mistake)
        print(f"job {number}: failed    {mistake}")
