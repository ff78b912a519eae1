"""Losses of VGAN (sec. 3.1). A discriminator gives two logits: of real, and of generated.

Shapes: N clips.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

REAL, GENERATED = 0, 1


def cross_entropy(logits: Tensor, answer: int) -> Tensor:
    """Mean over clips of -log p(answer); logits: (N, 2); answer: REAL or GENERATED."""
    return F.cross_entropy(logits.float(), logits.new_full((len(logits),), answer).long())


def score(logits: Tensor) -> Tensor:
    """How real clips look: the logit of the probability of real, (N, 2) -> (N,)."""
    return logits[:, REAL] - logits[:, GENERATED]
