"""A rollout of SVG: frame after frame, with the states of all LSTMs.

Step i predicts frame i from frame i - 1 and z_i.

Shapes: B clips, C channels, H x W pixels, A entries of an action, D dimensions of z, G size of the code of a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from zoo.blocks.gaussian import Gaussian
from zoo.blocks.recurrent import State

if TYPE_CHECKING:
    from zoo.models.svg.model import SVG


class EncodedFrame(NamedTuple):
    """A frame as the networks see it."""

    code: Tensor
    """(B, 1, G)"""

    skips: list[Tensor]
    """Features of every resolution, each (B, 1, …), finest first."""


class Rollout:
    """State of a batch of samples. All networks are called on one frame at a time.

    noise: step -> noise of z, (B, D), which the standard deviation is multiplied by; zeros give the mean.
    """

    def __init__(self, model: SVG, noise: Callable[[int], Tensor]) -> None:
        self.model, self.noise = model, noise
        self.step = 0
        self.predictor: State | None = None
        self.posterior: State | None = None
        self.prior: State | None = None
        self.maps: list[Tensor] = []
        self.prior_gaussian: Gaussian | None = None
        self.latent: Tensor | None = None

    def encode(self, frame: Tensor) -> EncodedFrame:
        """Encode frames, (B, C, H, W) in [0, 1]."""
        return EncodedFrame(*self.model.encoder(frame[:, None]))

    def take_skips(self, frame: EncodedFrame) -> None:
        """From now on, decode with the skips of this frame."""
        self.maps = self.model.skip_projection(frame.skips)

    def advance(self, previous: EncodedFrame, truth: EncodedFrame | None, action: Tensor, mean: bool = False) -> Tensor:
        """One step of all LSTMs: code of the next frame, (B, 1, G).

        truth: the next frame, whose posterior z is drawn from; None: z is drawn from the prior. mean: the mean of the
        posterior instead of a draw. action: (B, A).
        """
        self.step += 1
        parts = [previous.code, action[:, None].to(previous.code.dtype)]
        self._advance_prior(torch.cat(parts, -1))
        if self.model.posterior is not None:
            self.latent = self._latent(truth, mean, previous.code)
            parts.insert(1, self.latent)
        code, self.predictor = self.model.predictor(torch.cat(parts, -1), self.predictor)
        return code

    def _advance_prior(self, known: Tensor) -> None:
        """The learned prior runs over all frames, so that its state knows those of the context."""
        if self.model.prior is not None:
            self.prior_gaussian, self.prior = self.model.prior(known, self.prior)

    def _latent(self, truth: EncodedFrame | None, mean: bool, reference: Tensor) -> Tensor:
        """z of this step, (B, 1, D)."""
        assert self.model.posterior is not None
        if truth is not None:
            gaussian, self.posterior = self.model.posterior(truth.code, self.posterior)
            return gaussian.mean if mean else gaussian.sample(self._noise(reference))
        noise = self._noise(reference)
        return noise if self.prior_gaussian is None else self.prior_gaussian.sample(noise)

    def _noise(self, reference: Tensor) -> Tensor:
        return self.noise(self.step)[:, None].to(reference)

    def decode(self, code: Tensor) -> Tensor:
        """Decode the code of a frame, (B, 1, G) -> (B, C, H, W) in [0, 1], with the skips of `take_skips`."""
        frame: Tensor = self.model.decoder(code, self.maps)[:, 0]
        return frame
