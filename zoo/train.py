"""Train a model: ``python -m zoo.train model=vid2vid data=puppets``. Everything is in conf/train.yaml.

What can be checked is checked before torch is imported, so a mistake is told in a second.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zoo.card import ModelCard
from zoo.cli import import_lightning
from zoo.config.compose import hydra_command
from zoo.devices.launch import is_main_process, was_restarted
from zoo.errors import Stopped
from zoo.runs.files import CONFIG, CURVES, GALLERY_GRID, GALLERY_VIDEO, METRICS
from zoo.runs.lock import clear_run_folder, locked
from zoo.runs.outcome import read_outcome, write_outcome
from zoo.sweep.command import run_sweep
from zoo.training.plan import Plan, plan
from zoo.training.resume import check_resumable, resumed
from zoo.training.signals import exit_after_signal


@hydra_command("train", sweep=run_sweep)
def main(config: DictConfig) -> dict[str, float]:
    """The command: begin a training, or go on with one."""
    run = Path(HydraConfig.get().runtime.output_dir)
    goes_on = bool(config.resume) or (was_restarted() and (run / CONFIG).is_file())
    if goes_on:
        check_resumable(run)
    planned = None if goes_on else plan(config)  # mistakes are told before the folder is touched
    with locked(run) if is_main_process() else nullcontext():
        start = None
        if planned is None:
            if outcome := read_outcome(run):
                print(f"{run} has finished its training already. To sample from it: python -m zoo.sample run={run}")
                return outcome["metrics"]  # type: ignore[no-any-return]
            words = HydraConfig.get().overrides.task if config.resume else ()
            settings, start = resumed(run, config, words)
            planned = plan(settings)
        elif is_main_process():
            clear_run_folder(run, config.overwrite)
        try:
            import_lightning()
            from zoo.training.trainer import train  # torch comes in here

            metrics = train(planned, run, start)
        except Stopped as stop:
            exit_after_signal(stop, run)
        if is_main_process():
            finish(run, planned, metrics)
    return metrics


def finish(run: Path, plan: Plan, metrics: dict[str, float]) -> None:
    """Draw the curves, note the outcome; say where the run is, what to open and what to type next."""
    from zoo.visualization.curves import draw_curves

    draw_curves(run / METRICS, run / CURVES)
    write_outcome(run, metrics, plan.objective)
    here = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    print()
    for key, value in sorted(metrics.items()):
        print(f"{key:32s} {value:.4f}")
    print(f"\nrun      {here}")
    if (run / GALLERY_VIDEO).exists():
        print(f"video    {here / GALLERY_VIDEO}")
        print(f"grid     {here / GALLERY_GRID}    rows: given, real, generated, and what it was made from")
    print(f"curves   {here / CURVES}, {here / METRICS}")
    print(f"more     {what_next(plan.card, here)}")
    for offline in sorted(here.glob("wandb/offline-run-*")):
        print(f"wandb    wandb sync {offline}")


def what_next(card: ModelCard, run: Path) -> str:
    """The command to type after a training."""
    if card.samples:
        return f"python -m zoo.sample run={run} frames=100"
    return f"python -m zoo.evaluate run=<run of a model> {card.name}={run}"


if __name__ == "__main__":
    main()
