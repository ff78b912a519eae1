"""Train a model: ``python -m zoo.train model=vid2vid data=puppets``. The settings are in conf/train.yaml.

Settings are checked before torch is imported, so errors come within a second.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zoo.cli import python_command, say
from zoo.config.compose import hydra_command
from zoo.devices.launch import is_main_process
from zoo.errors import Stopped
from zoo.runs.files import CURVES, GALLERY_GRID, GALLERY_VIDEO, METRICS, offline_folders
from zoo.sweep.command import run_sweep
from zoo.training.plan import Plan
from zoo.training.resume import prepare_overrides
from zoo.training.session import run_training
from zoo.training.signals import exit_after_signal


@hydra_command("train", sweep=run_sweep, prepare=prepare_overrides)
def main(config: DictConfig) -> dict[str, float]:
    """The command: start a training or resume one."""
    hydra = HydraConfig.get()
    run = Path(hydra.runtime.output_dir)
    try:
        finished = run_training(config, run, hydra.overrides.task)
    except Stopped as stop:
        exit_after_signal(stop, run)
    if finished.plan is None:
        say(
            f"{run} has already finished training. Sample from it: {python_command('zoo.sample', f'run={run}')}\n"
            f"To train longer: {python_command('zoo.train', f'resume={run}')} budget.clips=<clips in all>"
        )
    elif is_main_process():
        print_summary(run, finished.plan, finished.metrics)
    return finished.metrics


def print_summary(run: Path, plan: Plan, metrics: dict[str, float]) -> None:
    """Print the metrics, the files of the run and the next command."""
    shown = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    say()
    for key, value in sorted(metrics.items()):
        say(f"{key:32s} {value:.4f}")
    say(f"\nrun      {shown}")
    if (run / GALLERY_VIDEO).exists():
        say(f"video    {shown / GALLERY_VIDEO}")
        say(f"grid     {shown / GALLERY_GRID}")
    say(f"curves   {shown / CURVES}, {shown / METRICS}")
    say(f"more     {next_command(plan, shown)}")
    if parts := list(map(str, offline_folders(shown))):  # of a resumed training: joined if synced at once
        say(f"wandb    {shlex.join(['wandb', 'sync', *parts])}")


def next_command(plan: Plan, run: Path) -> str:
    """The command to run after a training."""
    if plan.card.samples:
        longest = plan.settings.model.most_frames(plan.spec)
        return python_command("zoo.sample", f"run={run}", "frames=100" if longest is None else "clips=8")
    return f"python -m zoo.evaluate run=<run of a model> {shlex.quote(f'{plan.card.name}={run}')}"


if __name__ == "__main__":
    main()
