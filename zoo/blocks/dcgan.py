"""The encoder and decoder of DCGAN (arXiv 1511.06434) for frames: strided 4 x 4 convolutions, one code per frame.

The paper's batch norm is optional. The frames of one clip look alike, so in a batch of few clips the batch statistics
are those of few scenes: training gets noisy, and evaluation differs from training. Without a norm, weights are
initialised as in He et al. (arXiv 1502.01852), which preserves the variance of activations from layer to layer.

Shapes: N images, C channels, H x W pixels, F features.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.halving import count_halvings

NORMS = ("none", "batch")
SLOPE = 0.2  # negative slope of the encoder's leaky ReLU
FIELD_SIZE = 4  # height and width of a colour field
FIELD_BIAS = 0.8  # initial value of a colour field before the tanh: a light grey


class Encoder(nn.Module):
    """(N, C, H, W) -> (N, F): convolutions that each halve the resolution and double the channels.

    channels: of the first layer. image_channels: C.
    """

    def __init__(
        self, height: int, width: int, channels: int, features: int, norm: str = "none", image_channels: int = 3
    ) -> None:
        super().__init__()
        number = count_halvings(height, width)
        coarsest = (height >> number, width >> number)
        layers: list[nn.Module] = [nn.Conv2d(image_channels, channels, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)]
        for level in range(1, number):
            wide = channels * 2**level
            convolution = nn.Conv2d(wide // 2, wide, 4, 2, 1, bias=norm == "none")
            layers += [convolution, *_norm_layers(wide, norm), nn.LeakyReLU(SLOPE, inplace=True)]
        last = nn.Conv2d(channels * 2 ** (number - 1), features, coarsest, bias=norm == "none")
        layers += [last, *_norm_layers(features, norm), nn.LeakyReLU(SLOPE, inplace=True), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        initialise(self, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Images to features."""
        return self.layers(images)


class ColourField(nn.Module):
    """A smooth image from a code, (N, F) -> (N, C, H, W): a linear map to FIELD_SIZE x FIELD_SIZE colours, enlarged.

    Not in DCGAN. A colour of the whole image has to pass all layers of a decoder; this is a direct path for it.
    """

    def __init__(self, height: int, width: int, features: int, image_channels: int = 3) -> None:
        super().__init__()
        self.size, self.channels = (height, width), image_channels
        self.colours = nn.Linear(features, image_channels * FIELD_SIZE**2)
        nn.init.zeros_(self.colours.weight)
        nn.init.constant_(self.colours.bias, FIELD_BIAS)

    def forward(self, features: Tensor) -> Tensor:
        """Features to a smooth image, before the tanh."""
        field = self.colours(features).view(-1, self.channels, FIELD_SIZE, FIELD_SIZE)
        return F.interpolate(field, self.size, mode="bilinear", align_corners=False)


class Decoder(nn.Module):
    """(N, F) -> (N, C, H, W) in (-1, 1): the layers of the encoder in reverse.

    channels: of the last layer's input. image_channels: C. colour_field: add a `ColourField` before the tanh.
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        features: int,
        norm: str = "none",
        image_channels: int = 3,
        colour_field: bool = False,
    ) -> None:
        super().__init__()
        number = count_halvings(height, width)
        coarsest = (height >> number, width >> number)
        wide = channels * 2 ** (number - 1)
        first = nn.ConvTranspose2d(features, wide, coarsest, bias=norm == "none")
        layers = [nn.Unflatten(1, (features, 1, 1)), first, *_norm_layers(wide, norm), nn.ReLU(inplace=True)]
        for level in reversed(range(1, number)):
            narrow = channels * 2 ** (level - 1)
            convolution = nn.ConvTranspose2d(2 * narrow, narrow, 4, 2, 1, bias=norm == "none")
            layers += [convolution, *_norm_layers(narrow, norm), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(channels, image_channels, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialise(self, norm)
        self.field = ColourField(height, width, features, image_channels) if colour_field else None

    def forward(self, features: Tensor) -> Tensor:
        """Features to images."""
        if self.field is None:
            return self.layers(features)
        *layers, tanh = self.layers
        image = features
        for layer in layers:
            image = layer(image)
        return tanh(image + self.field(features))


def _norm_layers(channels: int, norm: str) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if norm == "batch" else []


def initialise(network: nn.Module, norm: str) -> None:
    """Draw weights from N(0, 0.02) with batch norm, as in the paper, else from N(0, 2 / fan-in); set biases to 0."""
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            continue
        std = 0.02 if norm == "batch" else math.sqrt(2 / fan_in(layer))
        nn.init.normal_(layer.weight, 0.0, std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def fan_in(layer: nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d) -> int:
    """Number of inputs that one output sums over.

    In a transposed convolution, an output meets one kernel position in every stride x stride; one that expands a single
    pixel to a map has one position per output.
    """
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
        taps = 1 if set(layer.stride) == {1} else taps // math.prod(layer.stride)
    return layer.in_channels * taps
