"""Segmenter of frames: trained on real clips, then applied to generated ones.

Shapes: B clips, T frames, C channels, K classes, H x W pixels.
"""

from __future__ import annotations

from typing import Any

from einops import rearrange
from torch import Tensor, nn

from zoo.model import VideoModel
from zoo.models.segmenter.config import CARD, HALVINGS, SegmenterConfig
from zoo.models.segmenter.losses import balanced_cross_entropy
from zoo.models.segmenter.networks import UNet
from zoo.types import Clip, ClipSpec


class Segmenter(VideoModel[SegmenterConfig]):
    """A U-Net on single frames. Its checkpoint contains its mean IoU on held-out clips."""

    card = CARD
    channels_last = True

    def __init__(self, config: SegmenterConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.network = UNet(len(spec.label_names), config.width, HALVINGS, spec.channels)

    def configure_optimizers(self) -> Any:
        """Adam with cosine annealing."""
        return self.with_cosine_schedule(self.adam(self.parameters(), self.config.lr))

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Class-balanced cross-entropy over pixels, in nats."""
        loss = balanced_cross_entropy(self.logits(clip["video"]), rearrange(clip["labels"], "b t h w -> (b t) h w"))
        self.log_losses({"labels": loss})
        return loss

    def logits(self, video: Tensor) -> Tensor:
        """Logits of every pixel: (B, T, C, H, W) in [-1, 1] -> (B·T, K, H, W)."""
        return self.network(rearrange(video, "b t c h w -> (b t) c h w"))

    def segment(self, video: Tensor) -> Tensor:
        """Likeliest label of every pixel: (B, T, C, H, W) in [-1, 1] -> (B, T, H, W) int64."""
        return rearrange(self.logits(video).argmax(1), "(b t) h w -> b t h w", b=len(video))

    def run_on(self, clip: Clip, frames: int, first: int = 0) -> Tensor:
        """Predicted labels of a batch of clips, for the callback that computes the mean IoU."""
        return self.segment(clip["video"])

    def ema_parts(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}
