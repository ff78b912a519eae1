"""Card and config of the judge: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.card import ModelCard, ModelConfig, register
from zoo.types import ClipSpec

CARD = ModelCard(
    name="judge",
    title="Judge: reads the attributes of a clip, to judge what other models generate",
    paper="of the zoo; blocks as in R(2+1)D, Tran et al., CVPR 2018, arXiv 1711.11248",
    year=2026,
    code_licence="Apache-2.0",
    weights_licence="none published here",
    tasks=frozenset({"classify"}),
    needs=(("video",), ("attributes",)),
    strategies=frozenset({"auto", "cpu", "ddp", "fsdp"}),
    budget_clips=10_000,
    evaluation_clips=500,
)


@register(CARD, builds=".model:Judge")
@dataclass
class JudgeConfig(ModelConfig):
    """width: channels of the first block, doubled in each. blocks: how many. dropout: share of features left out before
    the heads. lr: of Adam, falling to zero over the training."""

    name: str = "judge"
    width: int = 16
    blocks: int = 4
    dropout: float = 0.2
    lr: float = 2e-3

    def problems(self, spec: ClipSpec) -> list[str]:
        """Nothing but attributes can be judged."""
        if spec.attributes:
            return []
        return ["The data set declares no attributes, so there is nothing to judge. Try: data=puppets"]

    @classmethod
    def tiny(cls) -> JudgeConfig:
        """The smallest one that has every part, for tests."""
        return cls(width=8, blocks=3)
