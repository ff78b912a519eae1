"""Noise of samples: a function of the seed, the draw and the name of the sample, not of the batch.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

from zoo.randomness import generator
from zoo.types import SampleRequest


def sample_generators(request: SampleRequest, names: Sequence[str], *stream: str | int) -> list[torch.Generator]:
    """One generator per sample. names: of the samples. stream: name or number of the use, such as a frame."""
    use = [_integer(part) for part in stream]
    return [generator(request.seed, request.draw, _integer(name), *use) for name in names]


def sample_noise(request: SampleRequest, names: Sequence[str], shape: Sequence[int], *stream: str | int) -> Tensor:
    """Noise from N(0, 1), (B, ...) with ``shape`` for the dots, on the CPU.

    Entries beyond ``request.truncation`` are drawn again.

    names: of the samples. stream: name or number of the use, such as a frame: uses are independent.
    """
    return torch.stack(
        [_truncated(each, shape, request.truncation) for each in sample_generators(request, names, *stream)]
    )


def sample_uniform_noise(
    request: SampleRequest, names: Sequence[str], shape: Sequence[int], *stream: str | int
) -> Tensor:
    """Noise that is uniform in [-1, 1], or within ±``request.truncation``, (B, ...) with ``shape`` for the dots, on the
    CPU.

    names: of the samples. stream: name or number of the use, such as a frame: uses are independent.
    """
    limit = 1.0 if request.truncation is None else min(request.truncation, 1.0)
    noise = torch.stack([torch.rand(*shape, generator=each) for each in sample_generators(request, names, *stream)])
    return limit * (2 * noise - 1)


def _truncated(source: torch.Generator, shape: Sequence[int], limit: float | None) -> Tensor:
    noise = torch.randn(*shape, generator=source)
    while limit is not None and (beyond := noise.abs() > limit).any():
        noise[beyond] = torch.randn(int(beyond.sum()), generator=source)
    return noise


def _integer(part: str | int) -> int:
    """A number for a name; Python salts ``hash``."""
    return crc32(part.encode()) if isinstance(part, str) else part
