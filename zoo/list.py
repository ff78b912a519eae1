"""List models, data sets, metrics and feature networks: ``python -m zoo.list``. Reads cards only; imports no torch."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from zoo.card import MODELS, ModelCard
from zoo.cli import command
from zoo.data.base import DATA_SETS
from zoo.errors import ZooError, joined
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.features.names import NETWORKS
from zoo.help.commands import COMMANDS
from zoo.help.text import asks_for_help, show_help


def models_table(pattern: str) -> Table:
    """One row per model whose name matches the pattern, with the data sets that fit it."""
    table = Table("model", "title", "tasks", "needs", "samples", "presets", "data sets that fit", title="models")
    for name in MODELS.names(pattern):
        card, config = MODELS.find(name).card, MODELS.find(name).config
        sets = [entry.card.name for entry in DATA_SETS.entries() if card.fits(entry.card.fields)]
        title = f"{card.title}\n{card.paper}"
        table.add_row(
            card.name,
            title,
            joined(sorted(card.tasks)),
            f"{needs(card)}\n{channels(card)}",
            joined(card.promises),
            joined(config.presets),
            joined(sets),
        )
    return table


def data_table() -> Table:
    """One row per data set, with every field that it can provide."""
    table = Table("data", "title", "can provide", "licence", title="data sets")
    for entry in DATA_SETS.entries():
        card = entry.card
        table.add_row(card.name, card.title, joined(sorted(card.fields)), card.licence)
    return table


def metrics_table() -> Table:
    """One row per metric, with what it needs."""
    table = Table("metric", "better", "title", "needs", title="metrics, for evaluation.metrics=[…] and zoo.evaluate")
    for card in METRICS.values():
        needed = ["pairs"] * card.paired + ["given frames"] * card.context + ["several draws"] * card.draws
        needed += [card.tool] * bool(card.tool)
        table.add_row(card.name, {"min": "lower", "max": "higher", "": ""}[card.better], card.title, joined(needed))
    return table


def features_table() -> Table:
    """One row per feature network."""
    table = Table("features", "title", "file", title="feature networks; none is ever downloaded")
    for card in NETWORKS.values():
        table.add_row(card.name, card.title, card.file)
    return table


def channels(card: ModelCard) -> str:
    """The channels that it can be trained on, for a table: ``RGB or grey``."""
    return " or ".join({3: "RGB", 1: "grey"}[count] for count in sorted(card.channels, reverse=True))


def needs(card: ModelCard) -> str:
    """The fields that every clip must have, for a table: ``labels or condition, flow``."""
    return joined(" or ".join(group) for group in card.needs)


@command
def main() -> None:
    """Run the command. It takes one pattern, such as ``vid*``; then it lists these models alone."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["list"], [])
        return
    patterns = sys.argv[1:] or ["*"]
    named = patterns != ["*"]
    if len(patterns) > 1 or not MODELS.names(patterns[0]):
        raise ZooError(f"No model matches {' '.join(patterns)}. Known: {joined(MODELS.names())}.")
    console = Console()
    console.print(models_table(patterns[0]))
    if not named:
        console.print(data_table())
        console.print(metrics_table())
        console.print(features_table())
    console.print(f"python -m zoo.train model={MODELS.names(patterns[0])[0]} data=puppets")


if __name__ == "__main__":
    main()
