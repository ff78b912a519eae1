"""Perceptual loss: distance of two pictures in the features of a network that learnt to tell photographs apart.

Source: Johnson et al., Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016; on VGG-19
with the layers and weights of pix2pixHD (Wang et al., CVPR 2018), which vid2vid shares.
Shapes: ``...`` any leading axes, H x W pixels.
"""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor, nn

from zoo.errors import one_of
from zoo.losses.classifiers import Classifier, NotInstalledError, load_lite0, load_vgg19

LOADERS = {"vgg19": load_vgg19, "efficientnet_lite0": load_lite0}  # in the order in which `auto` tries them
PERCEPTUAL = ("auto", *LOADERS, "none")


def find_perceptual(name: str, weights: str | None) -> PerceptualLoss | None:
    """The loss on the named classifier; ``auto``: on the first that is on this machine; None for ``none`` or without.

    weights: the classifier's file (VGG-19's for ``auto``) instead of the one in torch's cache or in the extra
    `features`. Raises ZooError when the name, the file or what was asked for by name is missing.
    """
    one_of("model.perceptual", name, PERCEPTUAL)
    if name == "none":
        return None
    if name != "auto" or weights:
        load = LOADERS["vgg19" if name == "auto" else name]
        return PerceptualLoss(load(weights))
    for load in LOADERS.values():
        with suppress(NotInstalledError):
            return PerceptualLoss(load(None))
    return None


class PerceptualLoss(nn.Module):
    """Σ_i w_i mean|φ_i(x) − φ_i(y)| over five maps φ_i of a frozen classifier.

    The release of vid2vid feeds VGG-19 pictures in [-1, 1] as they are; here they get the normalisation that the
    classifier was trained with. The network is no part of this module's parameters or state, so that no optimizer,
    checkpoint or DDP broadcast carries it; it follows the pictures to their device.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier  # no nn.Module itself, so it is not registered

    @property
    def name(self) -> str:
        """Of the classifier: the loss is logged under what it is."""
        return self.classifier.name

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Distance of two pictures (..., 3, H, W) in [-1, 1]; a scalar, no gradient to ``target``."""
        with torch.no_grad():
            wanted = self.classifier.maps(target)
        terms = zip(self.classifier.weights, self.classifier.maps(image), wanted, strict=True)
        return torch.stack([w * (x.float() - y.float()).abs().mean() for w, x, y in terms]).sum()
