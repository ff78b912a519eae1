"""Categorical attributes of clips: classification heads, their loss, and attribute vectors for conditioning.

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
"""Id of an attribute without a label."""

Attributes = Mapping[str, tuple[str, ...]]
"""Attribute -> names of its values, as in ``ClipSpec.attributes``."""


class AttributeHeads(nn.Module):
    """One linear classifier per attribute. units: size of a hidden layer that all heads share; 0: none.

    Raises ZooError for an attribute name that PyTorch reserves.
    """

    def __init__(self, features: int, attributes: Attributes, units: int = 0) -> None:
        super().__init__()
        for name in attributes:
            if "." in name or hasattr(nn.ModuleDict, name):
                raise ZooError(
                    f"`{name}` cannot be the name of an attribute: PyTorch reserves it. Rename the attribute."
                )
        self.trunk = nn.Sequential(nn.Linear(features, units), nn.ReLU(inplace=True)) if units and attributes else None
        width = units or features
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in attributes.items()})

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Features (..., F) -> logits, attribute -> (..., K)."""
        hidden = self.trunk(features) if self.trunk else features
        return {name: head(hidden) for name, head in self.heads.items()}


def average_over_clip(logits: Tensor, constant: bool) -> Tensor:
    """Average logits over the frames of a clip if the attribute is constant: (B, T, K) -> (B, T, K)."""
    return logits.mean(1, keepdim=True).expand_as(logits) if constant else logits


def cross_entropy(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy over the labelled elements, in nats; 0 if there are none.

    logits: (..., K). ids: (...) int64, UNKNOWN where there is no label. Returns a scalar. Each rank is weighted by its
    number of labelled elements, so that the mean over ranks is the mean over all labelled elements.
    """
    known = sum_over_ranks((ids != UNKNOWN).sum()).clamp(min=1) / ranks()
    total = F.cross_entropy(logits.flatten(0, -2).float(), ids.flatten(), ignore_index=UNKNOWN, reduction="sum")
    return total / known


def attribute_vector(ids: Tensor | None, logits: Tensor) -> Tensor:
    """One-hot vectors where an attribute is labelled, predicted probabilities elsewhere; (..., K), without gradient.

    ids: (...) int64, UNKNOWN where there is no label; None: no labels at all. logits: (..., K).
    """
    inferred = logits.softmax(-1).detach()
    if ids is None:
        return inferred
    observed = F.one_hot(ids.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    return torch.where((ids == UNKNOWN)[..., None], inferred, observed)


def clip_label(ids: Tensor) -> Tensor:
    """Label of a whole clip: the value that holds in all of its frames, else UNKNOWN; (B, T) -> (B,)."""
    constant = (ids == ids[:, :1]).all(1)
    return torch.where(constant, ids[:, 0], UNKNOWN)
