"""Perceptual loss: the distance of two images in the feature maps of an image classifier.

Source: Johnson et al., Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016. On VGG-19 it has
the layers and weights of pix2pixHD (Wang et al., CVPR 2018), which vid2vid shares.
Shapes: ``...`` any leading axes, H x W pixels.
"""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor, nn

from zoo.errors import check_choice
from zoo.losses.classifiers import ImageClassifier, NotInstalledError, load_lite0, load_vgg19

LOADERS = {"vgg19": load_vgg19, "efficientnet_lite0": load_lite0}  # in the order in which `auto` tries them
PERCEPTUAL = ("auto", *LOADERS, "none")


def find_perceptual(name: str, weights: str | None) -> PerceptualLoss | None:
    """Build the perceptual loss on the named classifier.

    name: vgg19, efficientnet_lite0, none, or auto (the first one that is installed). weights: file of the classifier's
    weights (of VGG-19 for auto); None: the file in torch's cache or in the extra `features`.
    Returns None for ``none``, and for ``auto`` if no classifier is installed. Raises ZooError for an unknown name, a
    wrong file, and a named classifier that is not installed.
    """
    check_choice("model.perceptual", name, PERCEPTUAL)
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
    """Σ_i w_i mean|φ_i(x) − φ_i(y)| over the five feature maps φ_i of a frozen classifier.

    Images are normalised as in the training of the classifier; the release of vid2vid feeds VGG-19 images in [-1, 1]
    instead. The classifier is not a submodule, which keeps it out of optimizers, checkpoints and DDP broadcasts. It is
    moved to the device of the images.
    """

    def __init__(self, classifier: ImageClassifier) -> None:
        super().__init__()
        self.classifier = classifier  # not an nn.Module, so it is not registered

    @property
    def name(self) -> str:
        """Name of the classifier, for the name of the logged loss."""
        return self.classifier.name

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Distance of two images (..., 3, H, W) in [-1, 1]; a scalar, no gradient to ``target``."""
        with torch.no_grad():
            target_maps = self.classifier.maps(target)
        terms = zip(self.classifier.weights, self.classifier.maps(image), target_maps, strict=True)
        return torch.stack([w * (x.float() - y.float()).abs().mean() for w, x, y in terms]).sum()
