"""Flow and visibility computed by an estimator, in the format of the cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.transforms import to_signed
from zoo.flow.estimators import build_estimator


@dataclass(frozen=True)
class EstimatedFlow:
    """An estimator by name, with the local file of its weights if it has any. Built once per process."""

    estimator: str
    weights: str | None

    @property
    def name(self) -> str:
        """Name of the estimator with a checksum of its weights; part of the cache key."""
        return f"{self.estimator} {_checksum(self.weights)}" if self.weights else self.estimator

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Estimate flow: frames (T, H, W, 3) to dx, dy and visibility, (T-1, 3, H, W).

        Half precision has an error of at most 1/128 of a pixel for motion up to 32 pixels.
        """
        video = torch.from_numpy(to_signed(frames))[None]
        with torch.no_grad():
            flow, visibility = _load_estimator(self.estimator, self.weights)(video)
        return torch.cat([flow, visibility], dim=2)[0].numpy().astype(np.float16)


@cache
def _load_estimator(estimator: str, weights: str | None) -> Any:
    return build_estimator(estimator, weights=weights)


@cache
def _checksum(weights: str) -> str:
    return hashlib.sha256(Path(weights).read_bytes()).hexdigest()
