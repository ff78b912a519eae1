"""Measure a trained model, ``python -m zoo.evaluate run=runs/<run>``, or any two folders of videos, ``real=… fake=…``.

Adds a line for each protocol to results.jsonl, in the run or beside the fake videos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from zoo.config.compose import hydra_command
from zoo.errors import ZooError
from zoo.settings import EvaluateSettings

if TYPE_CHECKING:
    from zoo.evaluation.of_run import EvaluationResult


def evaluate(settings: EvaluateSettings) -> list[EvaluationResult]:
    """What was measured, a protocol each."""
    folders = settings.real is not None or settings.fake is not None
    if folders == (settings.run is not None):
        raise ZooError("Measure a run or two folders. Type: run=runs/<run>, or real=<folder> fake=<folder>")
    if folders:
        from zoo.evaluation.of_folders import evaluate_folders

        return evaluate_folders(settings)
    from zoo.evaluation.of_run import evaluate_run

    return evaluate_run(settings)


def show(measured: list[EvaluationResult]) -> None:
    """A table for each protocol: what was measured of the samples, and the same of the real clips."""
    from rich.console import Console
    from rich.table import Table

    from zoo.evaluation.catalogue import better

    arrows = {"min": "↓", "max": "↑", "": " "}
    for each in measured:
        title = f"{each.protocol.split}/…@{each.protocol.slug}, given: {each.given}"
        view = Table("metric", "", title=title, title_justify="left")
        view.add_column("samples", justify="right")
        view.add_column("real clips", justify="right")
        for name, value in each.figures.items():
            if not name.startswith("real/"):
                real = each.figures.get(f"real/{name}")
                view.add_row(name, arrows[better(name)], f"{value:.4f}", "" if real is None else f"{real:.4f}")
        Console().print(view)


@hydra_command("evaluate")
def main(config: DictConfig) -> list[EvaluationResult]:
    """The command."""
    settings: EvaluateSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    measured = evaluate(settings)
    show(measured)
    return measured


if __name__ == "__main__":
    main()
