"""Multimodal synthesis: an appearance encoder, instance-wise average pooling, and a Gaussian mixture per class.

A region is all pixels of one class within one instance. The encoder's output is averaged over each region, so that one
vector describes the appearance of one object. After training, a Gaussian mixture is fitted to the vectors of each class
and sampled from (pix2pixHD sec. 3.4, arXiv 1711.11585; vid2vid sec. 3.3, arXiv 1808.06601).

Shapes: N images, D channels of an appearance, K classes, M modes of a mixture, H x W pixels.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from zoo.blocks.convolution import Norm, decoder, encoder, head, initialise
from zoo.randomness import generator

MAX_INSTANCES = 100_000  # exceeds every instance id; a region id is class * MAX_INSTANCES + instance
MAX_REGIONS = 2**40  # exceeds every region id
Appearances = Mapping[int, Tensor]
"""Region id -> appearance, (D,)."""
MIN_VECTORS_PER_MODE = 8  # a mixture gets fewer modes if there are fewer vectors
VARIANCE_FLOOR = 1e-4  # added to every variance


class AppearanceEncoder(nn.Module):
    """E: encodes an image and averages the result over each region, whose pixels all get its appearance."""

    def __init__(self, features: int, width: int, downsamplings: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *encoder(3, width, downsamplings, 0, norm),
            *decoder(width, downsamplings, 0, norm),
            *head(width, features),
            nn.Tanh(),
        )
        initialise(self)

    def forward(self, image: Tensor, regions: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1] and region ids (N, H, W) int64 -> (N, D, H, W) in [-1, 1]."""
        return region_mean(self.layers(image), regions)


def region_ids(labels: Tensor, instances: Tensor | None) -> Tensor:
    """Combine class and instance ids, each (..., H, W) int64, into region ids of the same shape.

    instances: None if the data set has none; then every class is one region.
    """
    return labels * MAX_INSTANCES + (0 if instances is None else instances)


def region_mean(features: Tensor, regions: Tensor) -> Tensor:
    """Replace each pixel by the mean of its region: (N, D, H, W) and ids (N, H, W) -> (N, D, H, W).

    Differentiable. The result is float32 or wider.
    """
    index, means = _pool_regions(features, regions)
    return means[index].view(*regions.shape, -1).movedim(-1, 1)


def region_appearances(features: Tensor, regions: Tensor) -> dict[int, Tensor]:
    """Average one image's features (D, H, W) over each region, ids (H, W): region id -> (D,)."""
    ids = torch.unique(regions)  # ascending, like the rows of _pool_regions
    _, means = _pool_regions(features[None], regions[None])
    return dict(zip(ids.tolist(), means, strict=False))


def _pool_regions(features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Row index of each pixel's region, (N·H·W,), and the region means, (N·H·W, D).

    Regions of different images are distinct. The means have one row per pixel, of which only the first rows are used:
    the number of regions is known only on the device, and reading it would synchronise.
    """
    image = torch.arange(len(regions), device=regions.device).view(-1, 1, 1)
    ids, order = (image * MAX_REGIONS + regions).flatten().sort()
    first = torch.cat([ids.new_zeros(1), (ids[1:] != ids[:-1]).long()])
    index = torch.empty_like(order).scatter_(0, order, first.cumsum(0))
    pixels = features.movedim(1, -1).flatten(0, -2)
    # On a GPU, a sum in bfloat16 stops growing at 256 times the addend.
    pixels = pixels.to(torch.promote_types(pixels.dtype, torch.float32))
    sums = torch.zeros_like(pixels).index_add(0, index, pixels)
    count = torch.zeros_like(index).index_add(0, index, torch.ones_like(index))
    return index, sums / count.clamp(min=1).unsqueeze(1)


class AppearanceMixtures(nn.Module):
    """A Gaussian mixture per class, stored as buffers and therefore saved in the checkpoint.

    weights: (K, M), zero for unused modes. means: (K, M, D). factors: (K, M, D, D), the lower Cholesky factors of the
    covariances, so that mean + factor · noise has the mode's covariance.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, classes: int, modes: int, features: int) -> None:
        super().__init__()
        self.modes = modes
        weights = torch.zeros(classes, modes)
        weights[:, 0] = 1.0
        self.register_buffer("weights", weights)
        self.register_buffer("means", torch.zeros(classes, modes, features))
        self.register_buffer("factors", torch.eye(features).expand(classes, modes, -1, -1).clone() / 3)

    @torch.no_grad()
    def fit(self, appearances: Iterable[Appearances]) -> None:
        """Fit the mixtures to appearances of many images, each region id -> (D,); classes without any are unchanged."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        by_class: dict[int, list[Tensor]] = defaultdict(list)
        for regions in appearances:
            for region, appearance in regions.items():
                by_class[region // MAX_INSTANCES].append(appearance.double().cpu())
        for label, vectors in by_class.items():
            modes = max(1, min(self.modes, len(vectors) // MIN_VECTORS_PER_MODE))
            mixture = GaussianMixture(modes, reg_covar=VARIANCE_FLOOR, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a few equal vectors are fine
                mixture.fit(torch.stack(vectors if len(vectors) > 1 else vectors * 2).numpy())
            self.weights[label] = 0.0
            self.weights[label, :modes] = torch.as_tensor(mixture.weights_)
            self.means[label, :modes] = torch.as_tensor(mixture.means_)
            self.factors[label, :modes] = torch.linalg.cholesky(torch.as_tensor(mixture.covariances_))

    def draw(self, region: int, *seeds: int) -> Tensor:
        """Sample an appearance for a region id, (D,) in [-1, 1]; a function of the id and the seeds alone."""
        source = generator(*seeds, region)
        label = region // MAX_INSTANCES
        mode = int(torch.multinomial(self.weights[label].cpu(), 1, generator=source))
        noise = torch.randn(self.means.shape[-1], generator=source).to(self.means)
        return (self.means[label, mode] + self.factors[label, mode] @ noise).clamp(-1, 1)
