"""What a judge says of clips whose attributes are known: accuracy, Inception score and the two entropies.

Natural logarithms throughout. Papers use the names Inter-Entropy and Intra-Entropy for either of the two entropies (and
swap them), so they are called here what they are: VideoVAE's Intra-E is the conditional, its Inter-E the marginal one.

Shapes: N clips, T frames, K values of an attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from zoo.blocks.attributes import UNKNOWN, clip_label

TINY = 1e-12  # keeps the logarithm of a probability that rounds to zero finite


def hits(probabilities: Tensor, ids: Tensor) -> Tensor:
    """1 where the likeliest value is the true one, else 0, NaN where the truth is not one value all through the clip:
    (N, K) and (N, T) -> (N,)."""
    truth = clip_label(ids)
    right = (probabilities.argmax(-1) == truth).float()
    return torch.where(truth == UNKNOWN, torch.nan, right)


def entropy(probabilities: Tensor) -> Tensor:
    """H(p) in nats, (..., K) -> (...)."""
    return -(probabilities * probabilities.clamp(min=TINY).log()).sum(-1)


def conditional_entropy(probabilities: Tensor) -> float:
    """Mean over clips of H(p(y | clip)), (N, K); lower is better: every clip is clearly something."""
    return float(entropy(probabilities.double()).mean())


def marginal_entropy(probabilities: Tensor) -> float:
    """H of the mean over clips of p(y | clip), (N, K), at most log K; higher is better: clips are of every kind."""
    return float(entropy(probabilities.double().mean(0)))


def inception_score(probabilities: Tensor) -> float:
    """exp of the mean KL(p(y | clip) || p(y)), (N, K), in one split; 1 to K, higher is better (Salimans 2016)."""
    return float(torch.tensor(marginal_entropy(probabilities) - conditional_entropy(probabilities)).exp())


def joint(verdict: Mapping[str, Tensor]) -> Tensor:
    """Every combination of the attributes as one class, (N, K1 · K2 · …), as the protocol on Weizmann has it (action x
    person); the judge reads the attributes independently of each other."""
    return reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).flatten(1), verdict.values())
