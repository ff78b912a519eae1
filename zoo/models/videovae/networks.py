"""Networks of VideoVAE: encoder and decoder of frames, and the dynamics of the code.

Shapes: B clips, T frames, N images, C channels, D size of the code, H size of the LSTM state, F features, A values of
all attributes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.blocks import dcgan
from zoo.blocks.gaussian import Gaussian, GaussianHead
from zoo.models.videovae.config import VideoVAEConfig
from zoo.types import ClipSpec

FILTER_PLAN = ((10, 9, 1), (20, 7, 3), (40, 5, 1), (80, 3, 3))
"""The published plan of the encoder: channels, kernel size, stride; 64 -> 56 -> 17 -> 13 -> 4 pixels."""
DROPOUT = 0.5
FIRST_LOG_VARIANCE = -4.0
"""Initial log-variance of the frame posterior: small, so that the code is not drowned in noise at first."""


def frame_encoder(config: VideoVAEConfig, spec: ClipSpec) -> nn.Module:
    """Build the encoder of frames: (N, C, H, W) in [-1, 1] -> (N, F)."""
    features = config.features
    if config.networks == "dcgan":
        return dcgan.Encoder(spec.height, spec.width, config.width, features, config.norm, spec.channels)
    layers: list[nn.Module] = []
    channels_in = spec.channels
    for channels, kernel, stride in FILTER_PLAN:
        layers += [
            nn.Conv2d(channels_in, channels, kernel, stride, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        channels_in = channels
    layers += [nn.Dropout2d(DROPOUT), nn.Flatten(), nn.Linear(1280, 1024), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(1024, features))


def frame_decoder(config: VideoVAEConfig, spec: ClipSpec, code: int) -> nn.Module:
    """Build the decoder of codes: (N, code) -> (N, C, H, W) in (-1, 1)."""
    if config.networks == "dcgan":
        size = (spec.height, spec.width)
        return dcgan.Decoder(*size, config.width, code, config.norm, spec.channels, config.colour_field)
    layers: list[nn.Module] = [
        nn.Linear(code, 1024), nn.ReLU(inplace=True), nn.Linear(1024, 1280), nn.ReLU(inplace=True),
        nn.Unflatten(1, (80, 4, 4)),
    ]  # fmt: skip
    channels_out = [spec.channels, *(channels for channels, _, _ in FILTER_PLAN[:-1])]
    for level, (channels, kernel, stride) in reversed(list(enumerate(FILTER_PLAN))):
        below, last = channels_out[level], level == 0
        output_padding = stride // 2  # a stride of 3 drops the last one of 56 and of 13 pixels
        layers += [nn.ConvTranspose2d(channels, below, kernel, stride, output_padding=output_padding, bias=not last)]
        layers += [nn.Tanh()] if last else [nn.BatchNorm2d(below), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class State(NamedTuple):
    """State of the LSTM, each (B, H)."""

    hidden: Tensor
    cell: Tensor


class CodeRollout(NamedTuple):
    """Codes of all frames of a clip, and the Gaussians they come from, all (B, T, D)."""

    code: Tensor
    """Sample of the posterior."""

    posterior: Gaussian
    prior: Gaussian


class Dynamics(nn.Module):
    """The structured code over time: Eq. 1 to 5 of the model card.

    attribute_values: A; 0 if the code does not depend on attributes.
    """

    def __init__(self, config: VideoVAEConfig, attribute_values: int) -> None:
        super().__init__()
        self.config = config
        code, hidden, units = config.code, config.hidden, config.units
        self.hidden_size = hidden
        bounds = (config.min_log_variance, config.max_log_variance)
        self.frame_posterior = GaussianHead(config.features, units, code, bounds)
        nn.init.constant_(self.frame_posterior.out.bias[code:], FIRST_LOG_VARIANCE)
        self.attribute_posterior = GaussianHead(2 * code + attribute_values, units, code, bounds)
        self.dynamic_posterior = GaussianHead(2 * code + hidden, units, code, bounds)
        self.prior_head = GaussianHead(hidden + attribute_values, units, code, bounds)
        if config.recurrence:
            self.memory_network = nn.Sequential(
                nn.Linear(hidden, units), nn.ReLU(inplace=True), nn.Linear(units, hidden)
            )
            self.cell = nn.LSTMCell(3 * code, hidden)

    @property
    def reference(self) -> Tensor:
        """A parameter whose device and dtype are those of the network."""
        return self.prior_head.out.bias

    def initial_state(self, batch: int) -> State:
        """The zero state that every clip starts with."""
        zeros = self.reference.new_zeros(batch, self.hidden_size)
        return State(zeros, zeros)

    def memory(self, state: State) -> Tensor:
        """g(h), summary of the past, (B, H); zero without recurrence."""
        return self.memory_network(state.hidden) if self.config.recurrence else state.hidden

    def merge_attributes(self, frame: Gaussian, attributes: Tensor) -> Gaussian:
        """Eq. 2: merge the frame posterior, (..., D), with the attributes, (..., A)."""
        return self.attribute_posterior(torch.cat([frame.parameters, attributes], -1), frame)

    def posterior(self, merged: Gaussian, memory: Tensor) -> Gaussian:
        """Eq. 3: q(z_t | x_≤t, z_<t, a), from the merged posterior, (..., D), and the past, (..., H)."""
        return self.dynamic_posterior(torch.cat([merged.parameters, memory], -1), merged)

    def prior(self, memory: Tensor, attributes: Tensor) -> Gaussian:
        """Eq. 4: p(z_t | z_<t, a), from the past, (..., H), and the attributes, (..., A)."""
        past = memory if self.config.prior_sees_past else torch.zeros_like(memory)
        return self.prior_head(torch.cat([past, attributes], -1))

    def step(self, code: Tensor, frame: Gaussian, state: State) -> State:
        """Eq. 5: update the LSTM with the code, (B, D), and the parameters of the frame posterior."""
        if not self.config.recurrence:
            return state
        return State(*self.cell(torch.cat([code, frame.parameters], -1), (state.hidden, state.cell)))

    def forward(self, features: Tensor, attributes: Tensor, noise: Tensor) -> CodeRollout:
        """Roll out over a whole clip: features (B, T, F), attributes (B, T, A), noise (B, T, D) from N(0, 1)."""
        frame = self.frame_posterior(features)  # Eq. 1
        merged = self.merge_attributes(frame, attributes)
        state = self.initial_state(len(features))
        codes, posteriors, memories = [], [], []
        for t in range(features.shape[1]):
            memory = self.memory(state)
            posterior = self.posterior(merged.at(t), memory)
            code = posterior.sample(noise[:, t])
            state = self.step(code, frame.at(t), state)
            codes.append(code)
            posteriors.append(posterior)
            memories.append(memory)
        means, log_variances = (torch.stack(parts, 1) for parts in zip(*posteriors, strict=True))
        prior = self.prior(torch.stack(memories, 1), attributes)  # all frames at once: the loop does not need it
        return CodeRollout(torch.stack(codes, 1), Gaussian(means, log_variances), prior)
