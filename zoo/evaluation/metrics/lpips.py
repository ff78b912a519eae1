"""LPIPS (Zhang et al. 2018), by torchmetrics; the backbone's weights come from torch's cache and no further."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from zoo.errors import ZooError
from zoo.evaluation.features.files import checked
from zoo.evaluation.metric import PairedMetric, Setup
from zoo.io.safe_load import read_tensors

BACKBONES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth", "squeeze": "squeezenet1_1-b8a52dc0.pth"}
"""The files as torchvision names them; the end of a name is the start of the file's SHA-256."""


class LPIPS(PairedMetric):
    """Perceptual distance; 0 for equal frames. Which network must be named: numbers of two are not comparable."""

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup)
        self.network = perceptual_network(setup.argument)

    def compare(self, made: Tensor, real: Tensor) -> Tensor:
        """Frame by frame."""
        with torch.no_grad():
            return self.network(made.clamp(-1, 1), real.clamp(-1, 1)).reshape(len(made))  # type: ignore[no-any-return]


def perceptual_network(net: str) -> torch.nn.Module:
    """torchmetrics' LPIPS network, frames in [-1, 1]; a ZooError where torch's cache does not hold its backbone."""
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    file = cache / BACKBONES[net]
    if not file.is_file():
        raise ZooError(
            f"lpips_{net} needs the weights of its backbone, {file.name}, and {cache} does not hold them. "
            "Put the file of torchvision's ImageNet weights there, or leave the metric out."
        )
    checked(file, file.stem.rpartition("-")[2])  # torch loads whatever stands under the name
    read_tensors(file, "weights")  # and would run what is pickled in it; of a checksum eight digits can be made to fit
    named = cast(Literal["alex", "vgg", "squeeze"], net)
    return cast(torch.nn.Module, LearnedPerceptualImagePatchSimilarity(net_type=named).net)
