"""Batch norm whose scale and shift are functions of a condition (De Vries et al. 2017; as in BigGAN, arXiv 1809.11096).

Shapes: B clips, T frames, C channels, H x W pixels, K entries of the condition.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from zoo.errors import ZooError

STATISTICS = ("over_time", "per_frame")


class ConditionalNorm(nn.Module):
    """(1 + W_g c) ⊙ norm(x) + W_b c, for every clip and channel.

    frames: statistics of every frame by itself, for clips of that many frames, so that a norm carries nothing from one
    frame to another, as in DVD-GAN. None: statistics over all frames. normalise: wraps both linear maps, such as in
    spectral norm.
    """

    def __init__(
        self,
        channels: int,
        condition: int,
        frames: int | None = None,
        normalise: Callable[[nn.Linear], nn.Linear] = lambda layer: layer,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.norm = nn.BatchNorm2d(channels * (frames or 1), affine=False)  # frame by frame, channels within
        self.gain, self.bias = (normalise(nn.Linear(condition, channels, bias=False)) for _ in range(2))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, T, C, H, W), (B, K) -> (B, T, C, H, W). Raises ZooError for another number of frames than trained."""
        if self.frames is None:
            normed = self.norm(x.flatten(0, 1)).view_as(x)
        elif x.shape[1] == self.frames:
            normed = self.norm(x.flatten(1, 2)).view_as(x)
        else:
            raise ZooError(
                f"The norms have statistics of {self.frames} frames, one by one, but {x.shape[1]} are asked for. "
                f"Try: frames={self.frames}, or train with model.norm=over_time"
            )
        gain, bias = (layer(condition)[:, None, :, None, None] for layer in (self.gain, self.bias))
        return (1 + gain) * normed + bias
