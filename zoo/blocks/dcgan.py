"""The encoder and the decoder of DCGAN (arXiv 1511.06434) for frames: strided 4 x 4 convolutions, one code a frame.

The paper's batch norm is a choice. A batch of a few clips holds a few people before a few walls, however many frames it
has: its statistics are then those of these clips, training is noisy and use differs from training. Without a norm the
weights start as He et al. (arXiv 1502.01852) proposed, so that signals keep their size from layer to layer.

Shapes: N images, C channels, H x W pixels, F features.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from zoo.blocks.halving import halvings

NORMS = ("none", "batch")
SLOPE = 0.2  # of the encoder's leaky ReLU


class Encoder(nn.Module):
    """(N, 3, H, W) -> (N, F): convolutions that halve, each with twice the channels of the one before."""

    def __init__(self, height: int, width: int, channels: int, features: int, norm: str = "none") -> None:
        super().__init__()
        number = halvings(height, width)
        whole = (height >> number, width >> number)
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)]
        for level in range(1, number):
            wide = channels * 2**level
            convolution = nn.Conv2d(wide // 2, wide, 4, 2, 1, bias=norm == "none")
            layers += [convolution, *_normed(wide, norm), nn.LeakyReLU(SLOPE, inplace=True)]
        last = nn.Conv2d(channels * 2 ** (number - 1), features, whole, bias=norm == "none")
        layers += [last, *_normed(features, norm), nn.LeakyReLU(SLOPE, inplace=True), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        initialise(self, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Frames to their features."""
        return self.layers(images)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """(N, F) -> (N, 3, H, W) in (-1, 1): the encoder backwards."""

    def __init__(self, height: int, width: int, channels: int, features: int, norm: str = "none") -> None:
        super().__init__()
        number = halvings(height, width)
        whole = (height >> number, width >> number)
        wide = channels * 2 ** (number - 1)
        first = nn.ConvTranspose2d(features, wide, whole, bias=norm == "none")
        layers = [nn.Unflatten(1, (features, 1, 1)), first, *_normed(wide, norm), nn.ReLU(inplace=True)]
        for level in reversed(range(1, number)):
            narrow = channels * 2 ** (level - 1)
            convolution = nn.ConvTranspose2d(2 * narrow, narrow, 4, 2, 1, bias=norm == "none")
            layers += [convolution, *_normed(narrow, norm), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialise(self, norm)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes to frames."""
        return self.layers(codes)  # type: ignore[no-any-return]


def _normed(channels: int, norm: str) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if norm == "batch" else []


def initialise(network: nn.Module, norm: str) -> None:
    """N(0, 0.02) with batch norm, as in the paper; else N(0, 2 / inputs that one output sums over), biases 0."""
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            continue
        spread = 0.02 if norm == "batch" else math.sqrt(2 / summed(layer))
        nn.init.normal_(layer.weight, 0.0, spread)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def summed(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    """Inputs that one output sums over: of a transposed convolution only every stride-th place of the kernel meets one;
    one that makes a whole map of a single pixel has one place."""
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        taps = 1 if layer.stride == (1, 1) else taps // math.prod(layer.stride)
    return layer.in_channels * taps
