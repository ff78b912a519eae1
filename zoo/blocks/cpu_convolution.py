"""Convolutions that are faster on CPUs: for few output channels and for one-hot inputs. Elsewhere they are plain ones.

Shapes: N images, C channels, H x W pixels; L frames whose maps are concatenated along the channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


def is_cpu_float32(x: Tensor) -> bool:
    """Whether operations on this tensor run eagerly on a CPU in float32: without autocast and without compilation."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32
    return plain and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


class FewChannelConv2d(nn.Conv2d):
    """A convolution to one, two or three channels that computes four adjacent columns at once.

    A CPU computes 16 channels in the time of one. Four copies of the kernel, each shifted by one column, become the
    output channels of one convolution of stride 4: the same sums in 0.4 of the time. GPUs have no fast kernel of this
    shape: with it, a step of pix2pixHD in bf16 took twice as long on an H100.
    """

    COLUMNS = 4

    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, Cout, H', W')."""
        return self._convolve(x, self.weight, self.bias)

    def forward_with(self, other: FewChannelConv2d, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of this convolution and of another one for the same input, in one pass.

        A frame of vid2vid takes 0.97 of the time.
        """
        weight, bias = torch.cat([self.weight, other.weight]), torch.cat([self.bias, other.bias])
        both = self._convolve(x, weight, bias)
        return both[:, : self.out_channels], both[:, self.out_channels :]

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        width = x.shape[-1] - weight.shape[-1] + 1
        if x.device.type != "cpu" or width % self.COLUMNS:
            return F.conv2d(x, weight, bias)
        shifted = [F.pad(weight, (k, self.COLUMNS - 1 - k)) for k in range(self.COLUMNS)]
        packed = F.conv2d(x, torch.cat(shifted), bias.repeat(self.COLUMNS), stride=(1, self.COLUMNS))
        return rearrange(packed, "n (k c) h w -> n c h (w k)", k=self.COLUMNS)


class OneHotConv2d(nn.Conv2d):
    """An unpadded convolution of L maps, the first ``classes`` channels of each of which are one-hot.

    In training this is a plain convolution. Without gradients, the weights that meet the ones are looked up and summed,
    as in an embedding bag: 0.3 of the time for 3 x 12 channels and a 7 x 7 kernel.
    """

    def __init__(self, channels: int, channels_out: int, size: int, frames: int, classes: int) -> None:
        super().__init__(channels, channels_out, size)
        self.frames, self.classes = frames, classes

    def forward(self, x: Tensor) -> Tensor:
        """(N, L·C, H, W) -> (N, Cout, H', W')."""
        if not self.classes or torch.is_grad_enabled() or not is_cpu_float32(x):
            return super().forward(x)
        L, classes, size = self.frames, self.classes, self.weight.shape[-1]
        maps = rearrange(x, "n (l c) h w -> n h w l c", l=L)
        ids = (maps[..., :classes] @ torch.arange(float(classes))).int().flatten(2)
        neighbours = ids.unfold(1, size, 1).unfold(2, size * L, L)  # (N, H', W', k, k·L)
        first_rows = torch.arange(0, size * size * L * classes, classes, dtype=torch.int32).view(size, size * L)
        rows = torch.add(neighbours, first_rows, out=torch.empty(neighbours.shape, dtype=torch.int32))
        kernel = rearrange(self.weight, "o (l c) i j -> i j l c o", l=L)
        table = kernel[..., :classes, :].flatten(0, 3)
        sums = F.embedding_bag(rows.flatten(0, 2).flatten(1), table, mode="sum").view(*neighbours.shape[:3], -1)
        y = rearrange(sums, "n h w o -> n o h w")
        if maps.shape[-1] > classes:
            others = rearrange(maps[..., classes:], "n h w l c -> n (l c) h w")
            y = y + F.conv2d(others, rearrange(kernel[..., classes:, :], "i j l c o -> o (l c) i j"))
        return y if self.bias is None else y + self.bias[:, None, None]
