"""Weights of an original release as a run: ``python -m zoo.convert vid2vid from=<folder> to=<run> label_count=35 …``.

What the tensors determine is read off them; the rest is asked for by name. The run samples like any other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from zoo.card import MODELS
from zoo.cli import command
from zoo.errors import ZooError, listed
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, Setting, asks_for_help, settings_of, show_help
from zoo.settings import ConvertSettings

FOLDERS = (
    Setting("from", "str", "<folder>", "Folder with the released weights, <epoch>_net_<part>.pth."),
    Setting("to", "str", "<folder>", "Run folder to write; it must not contain a run."),
)
"""Settings whose names are no names of fields, since `from` is a keyword of Python."""
USAGE = "python -m zoo.convert <model> from=<folder of the release's weights> to=<new run folder> [<setting>=<value> …]"


def convert(name: str, source: Path, run: Path, settings: dict[str, Any]) -> Path:
    """Write a run folder with the converted weights; returns its checkpoint."""
    import torch

    from zoo.io.atomic import write_atomically
    from zoo.runs.files import CHECKPOINTS
    from zoo.runs.provenance import write_provenance

    entry = MODELS.find(name)
    if run.exists() and not run.is_dir():
        raise ZooError(f"to={run} is a file. Type a folder that is not there yet.")
    if run.exists() and any((run / checkpoint).exists() for checkpoint in CHECKPOINTS):
        raise ZooError(f"to={run} holds a run already, and nothing is overwritten. Type another folder.")
    try:
        model = entry.load().convert(source, settings)
    except (LookupError, ValueError, TypeError, RuntimeError) as problem:  # layers that no release has
        raise ZooError(f"from={source} holds no weights of the release of {name}: {problem!r:.300}.") from problem
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


def read_arguments(words: Sequence[str]) -> tuple[str, Path, Path, dict[str, Any]]:
    """The model, where from, where to, and the settings, of which values are YAML."""
    named = {key: value for key, found, value in (word.partition("=") for word in words) if found}
    plain = [word for word in words if "=" not in word]
    missing = [f"{key}=" for key in ("from", "to") if key not in named]
    if len(plain) != 1 or missing:
        found = f"{len(plain)} models ({listed(plain)})" if len(plain) != 1 else f"no {listed(missing)}"
        raise ZooError(f"One model, from= and to= are needed; found {found}.\n{USAGE}")
    try:
        settings = {key: yaml.safe_load(value) for key, value in named.items() if key not in ("from", "to")}
    except yaml.YAMLError as problem:
        raise ZooError(f"A setting cannot be read: {str(problem).splitlines()[0]}.\n{USAGE}") from problem
    return plain[0], Path(named["from"]).expanduser(), Path(named["to"]).expanduser(), settings


@command
def main() -> None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["convert"], [Section("", "general", [*FOLDERS, *settings_of(ConvertSettings)])])
        return
    name, source, run, settings = read_arguments(sys.argv[1:])
    written = convert(name, source, run, settings)
    print(f"{written}\nmore     python -m zoo.sample run={run} given=<folder of label maps or drawings>")


if __name__ == "__main__":
    main()
