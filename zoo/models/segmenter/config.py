"""Card and config of the segmenter: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.card import ModelCard, ModelConfig, register
from zoo.fields.ranges import PositiveFloat, Units
from zoo.types import ClipSpec

HALVINGS = 4
"""Number of downsamplings, as in the U-Net paper."""

CARD = ModelCard(
    name="segmenter",
    title="Segmenter: predicts the label of every pixel, to measure how well models follow their label maps",
    paper="of the zoo; a small U-Net, Ronneberger et al., MICCAI 2015, arXiv 1505.04597",
    year=2026,
    code_licence="Apache-2.0",
    weights_licence="none published here",
    tasks=frozenset({"segment"}),
    needs=(("video",), ("labels",)),
    size_multiple=2**HALVINGS,
    strategies=frozenset({"auto", "cpu", "ddp", "fsdp"}),
    channels=(1, 3),
    budget_clips=4_000,
    evaluation_clips=100,
)


@register(CARD, builds=".model:Segmenter")
@dataclass
class SegmenterConfig(ModelConfig):
    """Settings of the segmenter."""

    name: str = "segmenter"

    width: Units = 16
    """Channels of the U-Net at full resolution; every downsampling doubles them."""

    lr: PositiveFloat = 2e-3
    """Learning rate of Adam; falls to zero along half a cosine over the training."""

    def problems(self, spec: ClipSpec) -> list[str]:
        """A message if the data set does not name its classes."""
        if spec.label_names or "labels" not in spec.fields:
            return []
        return ["The data set names no classes of its labels, so there is nothing to read. Try: data=puppets"]

    @classmethod
    def tiny(cls) -> SegmenterConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(width=8, lr=1e-2)
