"""Feature matching: a generated picture should look to the discriminator as the real one does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

REFERENCE_MAPS = 4  # feature maps of the published discriminator (three strided layers): it gets the factor 1


def feature_matching(
    fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]], scales: int | None = None
) -> Tensor:
    """1/scales Σ over scales of 4/n Σ mean|f_fake − f_real| over n feature maps; a scalar, no gradient to ``real``.

    fake, real: per scale the discriminator's maps from first to last; the last is the score and is left out.
    scales: what the sum is divided by; None is the number of scales. Source: Wang et al., pix2pixHD, CVPR 2018, eq. 4;
    the factor 4/n is its release's, which vid2vid shares.
    """
    sums = [_one_scale(*maps) for maps in zip(fake, real, strict=True)]
    return torch.stack(sums).sum() / (scales or len(sums))


def _one_scale(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    pairs = list(zip(fake, real, strict=True))[:-1]
    distances = [(f.float() - r.detach().float()).abs().mean() for f, r in pairs]
    return REFERENCE_MAPS / len(distances) * torch.stack(distances).sum()
