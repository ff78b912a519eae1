"""A number carries its protocol: numbers of different protocols never stand under one key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.types import Split

BETTER: dict[str, Literal["min", "max"]] = {"l1": "min", "psnr": "max", "ssim": "max", "accuracy": "max"}
"""The metrics of a validation round, and which way is better."""
OF_SAMPLES, OF_VERDICTS = ("l1", "psnr", "ssim"), ("accuracy",)
"""Those of models that make videos, and of models that classify them."""


def monitored(samples: bool) -> tuple[str, ...]:
    """The metrics that a run can be monitored by, the usual one first."""
    return OF_SAMPLES if samples else OF_VERDICTS


@dataclass(frozen=True)
class Protocol:
    """How something was measured; the whole of it goes into results.jsonl.

    context: frames that the model was given; they are left out of what is measured.
    """

    data: str
    split: Split
    clips: int
    frames: int
    context: int
    fps: float
    height: int
    width: int
    seed: int

    @property
    def slug(self) -> str:
        """The part of a metric's key after the @: ``8x8f-c1-64x128px``."""
        return f"{self.clips}x{self.frames}f-c{self.context}-{self.height}x{self.width}px"

    def key(self, metric: str) -> str:
        """``val/l1@8x8f-c1-64x128px``."""
        return f"{self.split}/{metric}@{self.slug}"
