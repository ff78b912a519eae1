"""The classifier: which identity, which action? Trained on real clips, then asked about generated ones.

Shapes: B clips, T frames, H x W pixels, K values of an attribute.
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
    """One classifier an attribute, on the features of a clip. Its checkpoint keeps its accuracy on held-out clips."""

    card = CARD
    channels_last = True

    def __init__(self, config: ClassifierConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.encoder = ClipEncoder(config.width, config.blocks)
        self.heads = AttributeHeads(self.encoder.features, spec.attributes)

    def configure_optimizers(self) -> Any:
        """Adam, its rate falling along half a cosine."""
        return self.annealed(self.adam(self.parameters(), self.config.lr))

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Cross-entropy of every attribute, those left out that change inside the clip or are not known."""
        logits = self.heads(self._thinned(self.encoder(clip["video"]), clip))
        losses = {name: cross_entropy(logits[name], clip_label(ids)) for name, ids in clip["attributes"].items()}
        self.log_losses(losses)
        return torch.stack(list(losses.values())).sum()

    def _thinned(self, features: Tensor, clip: Clip) -> Tensor:
        """Dropout: of every clip other features are left out, (B, F) -> (B, F)."""
        left = 1.0 - self.config.dropout
        kept = self.per_sample_noise(clip, lambda source: torch.rand(features.shape[1], generator=source) < left)
        return features * kept / max(left, 1e-8)

    def features(self, video: Tensor) -> Tensor:
        """(B, T, 3, H, W) to what the attributes are read from, (B, F)."""
        return self.encoder(video)  # type: ignore[no-any-return]

    def classify(self, video: Tensor) -> AttributeProbabilities:
        """(B, T, 3, H, W) to probabilities, name -> (B, K)."""
        return {name: logits.softmax(-1) for name, logits in self.heads(self.encoder(video)).items()}

    def validation_step(self, clip: Clip, batch_idx: int) -> tuple[Clip, AttributeProbabilities]:  # type: ignore[override]
        """What it says, for the callback that counts."""
        return clip, self.classify(clip["video"])

    def ema_parts(self) -> dict[str, nn.Module]:
        """All that classifies."""
        return {"encoder": self.encoder, "heads": self.heads}
