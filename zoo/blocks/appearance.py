"""Several appearances of one map: an encoder of appearances, pooled over regions, and what is known of their
distribution.

A region is one class in one instance. The encoder's output is averaged over each region, so that one vector stands for
the appearance of one thing; after training a Gaussian mixture a class says which appearances there are (pix2pixHD sec.
3.4, arXiv 1711.11585; vid2vid sec. 3.3, arXiv 1808.06601).

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

INSTANCES = 100_000  # more than any instance map has: a region's number is class * INSTANCES + instance
REGIONS = 2**40  # more than the number of any region
Appearances = Mapping[int, Tensor]
"""The number of a region to its appearance, (D,)."""
LEAST_APPEARANCES = 8  # vectors a mode that a mixture is fitted to, at least
FLOOR = 1e-4  # added to every variance


class AppearanceEncoder(nn.Module):
    """E: an image to the appearance of every region, each pixel holding that of the region it lies in."""

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
        """Pictures (N, 3, H, W) in [-1, 1] and regions (N, H, W) int64 to (N, D, H, W) in [-1, 1]."""
        return region_mean(self.layers(image), regions)


def region_numbers(labels: Tensor, instances: Tensor | None) -> Tensor:
    """One number a region, (..., H, W) int64: what has the same class and the same instance is one region."""
    return labels * INSTANCES + (0 if instances is None else instances)


def region_mean(features: Tensor, regions: Tensor) -> Tensor:
    """Each pixel gets the mean over its region; (N, D, H, W) and (N, H, W) -> (N, D, H, W), float32 at least.
    Differentiable."""
    index, means = _means(features, regions)
    return means[index].view(*regions.shape, -1).movedim(-1, 1)


def region_appearances(features: Tensor, regions: Tensor) -> dict[int, Tensor]:
    """The mean over each region of one picture, (D, H, W) and (H, W): number to (D,)."""
    numbers = torch.unique(regions)  # ascending, as the rows of _means are
    _, means = _means(features[None], regions[None])
    return dict(zip(numbers.tolist(), means, strict=False))


def _means(features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel's region stands among all regions of all pictures, (N·H·W,), and their means, (N·H·W, D), of
    which the first ones are of regions: how many there are, only the device knows, and nobody waits for it."""
    picture = torch.arange(len(regions), device=regions.device).view(-1, 1, 1)
    numbers, order = (picture * REGIONS + regions).flatten().sort()
    first = torch.cat([numbers.new_zeros(1), (numbers[1:] != numbers[:-1]).long()])
    index = torch.empty_like(order).scatter_(0, order, first.cumsum(0))
    pixels = features.movedim(1, -1).flatten(0, -2)
    pixels = pixels.to(torch.promote_types(pixels.dtype, torch.float32))  # a GPU adds bfloat16 one by one, up to 256
    sums = torch.zeros_like(pixels).index_add(0, index, pixels)
    count = torch.zeros_like(index).index_add(0, index, torch.ones_like(index))
    return index, sums / count.clamp(min=1).unsqueeze(1)


class AppearanceMixtures(nn.Module):
    """A Gaussian mixture for each class, as plain arrays in the state: they travel with the checkpoint.

    weights: (K, M), zero for modes that a class does not have. means: (K, M, D). factors: (K, M, D, D), lower
    triangular, so that mean + factor · noise has the mode's covariance.
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
        """Fit to the appearances of regions, number to (D,); a class that none of them has keeps what it had."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        by_class: dict[int, list[Tensor]] = defaultdict(list)
        for regions in appearances:
            for number, appearance in regions.items():
                by_class[number // INSTANCES].append(appearance.double().cpu())
        for label, vectors in by_class.items():
            modes = max(1, min(self.modes, len(vectors) // LEAST_APPEARANCES))
            mixture = GaussianMixture(modes, reg_covar=FLOOR, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a handful of equal appearances is a mixture, too
                mixture.fit(torch.stack(vectors if len(vectors) > 1 else vectors * 2).numpy())
            self.weights[label] = 0.0
            self.weights[label, :modes] = torch.as_tensor(mixture.weights_)
            self.means[label, :modes] = torch.as_tensor(mixture.means_)
            self.factors[label, :modes] = torch.linalg.cholesky(torch.as_tensor(mixture.covariances_))

    def draw(self, number: int, *seeds: int) -> Tensor:
        """An appearance for the region of that number, (D,) in [-1, 1]; a function of the region and the seeds
        alone."""
        source = generator(*seeds, number)
        label = number // INSTANCES
        mode = int(torch.multinomial(self.weights[label].cpu(), 1, generator=source))
        noise = torch.randn(self.means.shape[-1], generator=source).to(self.means)
        return (self.means[label, mode] + self.factors[label, mode] @ noise).clamp(-1, 1)
