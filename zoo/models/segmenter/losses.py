"""Cross-entropy for classes of very different frequency.

Shapes: N frames, K classes, H x W pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from zoo.devices.collectives import mean_over_ranks, sum_over_ranks
from zoo.types import IGNORED


def balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Weighted mean cross-entropy over pixels, in nats; a scalar.

    A pixel has the weight 1 / sqrt(pixels of its class in the batch): a class with 1/100 of the pixels has 1/10 of the
    influence, so that limbs of a few pixels are learnt without blurring the borders of large classes. Pixels are
    counted over all ranks, whose mean loss is the weighted mean over the whole batch.
    logits: (N, K, H, W). labels: (N, H, W) int64; pixels of IGNORED do not count.
    """
    flat = labels.flatten()
    pixels = flat.new_zeros(logits.shape[1]).scatter_add_(
        0, flat.clamp(min=0), (flat != IGNORED).to(flat.dtype)
    )  # bincount would synchronise with the GPU
    weight = sum_over_ranks(pixels).clamp(min=1).float().rsqrt()
    total = (weight * pixels).sum()
    loss = F.cross_entropy(logits.float(), labels, weight=weight, ignore_index=IGNORED, reduction="sum")
    return loss / mean_over_ranks(total).clamp(min=1e-6)  # 0 if no pixel counts
