"""What a launcher of Hydra calls for each job, in this process or in one on another machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.cli import explain
from zoo.config.compose import refuse_unknown
from zoo.config.overrides import of_job
from zoo.errors import ZooError
from zoo.sweep.jobs import Job
from zoo.sweep.running import run_all


@dataclass(frozen=True)
class Task:
    """session: of the sweep. flags: Hydra's, which each job needs, too. home: where the sweep was started. sweep: its
    process."""

    session: str
    flags: tuple[str, ...]
    home: str
    sweep: int

    def __call__(self, config: DictConfig) -> float | None:
        """Run a job in a process of its own, or skip it if it is done; returns its objective, None if it failed."""
        job = self.job(config)
        run_all([job], [{}], tell=False, still_wanted=self.still_wanted)
        return job.objective

    def still_wanted(self) -> bool:
        """Whether the sweep is there; on a cluster its jobs do not ask. Submitit's own local ones would outlive it."""
        if os.environ.get("SUBMITIT_EXECUTOR") != "local":
            return True
        try:
            os.kill(self.sweep, 0)
        except ProcessLookupError:
            return False
        return True

    def job(self, config: DictConfig) -> Job:
        """The job that Hydra has composed."""
        hydra = HydraConfig.get()
        folder, overrides = Path(hydra.runtime.output_dir), of_job(hydra.overrides.task)
        passed = [word for word in hydra.overrides.hydra if word.startswith("hydra.searchpath=")]
        job = Job(self.session, folder, (*overrides, *passed), flags=self.flags, home=self.home)
        try:
            return replace(job, settings=settings(config, hydra.sweeper))
        except ZooError as mistake:
            return replace(job, mistake=str(mistake))


def settings(config: DictConfig, sweeper: DictConfig) -> dict[str, Any]:
    """What a job's overrides amount to; a ZooError says why they cannot be."""
    from zoo.training.plan import plan

    try:
        refuse_unknown(config)
        planned = plan(config)
    except (HydraException, OmegaConfBaseException) as problem:
        raise ZooError(explain(problem)) from problem
    direction = OmegaConf.select(sweeper, "direction")
    asked = getattr(direction, "name", direction)
    if asked in ("minimize", "maximize"):
        if planned.objective is None:
            raise ZooError("No metric says which samples are better, so none is optimised. Try: evaluation.context=1")
        wanted = f"{planned.objective[1]}imize"
        if asked != wanted:
            raise ZooError(
                f"`{planned.monitor}` is to be {wanted[:-1]}ed, and hydra.sweeper.direction is {asked}. "
                f"Type hydra.sweeper.direction={wanted}"
            )
    return planned.config()
