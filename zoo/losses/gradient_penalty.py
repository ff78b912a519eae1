"""Gradient penalties of discriminators.

Shapes: N samples.
"""

from __future__ import annotations

import torch
from torch import Tensor


def r1_penalty(scores: Tensor, real: Tensor) -> Tensor:
    """½ mean ‖∇ D(x)‖² over real samples x: R1 of Mescheder et al. (arXiv 1801.04406), eq. 9, without its weight γ.

    scores: D(real), (N, …); several scores of a sample are summed. real: (N, …), with ``requires_grad``. Returns a
    scalar that can be differentiated. With batch norm, the gradient runs through the statistics of the batch, too.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()
