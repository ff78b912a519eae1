"""Convert released weights to a run: ``python -m zoo.convert vid2vid from=<folder> to=<run> label_count=35 …``.

Settings that the tensors determine are read off them; the others must be typed. The run is sampled like any other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from zoo.card import MODELS
from zoo.cli import command, python_command, say
from zoo.errors import ZooError, joined
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, Setting, asks_for_help, settings_of, show_help
from zoo.settings import ConvertSettings

FOLDERS = (
    Setting(
        "from",
        "str",
        "<path>",
        "Folder with the released weights, <epoch>_net_<part>.pth; of svg, mocogan, tgan and tgan2, a file.",
    ),
    Setting("to", "str", "<folder>", "Run folder to write; it must not contain a run."),
)
"""Settings that cannot be fields of a dataclass, since `from` is a keyword of Python."""
USAGE = "python -m zoo.convert <model> from=<folder of the release's weights> to=<new run folder> [<setting>=<value> …]"


def convert(name: str, source: Path, run: Path, settings: dict[str, Any]) -> Path:
    """Write a run folder with the converted weights; returns its checkpoint.

    Raises ZooError for weights or settings that do not fit the model, and for a folder that contains a run.
    """
    import torch

    from zoo.io.atomic import write_atomically
    from zoo.runs.files import CHECKPOINTS
    from zoo.runs.provenance import write_provenance

    entry = MODELS.find(name)
    if run.exists() and not run.is_dir():
        raise ZooError(f"to={run} is a file, but a new folder is expected. Type another path.")
    if run.exists() and any((run / checkpoint).exists() for checkpoint in CHECKPOINTS):
        raise ZooError(f"to={run} already contains a run, which is not overwritten. Type another folder.")
    try:
        model = entry.load().convert(source, settings)
    except (LookupError, ValueError, TypeError, RuntimeError) as problem:  # for layers that no release has
        raise ZooError(f"from={source} contains no released weights of {name}: {problem!r:.300}. {USAGE}") from problem
    write_provenance(
        run, {"model": asdict(model.config), "converted": {"from": str(source), **settings}}, "zoo.convert"
    )
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": {"model": asdict(model.config), "spec": asdict(model.spec)},
        "clips_seen": 0,
    }
    path = run / CHECKPOINTS[0]
    write_atomically(path, lambda out: torch.save(checkpoint, out))
    return path


def read_arguments(arguments: Sequence[str]) -> tuple[str, Path, Path, dict[str, Any]]:
    """Parse the arguments: model, source folder, run folder, and settings, whose values are YAML.

    Raises ZooError for a missing argument, and for a value that is not YAML.
    """
    named = {key: value for key, found, value in (argument.partition("=") for argument in arguments) if found}
    models = [argument for argument in arguments if "=" not in argument]
    missing = [f"{key}=" for key in ("from", "to") if key not in named]
    if len(models) != 1 or missing:
        found = f"{len(models)} models ({joined(models)})" if len(models) != 1 else f"no {joined(missing)}"
        raise ZooError(f"Expected one model, from= and to=; found {found}.\nType: {USAGE}")
    try:
        settings = {key: yaml.safe_load(value) for key, value in named.items() if key not in ("from", "to")}
    except yaml.YAMLError as problem:
        raise ZooError(f"A setting is not valid YAML: {str(problem).splitlines()[0]}.\nType: {USAGE}") from problem
    return models[0], Path(named["from"]).expanduser(), Path(named["to"]).expanduser(), settings


@command
def main() -> None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["convert"], [Section("", "general", [*FOLDERS, *settings_of(ConvertSettings)])])
        return
    name, source, run, settings = read_arguments(sys.argv[1:])
    written = convert(name, source, run, settings)
    say(f"{written}\nmore     {python_command('zoo.sample', f'run={run}')} given=<{_input(name)}>")


def _input(name: str) -> str:
    """What a converted model takes, for a message."""
    return "folder of label maps or drawings" if "translate" in MODELS.find(name).card.tasks else "video"


if __name__ == "__main__":
    main()
