"""Which models say in their card that they have not been measured yet."""

import importlib
from pathlib import Path

from zoo.card import MODELS

UNMEASURED = "This model has not been measured yet."
"""The sentence in the card (README.md) of a model that is registered before it is measured."""


def zoo_models() -> list[str]:
    """Names of the models of the zoo itself, without those of plug-ins."""
    return [entry.card.name for entry in MODELS.entries() if entry.config.__module__.startswith("zoo.models.")]


def is_unmeasured(name: str) -> bool:
    """Whether the card of a model has the sentence."""
    config = importlib.import_module(MODELS.find(name).config.__module__)
    card = Path(config.__file__).parent / "README.md"
    return card.is_file() and UNMEASURED in " ".join(card.read_text().split())
