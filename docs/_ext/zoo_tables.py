"""Tables of what the registries know: models, data sets, metrics, feature networks."""

from __future__ import annotations

import yaml
from markdown_tables import code, plain, table
from omegaconf import OmegaConf
from settings_tables import settings_table

from zoo.card import MODELS, SMALL, ModelConfig
from zoo.config.compose import conf_dir
from zoo.data.base import DATA_SETS
from zoo.errors import joined
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.features.names import NETWORKS
from zoo.help.commands import COMMANDS
from zoo.help.text import typed
from zoo.list import channels

BETTER = {"min": "lower", "max": "higher", "": ""}


def models() -> str:
    """A row a model; its name leads to its card."""
    rows = []
    for entry in MODELS.entries():
        card = entry.card
        needs = joined(" or ".join(group) for group in card.needs)
        fitting = [code(data.card.name) for data in DATA_SETS.entries() if card.fits(data.card.fields)]
        link = f"[`{card.name}`]({card.name}.md)"
        tasks, promises = joined(sorted(card.tasks)), joined(card.promises)
        presets = joined(map(code, entry.config.presets))
        rows.append([link, card.title, card.paper, tasks, needs, channels(card), promises, presets, joined(fitting)])
    head = ["model", "title", "paper", "tasks", "needs", "channels", "samples", "presets", "data sets that fit"]
    return table(head, rows)


def data_sets() -> str:
    """A row a data set, with every field that it can provide."""
    rows = [
        [code(entry.card.name), entry.card.title, joined(sorted(entry.card.fields)), entry.card.licence]
        for entry in DATA_SETS.entries()
    ]
    return table(["data", "title", "can provide", "licence"], rows)


def metrics() -> str:
    """A row a metric, with what it needs."""
    rows = []
    for card in METRICS.values():
        needed = ["pairs"] * card.paired + ["given frames"] * card.context + ["several draws"] * card.draws
        needed += [card.tool] * bool(card.tool)
        rows.append([code(card.name), BETTER[card.better], card.title, joined(needed)])
    return table(["metric", "better", "what", "needs"], rows)


def feature_networks() -> str:
    """A row a network of features."""
    rows = [[code(card.name), card.title, code(card.file)] for card in NETWORKS.values()]
    return table(["features", "what", "file of weights"], rows)


def strategies() -> str:
    """A row an option of conf/strategy."""
    rows = []
    for path in sorted(conf_dir().glob("strategy/*.yaml")):
        options = yaml.safe_load(path.read_text())
        rows.append([code(f"strategy={path.stem}"), code(str(options["accelerator"])), code(str(options["devices"]))])
    return table(["option", "`strategy.accelerator`", "`strategy.devices`"], rows)


def model_settings() -> str:
    """A section with a table of settings for each model."""
    sections = []
    for entry in MODELS.entries():
        heading = f"## `model={entry.card.name}`\n\n{entry.card.title}. [The card](../../models/{entry.card.name}.md)."
        sections.append(f"{heading}\n\n{settings_table(entry.config, 'model.', frozenset({'name'}))}")
        sections += [_preset_table(entry.config, name) for name in entry.config.presets if name != SMALL]
    return "\n\n".join(sections)


def _preset_table(config: type[ModelConfig], name: str) -> str:
    """The defaults that a preset of a model changes."""
    values = OmegaConf.create(dict(config.presets[name]))
    rows = [[code(f"model.{setting}"), code(typed(values, str(setting)))] for setting in values]
    return f"`model.preset={name}` changes these defaults:\n\n{table(['setting', 'default'], rows)}"


def data_settings() -> str:
    """A section with a table of settings for each data set."""
    sections = []
    for entry in DATA_SETS.entries():
        heading = f"## `data={entry.card.name}`\n\n{entry.card.title}."
        sections.append(f"{heading}\n\n{settings_table(entry.config, 'data.', frozenset({'name'}))}")
    return "\n\n".join(sections)


def commands() -> str:
    """A section a command: usage, examples, notes."""
    sections = []
    for command in COMMANDS.values():
        usage = f"zoo {command.words} {command.arguments}"
        examples = [f"zoo {command.words} {example}".strip() for example in command.examples]
        fence = "\n".join(["```", *examples, "```"])
        sections += [
            f"## zoo {command.words}",
            plain(command.summary),
            f"```\n{usage}\n```",
            *map(plain, command.notes),
            "Examples:",
            fence,
        ]
    return "\n\n".join(sections)


def presets() -> str:
    """A row a file of conf/experiment and conf/debug, with the comments at its head."""
    rows = []
    for path in sorted([*conf_dir().glob("experiment/*.yaml"), *conf_dir().glob("debug/*.yaml")]):
        comments = [line.removeprefix("# ") for line in path.read_text().splitlines() if line.startswith("# ")]
        command, *what = [line for line in comments if not line.startswith("@package")]
        command, _, inline = command.partition(": ")
        rows.append([code(f"{path.parent.name}={path.stem}"), plain(" ".join([inline, *what]).strip()), code(command)])
    return table(["preset", "what", "command"], rows)


TABLES = {
    "commands": commands,
    "presets": presets,
    "models": models,
    "data-sets": data_sets,
    "metrics": metrics,
    "feature-networks": feature_networks,
    "strategies": strategies,
    "model-settings": model_settings,
    "data-settings": data_settings,
}
