"""Perceptual loss: distance of two pictures in the features of an image classifier, VGG-19.

Source: Johnson et al., Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016; layers
and weights of pix2pixHD (Wang et al., CVPR 2018), which vid2vid shares.
Shapes: ``...`` any leading axes, H x W pixels.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torchvision.models import vgg19

from zoo.errors import ZooError

VGG19 = "vgg19-dcbb9e9d.pth"  # torchvision's VGG19_Weights.IMAGENET1K_V1

LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
STAGE_ENDS = (2, 7, 12, 21, 30)  # each of these layers is the last of a stage of torchvision's `features`
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def find_vgg19(weights: str | None) -> Path | None:
    """The file of VGG-19's weights: the given one, else that in torch's cache, else None. Downloads nothing.

    Raises ZooError when a file is given and does not exist.
    """
    if weights is None:
        cached = Path(torch.hub.get_dir(), "checkpoints", VGG19)
        return cached if cached.is_file() else None
    path = Path(weights)
    if not path.is_file():
        raise ZooError(
            f"model.vgg19={weights} is not a file. It should be torchvision's {VGG19}. "
            "Leave model.vgg19 out to train without the perceptual loss."
        )
    return path


class PerceptualLoss(nn.Module):
    """Σ_i w_i mean|φ_i(x) − φ_i(y)| over five layers of a frozen VGG-19.

    The release of vid2vid feeds [-1, 1] as it is; here pictures get the normalisation that VGG-19 was trained
    with. The network is no part of this module's parameters or state, so that no optimizer, checkpoint or DDP
    broadcast carries it; it follows the pictures to their device.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self._hidden = (_load_features(weights),)  # a tuple, so that nn.Module does not register it

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Distance of two pictures (..., 3, H, W) in [-1, 1]; a scalar, no gradient to ``target``."""
        with torch.no_grad():
            wanted = self.features(target)
        pairs = zip(LAYER_WEIGHTS, self.features(image), wanted, strict=True)
        return torch.stack([w * (x.float() - y.float()).abs().mean() for w, x, y in pairs]).sum()

    def features(self, image: Tensor) -> list[Tensor]:
        """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of pictures (..., 3, H, W) in [-1, 1]."""
        x = image.float().reshape(-1, *image.shape[-3:])
        mean, std = (x.new_tensor(c).view(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_STD))
        x = ((x + 1) / 2 - mean) / std
        maps = []
        for stage in self._hidden[0].to(x.device):
            x = stage(x)
            maps.append(x)
        return maps


def _load_features(path: Path) -> nn.ModuleList:
    """VGG-19 up to relu5_1, one module a stage, frozen; a ZooError if the file does not hold its weights."""
    with torch.device("meta"):  # the classifier behind the features is never allocated
        layers = vgg19().features[: STAGE_ENDS[-1]]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        features = {name: state[f"features.{name}"] for name in layers.state_dict()}
        layers.load_state_dict(features, assign=True)
    except (RuntimeError, UnpicklingError, EOFError, KeyError, TypeError) as problem:
        raise ZooError(
            f"{path} does not hold torchvision's VGG-19: {str(problem).splitlines()[0]} "
            f"A file with the weights IMAGENET1K_V1, such as {VGG19}, is expected."
        ) from problem
    stages = [layers[start:end] for start, end in pairwise((0, *STAGE_ENDS))]
    return nn.ModuleList(stages).requires_grad_(False)
