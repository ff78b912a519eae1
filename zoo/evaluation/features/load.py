"""Load feature networks by name or from a file. Imports torch only once the name is known to be right."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.evaluation.features.files import verify_sha256
from zoo.evaluation.features.names import NETWORKS, check_features, is_path

if TYPE_CHECKING:
    from zoo.evaluation.features.base import Features


def load_features(name: str, weights: str | None = None, sha256: str | None = None) -> Features:
    """Load the network of that name (see ``names.py``), or a TorchScript file.

    weights: file of the weights; None is torch's cache or the installed package. sha256: hex digits that the file's
    checksum must begin with. Nothing is downloaded. Raises ZooError for an unknown name, and for a file that is
    missing, has another checksum or holds no such network.
    """
    check_features(name, weights)
    if is_path(name):
        from zoo.evaluation.features.custom import load_custom

        return load_custom(Path(name), verify_sha256(Path(name), sha256))
    card = NETWORKS[name]
    module, _, kind = card.builds.partition(":")
    network = getattr(import_module(f"zoo.evaluation.features.{module}"), kind)
    path = Path(weights) if weights else network.find(card)
    return network(card, path, verify_sha256(path, sha256))
