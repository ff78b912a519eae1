"""Every feature network by name: what it is, and which file holds its weights. Imports no torch.

A user's own network is a TorchScript file and needs no name here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError, joined, suggest


@dataclass(frozen=True)
class FeatureCard:
    """What the zoo knows of a feature network without importing it."""

    name: str
    """Name of the network, typed as features=<name>."""

    title: str
    """One line on the network and its views."""

    builds: str
    """Class of the network, ``file:Class`` beside this file."""

    file: str
    """Name of the published weight file. For torchvision, it ends with the first digits of the file's SHA-256."""

    cached: bool = True
    """Whether torch's cache or a package may hold the file, so that no path is needed."""

    @property
    def key(self) -> str:
        """The name as part of a metric's key: ``r3d18``."""
        return alphanumeric(self.name)


def alphanumeric(name: str) -> str:
    """Keep the letters and digits of a name, as a metric's key requires; ``own`` if there are none."""
    return re.sub(r"[^A-Za-z0-9]", "", name) or "own"


CARDS = (
    FeatureCard("i3d", "I3D, Kinetics-400: clips, for FVD", "scripts:I3D", "i3d_torchscript.pt", False),
    FeatureCard(
        "c3d", "C3D, UCF-101: classes of clips, for the Inception score of clips", "scripts:C3D", "c3d_ucf101.pt", False
    ),
    FeatureCard(
        "c3d_tgan",
        "C3D, UCF-101, with clips prepared as by TGAN: the Inception score of its paper",
        "c3d:TGANC3D",
        "conv3d_deepnetA_ucf.npz",
        False,
    ),
    FeatureCard(
        "c3d_tgan2",
        "C3D, UCF-101, with clips prepared as by TGANv2: the Inception score of its paper",
        "c3d:TGAN2C3D",
        "conv3d_deepnetA_ucf.npz",
        False,
    ),
    FeatureCard(
        "inception",
        "Inception-v3, ImageNet: frames and their classes, for FID and IS",
        "scripts:Inception",
        "inception-2015-12-05.pt",
        False,
    ),
    FeatureCard(
        "lite0",
        "EfficientNet-Lite0, ImageNet, in the extra `features`: clips, frames and their classes",
        "lite0:Lite0",
        "efficientnet-lite0-57934424.pth",
    ),
    *(
        FeatureCard(file.rpartition("-")[0], f"{title}, Kinetics-400: clips", "videos:VideoNetwork", file)
        for title, file in (
            ("3-D ResNet-18", "r3d_18-b3b3357e.pth"),
            ("ResNet-18, mixed 3-D and 2-D", "mc3_18-a90a0ba3.pth"),
            ("(2+1)-D ResNet-18", "r2plus1d_18-91a641e6.pth"),
            ("S3D", "s3d-d76dad2f.pth"),
            ("MViTv2-S", "mvit_v2_s-ae3be167.pth"),
            ("Video Swin-T", "swin3d_t-7615ae03.pth"),
        )
    ),
)
NETWORKS: Mapping[str, FeatureCard] = {card.name: card for card in CARDS}


def is_path(name: str) -> bool:
    """Whether the setting names a file, and not a network of this list."""
    return "/" in name or Path(name).suffix != ""


def features_key(name: str) -> str:
    """The part of a metric's key that names a feature network, by the setting ``features``."""
    return own_key(Path(name).stem) if is_path(name) else NETWORKS[name].key


def own_key(name: str) -> str:
    """The part of a metric's key that names a user's network; never that of a network of the zoo."""
    key = alphanumeric(name)
    return f"own{key}" if key in {card.key for card in CARDS} else key


def _kind_of(file: str) -> str:
    return "NumPy archive" if file.endswith(".npz") else "TorchScript file"


def check_features(name: str, weights: str | None) -> None:
    """Check the settings ``features`` and ``features_weights`` without importing torch.

    Raises ZooError for an unknown name, for weights that are required or superfluous, and for a missing file.
    """
    if not is_path(name):
        if name not in NETWORKS:
            raise ZooError(
                f"There is no feature network `{name}`.{suggest(name, NETWORKS)} Known: {joined(NETWORKS)}; or the "
                "path of a TorchScript file."
            )
        card = NETWORKS[name]
        if weights is None and not card.cached:
            raise ZooError(
                f"features={name} needs its {_kind_of(card.file)}, {card.file}, which is never downloaded. "
                "Type: features_weights=<file>"
            )
    elif weights is not None:
        raise ZooError(
            f"features={name} is a file with its own weights, so features_weights={weights} has no use. Leave it out."
        )
    path = name if is_path(name) else weights
    if path is not None and not Path(path).is_file():
        setting = "features" if is_path(name) else "features_weights"
        raise ZooError(f"{setting}={path}: there is no such file. Type the path of a file.")
