"""Categorical attributes of a clip as networks take them: read off features, and turned into a vector.

Shapes: B clips, T frames, F features, K values of an attribute, A values of all attributes together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.devices.collectives import ranks, sum_over_ranks
from zoo.errors import ZooError

UNKNOWN = -1
"""The id of an attribute that nobody has told."""

Attributes = Mapping[str, tuple[str, ...]]
"""Name to the names of its values, as ``ClipSpec.attributes`` has them."""


class AttributeHeads(nn.Module):
    """One linear classifier an attribute, on a hidden layer that all share where it has any ``units``."""

    def __init__(self, features: int, attributes: Attributes, units: int = 0) -> None:
        super().__init__()
        for name in attributes:
            if "." in name or hasattr(nn.ModuleDict, name):
                raise ZooError(f"An attribute cannot be called `{name}`: PyTorch has another use for it. Rename it.")
        self.trunk = nn.Sequential(nn.Linear(features, units), nn.ReLU(inplace=True)) if units and attributes else None
        width = units or features
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in attributes.items()})

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """(..., F) -> logits, name -> (..., K)."""
        hidden = self.trunk(features) if self.trunk else features
        return {name: head(hidden) for name, head in self.heads.items()}


def over_clip(logits: Tensor, constant: bool) -> Tensor:
    """Logits of an attribute that never changes, averaged over the frames of a clip: (B, T, K) -> (B, T, K)."""
    return logits.mean(1, keepdim=True).expand_as(logits) if constant else logits


def cross_entropy(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean over those that are known, in nats, 0 if none is: logits (..., K), ids (...).

    Of several ranks, each counts as many as it has: the mean of their losses is that over all that are known.
    """
    known = sum_over_ranks((ids != UNKNOWN).sum()).clamp(min=1) / ranks()
    total = F.cross_entropy(logits.flatten(0, -2).float(), ids.flatten(), ignore_index=UNKNOWN, reduction="sum")
    return total / known


def as_vector(ids: Tensor | None, logits: Tensor) -> Tensor:
    """One-hot where an attribute is known, else the probabilities that were inferred, with no gradient.

    ids (...), None where none is known; logits (..., K) -> (..., K).
    """
    inferred = logits.softmax(-1).detach()
    if ids is None:
        return inferred
    told = F.one_hot(ids.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    return torch.where((ids == UNKNOWN)[..., None], inferred, told)


def clip_label(ids: Tensor) -> Tensor:
    """The one value that an attribute has all through a clip, else unknown: (B, T) -> (B,)."""
    steady = (ids == ids[:, :1]).all(1)
    return torch.where(steady, ids[:, 0], UNKNOWN)
