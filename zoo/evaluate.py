"""Compute metrics of a trained model, ``python -m zoo.evaluate run=runs/<run>``, or of two folders of videos,
``real=<folder> fake=<folder>``.

Adds one line per protocol to results.jsonl, in the run folder or beside the fake videos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from zoo.config.compose import hydra_command
from zoo.errors import ZooError
from zoo.evaluation.named_protocols import apply_protocol
from zoo.fields.ranges import check_ranges
from zoo.io.printable import table_cell
from zoo.settings import EvaluateSettings

if TYPE_CHECKING:
    from zoo.evaluation.evaluate_run import EvaluationResult


def evaluate(settings: EvaluateSettings) -> list[EvaluationResult]:
    """Compute the metrics and return them, one result per protocol.

    Raises ZooError unless the settings name either a run or two folders, and for what does not fit them.
    """
    check_ranges(settings)
    settings, named = apply_protocol(settings)
    folders = settings.real is not None or settings.fake is not None
    if folders == (settings.run is not None):
        found = "both are given" if folders else "neither is given"
        raise ZooError(
            f"A run or two folders can be evaluated, but {found}. Type: run=runs/<run>, or real=<folder> fake=<folder>"
        )
    if folders and named and named.data:
        raise ZooError(
            f"protocol={named.name} is of samples that continue clips of the data set `{named.data}`, so it measures a "
            "run. Type: run=runs/<run>"
        )
    if folders:
        from zoo.evaluation.evaluate_folders import evaluate_folders

        return evaluate_folders(settings, named)
    from zoo.evaluation.evaluate_run import evaluate_run

    return evaluate_run(settings, named)


def show(results: list[EvaluationResult]) -> None:
    """Print a table per protocol, with the values of the samples and of the real clips."""
    from rich.console import Console
    from rich.table import Table

    from zoo.evaluation.catalogue import better
    from zoo.evaluation.evaluate_run import standings

    arrows = {"min": "↓", "max": "↑", "": " "}
    for result in results:
        title = f"{result.protocol.split}/…@{result.protocol.slug}, given: {result.given}"
        table = Table("metric", "", title=table_cell(title), title_justify="left")
        table.add_column("samples", justify="right")
        table.add_column("real clips", justify="right")
        for trivial in result.baselines:
            table.add_column(table_cell(trivial), justify="right", style="dim")
        for name, value in result.metrics.items():
            if not name.startswith("real/"):
                real = result.metrics.get(f"real/{name}")
                shown = [value, real, *(values.get(name) for values in result.baselines.values())]
                table.add_row(
                    table_cell(name), arrows[better(name)], *("" if each is None else f"{each:.4f}" for each in shown)
                )
        Console().print(table)
    for given, standing in standings(results).items():
        if str(standing):
            Console().print(table_cell(f"given {given}: {standing}"))


@hydra_command("evaluate")
def main(config: DictConfig) -> list[EvaluationResult]:
    """Run the command."""
    settings: EvaluateSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    results = evaluate(settings)
    show(results)
    return results


if __name__ == "__main__":
    main()
