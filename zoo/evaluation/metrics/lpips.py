"""LPIPS (Zhang et al. 2018) of torchmetrics. The backbone's weights come from torch's cache; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from zoo.errors import ZooError
from zoo.evaluation.features.files import verify_sha256
from zoo.evaluation.metric import PairedMetric, Setup
from zoo.grey import to_rgb
from zoo.io.safe_load import read_tensors

BACKBONES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}
"""torchvision's file names; each ends with the first digits of the file's SHA-256."""


class LPIPS(PairedMetric):
    """Perceptual distance; 0 for equal frames. The name says which backbone, since their values are not comparable."""

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup)
        self.network = perceptual_network(setup.argument)

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Distance of each pair of frames, (N,); the network takes RGB, so grey is repeated."""
        with torch.no_grad():
            return self.network(*(to_rgb(frames).clamp(-1, 1) for frames in (generated, real))).reshape(len(generated))


def perceptual_network(net: str) -> torch.nn.Module:
    """Return torchmetrics' LPIPS network for frames in [-1, 1].

    Raises ZooError if torch's cache does not hold the weights of the backbone, or holds other ones.
    """
    file = backbone_file(net)
    if not file.is_file():
        raise ZooError(
            f"lpips_{net} needs the weights of its backbone, but there is no file {file}. Put torchvision's ImageNet "
            "weights of that name there, or leave the metric out."
        )
    verify_sha256(file, file.stem.rpartition("-")[2])  # torch would load any file of that name
    # Eight digits of a checksum can be forged, and torch.load would run code that is pickled in the file.
    read_tensors(file, "weights")
    named = cast(Literal["alex", "vgg", "squeeze"], net)
    return cast(torch.nn.Module, LearnedPerceptualImagePatchSimilarity(net_type=named).net)


def backbone_file(net: str) -> Path:
    """Where the weights of a backbone are expected: torch's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[net]
