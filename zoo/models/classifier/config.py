"""Card and config of the classifier: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.card import ModelCard, ModelConfig, register
from zoo.fields.ranges import Layers, PositiveFloat, ShareBelowOne, Units
from zoo.types import ClipSpec

CARD = ModelCard(
    name="classifier",
    title="Classifier: reads the attributes of a clip, to measure what other models generate",
    paper="of the zoo; blocks as in R(2+1)D, Tran et al., CVPR 2018, arXiv 1711.11248",
    year=2026,
    code_licence="Apache-2.0",
    weights_licence="none published here",
    tasks=frozenset({"classify"}),
    needs=(("video",), ("attributes",)),
    strategies=frozenset({"auto", "cpu", "ddp", "fsdp"}),
    channels=(1, 3),
    budget_clips=10_000,
    evaluation_clips=500,
)


@register(CARD, builds=".model:Classifier")
@dataclass
class ClassifierConfig(ModelConfig):
    """Settings of the classifier."""

    name: str = "classifier"

    width: Units = 16
    """Channels of the first block; every further block doubles them."""

    blocks: Layers = 4
    """Number of (2+1)-D convolution blocks, each of which halves height and width."""

    dropout: ShareBelowOne = 0.2
    """Share of the features that are dropped before the attribute heads, 0 to 1."""

    lr: PositiveFloat = 2e-3
    """Learning rate of Adam; falls to zero along half a cosine over the training."""

    def problems(self, spec: ClipSpec) -> list[str]:
        """A message if the data set declares no attributes."""
        if spec.attributes:
            return []
        return ["The data set declares no attributes, so there is nothing to classify. Try: data=puppets"]

    @classmethod
    def tiny(cls) -> ClassifierConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(width=8, blocks=3)
