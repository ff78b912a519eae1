"""The convolutional pieces of the image-to-image family: stem, down, residual block, up, head.

Shapes: N images, C channels, H x W pixels. Every convolution has a bias; every activation is a ReLU.
"""

from __future__ import annotations

from torch import Tensor, nn

NORMS = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}


def norm_layer(norm: str, channels: int) -> nn.Module:
    """``instance`` norm without, or ``batch`` norm with, a learnt scale and shift."""
    return NORMS[norm](channels)


def stem(channels_in: int, channels: int, norm: str) -> list[nn.Module]:
    """7 x 7 convolution at full resolution: (N, Cin, H, W) -> (N, C, H, W)."""
    return [
        nn.ReflectionPad2d(3),
        nn.Conv2d(channels_in, channels, 7),
        norm_layer(norm, channels),
        nn.ReLU(inplace=True),
    ]


def down(channels: int, norm: str) -> list[nn.Module]:
    """Half the resolution, twice the channels: (N, C, H, W) -> (N, 2C, H/2, W/2)."""
    return [
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        norm_layer(norm, 2 * channels),
        nn.ReLU(inplace=True),
    ]


def up(channels: int, norm: str) -> list[nn.Module]:
    """Twice the resolution, half the channels: (N, C, H, W) -> (N, C/2, 2H, 2W)."""
    return [
        nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1),
        norm_layer(norm, channels // 2),
        nn.ReLU(inplace=True),
    ]


def head(channels: int, channels_out: int) -> list[nn.Module]:
    """7 x 7 convolution to the output, without activation: (N, C, H, W) -> (N, Cout, H, W)."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(channels, channels_out, 7)]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, nothing after the sum (pix2pixHD, arXiv 1711.11585)."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm_layer(norm, channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + self.layers(x)  # type: ignore[no-any-return]


def initialise(network: nn.Module) -> None:
    """Convolutions from N(0, 0.02), batch norm's scale from N(1, 0.02); biases as PyTorch sets them."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
