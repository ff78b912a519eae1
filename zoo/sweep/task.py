"""What Hydra's launchers call for each job, in this process or on another machine."""

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
from zoo.config.compose import check_keys
from zoo.config.overrides import job_overrides
from zoo.errors import ZooError
from zoo.sweep.jobs import Job
from zoo.sweep.processes import run_jobs


@dataclass(frozen=True)
class Task:
    """Callable that runs one job of a sweep.

    session: id of the sweep process. flags: Hydra's flags, which every job needs, too. home: the folder in which the
    sweep was started. sweep: process id of the sweep.
    """

    session: str
    flags: tuple[str, ...]
    home: str
    sweep: int

    def __call__(self, config: DictConfig) -> float | None:
        """Run a job in its own process unless it is done; returns its objective, None if it failed."""
        job = self.job(config)
        run_jobs([job], [{}], verbose=False, should_continue=self.should_continue)
        return job.objective

    def should_continue(self) -> bool:
        """Whether the sweep's process is alive. Checked for submitit's local jobs only, which would outlive it."""
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
        folder, overrides = Path(hydra.runtime.output_dir), job_overrides(hydra.overrides.task)
        search_path = [override for override in hydra.overrides.hydra if override.startswith("hydra.searchpath=")]
        job = Job(self.session, folder, (*overrides, *search_path), flags=self.flags, home=self.home)
        try:
            return replace(job, settings=job_settings(config, hydra.sweeper))
        except ZooError as error:
            return replace(job, mistake=str(error))


def job_settings(config: DictConfig, sweeper: DictConfig) -> dict[str, Any]:
    """Check the config of a job and return its settings as plain data.

    Raises ZooError for settings that do not fit each other, and for a direction of the sweeper (minimize, maximize)
    that is not that of the monitored metric.
    """
    from zoo.training.plan import plan

    try:
        check_keys(config)
        planned = plan(config)
    except (HydraException, OmegaConfBaseException) as problem:
        raise ZooError(explain(problem)) from problem
    direction = OmegaConf.select(sweeper, "direction")
    chosen = getattr(direction, "name", direction)
    if chosen in ("minimize", "maximize"):
        if planned.objective is None:
            raise ZooError(
                "The sweep optimizes a metric, but none of those computed compares samples with real clips. "
                "Try: evaluation.context=1, or evaluation.metrics=[kvd] evaluation.features=r3d_18"
            )
        needed = f"{planned.objective[1]}imize"
        if chosen != needed:
            raise ZooError(
                f"hydra.sweeper.direction is {chosen}, but {planned.monitor} must be {needed[:-1]}ed. "
                f"Type hydra.sweeper.direction={needed}"
            )
    return planned.config()
