"""Gradient penalties of discriminators.

Shapes: N samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def r1_penalty(scores: Tensor, real: Tensor) -> Tensor:
    """½ mean ‖∇ D(x)‖² over real samples x: R1 of Mescheder et al. (arXiv 1801.04406), eq. 9, without its weight γ.

    scores: D(real), (N, …); several scores of a sample are summed. real: (N, …), with ``requires_grad``. Returns a
    scalar that can be differentiated. With batch norm, the gradient runs through the statistics of the batch, too.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def squared_gradients(scores: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """‖∇ ΣD‖² of every sample of several inputs, such as the levels of a pyramid: (N, …) each -> (N,) each.

    scores: any shape, of inputs with ``requires_grad``. Can be differentiated.
    """
    gradients = torch.autograd.grad(scores.sum(), list(inputs), create_graph=True)
    return [gradient.square().flatten(1).sum(1) for gradient in gradients]


def wgan_gp_penalty(scores: Tensor, mixed: Tensor) -> Tensor:
    """mean (‖∇ D(x)‖ - 1)² over samples x: Gulrajani et al. (arXiv 1704.00028), eq. 3, without its weight λ.

    mixed: (N, …), between real and generated samples, with ``requires_grad``. scores: D(mixed), (N, …). Returns a
    scalar that can be differentiated.
    """
    (squares,) = squared_gradients(scores, [mixed])
    return (squares.sqrt() - 1).square().mean()
