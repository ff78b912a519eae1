"""Feature matching: the distance of real and generated images in the discriminator's feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

REFERENCE_MAPS = 4  # feature maps of the published discriminator, with three strided layers


def feature_matching(
    fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]], scales: int | None = None
) -> Tensor:
    """1/scales Σ over scales of 4/n Σ mean|f_fake − f_real| over n feature maps; a scalar, no gradient to ``real``.

    fake, real: for each scale the discriminator's feature maps; the last one, the score, is left out.
    scales: divisor of the sum; None: the number of scales.
    Source: Wang et al., pix2pixHD, CVPR 2018, eq. 4. The factor 4/n is that of its release, which vid2vid shares.
    """
    sums = [_match_scale(*maps) for maps in zip(fake, real, strict=True)]
    return torch.stack(sums).sum() / (scales or len(sums))


def _match_scale(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    pairs = list(zip(fake, real, strict=True))[:-1]
    distances = [(f.float() - r.detach().float()).abs().mean() for f, r in pairs]
    return REFERENCE_MAPS / len(distances) * torch.stack(distances).sum()
