"""Convolutions that give a processor less to do: few output channels, one-hot maps. Elsewhere they are plain ones.

Shapes: N images, C channels, H x W pixels; L frames whose maps stand one after another among the channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


def is_single(x: Tensor) -> bool:
    """Whether PyTorch computes with this in single precision on a processor, one operation after another."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32
    return plain and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


class FewChannels(nn.Conv2d):
    """A convolution to one, two or three channels, which makes four neighbouring columns at once.

    A processor computes 16 channels in the time of one. Of four columns the kernels stand beside each other, shifted by
    a column each, as output channels of one convolution of stride 4: the same sums in 0.4 of the time. For GPUs there
    is no good kernel of that form: with it a step of pix2pixHD in bf16 took twice as long on an H100.
    """

    COLUMNS = 4

    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, Cout, H', W')."""
        return self._slide(x, self.weight, self.bias)

    def beside(self, other: FewChannels, x: Tensor) -> tuple[Tensor, Tensor]:
        """What this one and another make of the same images, by one convolution: 0.97 of a frame's time in vid2vid."""
        weight, bias = torch.cat([self.weight, other.weight]), torch.cat([self.bias, other.bias])
        both = self._slide(x, weight, bias)
        return both[:, : self.out_channels], both[:, self.out_channels :]

    def _slide(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        width = x.shape[-1] - weight.shape[-1] + 1
        if x.device.type != "cpu" or width % self.COLUMNS:
            return F.conv2d(x, weight, bias)
        shifted = [F.pad(weight, (k, self.COLUMNS - 1 - k)) for k in range(self.COLUMNS)]
        packed = F.conv2d(x, torch.cat(shifted), bias.repeat(self.COLUMNS), stride=(1, self.COLUMNS))
        return rearrange(packed, "n (k c) h w -> n c h (w k)", k=self.COLUMNS)


class OneHotConv2d(nn.Conv2d):
    """A convolution, not padded, of L maps whose first ``classes`` channels each are one-hot.

    Of these a kernel meets a single 1 a pixel. To learn they are multiplied as they are; in use their rows of the
    kernel are looked up and added, as of an embedding: 0.3 of the time for 3 x 12 channels and 7 x 7 pixels.
    """

    def __init__(self, channels: int, channels_out: int, size: int, frames: int, classes: int) -> None:
        super().__init__(channels, channels_out, size)
        self.frames, self.classes = frames, classes

    def forward(self, x: Tensor) -> Tensor:
        """(N, L·C, H, W) -> (N, Cout, H', W')."""
        if not self.classes or torch.is_grad_enabled() or not is_single(x):
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
