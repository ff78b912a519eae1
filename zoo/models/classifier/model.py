"""Classifier of the attributes of clips: trained on real clips, then applied to generated ones.

Shapes: B clips, T frames, C channels, H x W pixels, F features, K values of an attribute.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.attributes import AttributeHeads, clip_label, cross_entropy
from zoo.model import VideoModel
from zoo.models.classifier.config import CARD, ClassifierConfig
from zoo.models.classifier.networks import ClipEncoder
from zoo.types import AttributeProbabilities, Clip, ClipSpec


class Classifier(VideoModel[ClassifierConfig]):
    """One linear classifier per attribute on the features of a clip.

    Its checkpoint contains its accuracy on held-out clips.
    """

    card = CARD
    channels_last = True

    def __init__(self, config: ClassifierConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.encoder = ClipEncoder(config.width, config.blocks, spec.channels)
        self.heads = AttributeHeads(self.encoder.features, spec.attributes)

    def configure_optimizers(self) -> Any:
        """Adam with cosine annealing."""
        return self.with_cosine_schedule(self.adam(self.parameters(), self.config.lr))

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Cross-entropy of every attribute, in nats; attributes that change or have no label are ignored."""
        logits = self.heads(self._dropout(self.encoder(clip["video"]), clip))
        losses = {name: cross_entropy(logits[name], clip_label(ids)) for name, ids in clip["attributes"].items()}
        self.log_losses(losses)
        return torch.stack(list(losses.values())).sum()

    def _dropout(self, features: Tensor, clip: Clip) -> Tensor:
        """Dropout with a mask that depends on the index of each clip in the training: (B, F) -> (B, F)."""
        keep = 1.0 - self.config.dropout
        mask = self.per_sample_noise(clip, lambda source: torch.rand(features.shape[1], generator=source) < keep)
        return features * mask / max(keep, 1e-8)

    def features(self, video: Tensor) -> Tensor:
        """Features that the attributes are predicted from: (B, T, C, H, W) in [-1, 1] -> (B, F)."""
        return self.encoder(video)

    def classify(self, video: Tensor) -> AttributeProbabilities:
        """Probabilities of the attributes: (B, T, C, H, W) in [-1, 1] -> attribute -> (B, K)."""
        return {name: logits.softmax(-1) for name, logits in self.heads(self.encoder(video)).items()}

    def run_on(self, clip: Clip, frames: int, first: int = 0) -> AttributeProbabilities:
        """Predicted probabilities of a batch of clips, for the callback that computes the accuracy."""
        return self.classify(clip["video"])

    def ema_parts(self) -> dict[str, nn.Module]:
        """Encoder and heads."""
        return {"encoder": self.encoder, "heads": self.heads}
