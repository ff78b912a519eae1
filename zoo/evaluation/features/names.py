"""Every network of features by name: what it is, and which file holds its weights. Imports no torch.

A user's own network is a TorchScript file, and needs no name here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError, listed, nearest


@dataclass(frozen=True)
class FeatureCard:
    """name: as it is typed. title: what it is, and what it sees. builds: ``file:Class`` beside this file. file: of the
    weights, as they are published; of torchvision's, the end of the name is the beginning of its SHA-256. cached:
    whether torch's cache or a package may hold it, so that no path is needed."""

    name: str
    title: str
    builds: str
    file: str
    cached: bool = True

    @property
    def key(self) -> str:
        """Of a metric's key: ``r3d18``."""
        return safe(self.name)


def safe(name: str) -> str:
    """Letters and digits alone, as a metric's key needs them; ``own`` where there are none."""
    return re.sub(r"[^A-Za-z0-9]", "", name) or "own"


CARDS = (
    FeatureCard("i3d", "I3D, Kinetics-400: clips, for FVD", "scripts:I3D", "i3d_torchscript.pt", False),
    FeatureCard("c3d", "C3D, UCF-101: classes of clips, for their IS", "scripts:C3D", "c3d_ucf101.pt", False),
    FeatureCard(
        "inception",
        "Inception-v3, ImageNet: frames and their classes, for FID and IS",
        "scripts:Inception",
        "inception-2015-12-05.pt",
        False,
    ),
    FeatureCard(
        "lite0",
        "EfficientNet-Lite0, ImageNet, of the extra `features`: clips, frames and their classes",
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


def is_own(name: str) -> bool:
    """Whether it is a file, and no name."""
    return "/" in name or Path(name).suffix != ""


def check_features(name: str, weights: str | None) -> None:
    """A ZooError for a name that is none, a file that is not there, and one that is missing; at once, without torch."""
    if not is_own(name):
        if name not in NETWORKS:
            raise ZooError(
                f"There is no network of features `{name}`.{nearest(name, NETWORKS)} Known: {listed(NETWORKS)}; or the "
                "path of a TorchScript file."
            )
        card = NETWORKS[name]
        if weights is None and not card.cached:
            raise ZooError(
                f"features={name} needs its TorchScript file, {card.file}, which is never downloaded. "
                "Type: features_weights=<file>"
            )
    elif weights is not None:
        raise ZooError(
            f"features={name} is a file with its weights, and features_weights={weights} is another one. Leave it out."
        )
    given = name if is_own(name) else weights
    if given is not None and not Path(given).is_file():
        setting = "features" if is_own(name) else "features_weights"
        raise ZooError(f"There is no file {given}, which {setting}= names.")
