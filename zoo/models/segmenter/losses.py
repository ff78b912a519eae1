"""Cross-entropy for classes of very different size.

Shapes: N frames, K classes, H x W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.devices.collectives import mean_over_ranks, sum_over_ranks


def balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Weighted mean over pixels, in nats; a pixel weighs 1 / sqrt(pixels of its class in the batch).

    A class with a hundredth of the pixels so has a tenth of the say: limbs of a few pixels are learnt, and the borders
    of what is large stay in place. The batch is that of all ranks: the mean of their losses is its weighted mean.
    logits (N, K, H, W), labels (N, H, W).
    """
    flat = labels.flatten()
    pixels = flat.new_zeros(logits.shape[1]).scatter_add_(0, flat, torch.ones_like(flat))  # bincount waits for a GPU
    weight = sum_over_ranks(pixels).clamp(min=1).float().rsqrt()
    total = (weight * pixels).sum()
    return F.cross_entropy(logits.float(), labels, weight=weight) * (total / mean_over_ranks(total))
