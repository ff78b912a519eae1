"""Opens networks of features by name or by file. Imports torch only once the name is known to be right."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.evaluation.features.files import checked
from zoo.evaluation.features.names import NETWORKS, check_features, is_own

if TYPE_CHECKING:
    from zoo.evaluation.features.base import Features


def load_features(name: str, weights: str | None = None, sha256: str | None = None) -> Features:
    """The network of that name (see ``names.py``), or a TorchScript file's that takes clips (B, T, 3, H, W) in [-1, 1].

    weights: the file, where torch's cache does not hold it. sha256: what the file's checksum must begin with. Nothing
    is downloaded. Raises a ZooError for a wrong name, and a file that is missing, another one, or no such network.
    """
    check_features(name, weights)
    if is_own(name):
        from zoo.evaluation.features.own import open_own

        return open_own(Path(name), checked(Path(name), sha256))
    card = NETWORKS[name]
    module, _, kind = card.builds.partition(":")
    network = getattr(import_module(f"zoo.evaluation.features.{module}"), kind)
    path = Path(weights) if weights else network.find(card)
    return network(card, path, checked(path, sha256))  # type: ignore[no-any-return]
