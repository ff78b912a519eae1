"""The networks of VideoVAE: frames to features and back, and the Gaussians of the code in time.

Shapes: B clips, T frames, N images, D code, H state, F features, A values of all attributes together.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.blocks import dcgan
from zoo.blocks.gaussian import Gaussian, GaussianHead
from zoo.models.videovae.config import VideoVAEConfig

PAPER_SIZE = 64
FILTERS = ((3, 10, 9, 1), (10, 20, 7, 3), (20, 40, 5, 1), (40, 80, 3, 3))
"""The published plan: channels in, channels out, size of the kernel, stride; 64 -> 56 -> 17 -> 13 -> 4 pixels."""
DROPPED = 0.5
FIRST_LOG_VARIANCE = -4.0
"""Where the posterior's variance starts: what the code says is not drowned in noise from the first step on."""


def frame_encoder(config: VideoVAEConfig, height: int, width: int) -> nn.Module:
    """(N, 3, H, W) -> (N, F)."""
    features = config.sizes.features
    if config.preset == "dcgan":
        return dcgan.Encoder(height, width, config.width, features, config.norm)
    layers: list[nn.Module] = []
    for channels_in, channels, kernel, stride in FILTERS:
        layers += [
            nn.Conv2d(channels_in, channels, kernel, stride, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    layers += [nn.Dropout2d(DROPPED), nn.Flatten(), nn.Linear(1280, 1024), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(1024, features))


def frame_decoder(config: VideoVAEConfig, height: int, width: int, channels_in: int) -> nn.Module:
    """(N, channels_in) -> (N, 3, H, W) in (-1, 1)."""
    if config.preset == "dcgan":
        return dcgan.Decoder(height, width, config.width, channels_in, config.norm)
    layers: list[nn.Module] = [
        nn.Linear(channels_in, 1024), nn.ReLU(inplace=True), nn.Linear(1024, 1280), nn.ReLU(inplace=True),
        nn.Unflatten(1, (80, 4, 4)),
    ]  # fmt: skip
    for channels_out, channels, kernel, stride in reversed(FILTERS):
        last = channels_out == 3
        left_over = stride // 2  # of 56 and 13 pixels, of which a stride of 3 leaves one behind
        layers += [nn.ConvTranspose2d(channels, channels_out, kernel, stride, output_padding=left_over, bias=not last)]
        layers += [nn.Tanh()] if last else [nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class State(NamedTuple):
    """What the LSTM remembers, each (B, H)."""

    hidden: Tensor
    cell: Tensor


class Course(NamedTuple):
    """The code over a clip: what was drawn, (B, T, D), and from which Gaussians of (B, T, D)."""

    code: Tensor
    posterior: Gaussian
    prior: Gaussian


class Dynamics(nn.Module):
    """The structured code in time: Eq. 1 to 5 of the model card."""

    def __init__(self, config: VideoVAEConfig, attribute_values: int) -> None:
        super().__init__()
        self.config = config
        sizes = config.sizes
        code, hidden, units = sizes.code, sizes.hidden, sizes.units
        self.hidden_size = hidden
        bounds = (config.min_log_variance, config.max_log_variance)
        self.frame_posterior = GaussianHead(sizes.features, units, code, bounds)
        nn.init.constant_(self.frame_posterior.out.bias[code:], FIRST_LOG_VARIANCE)
        self.attribute_posterior = GaussianHead(2 * code + attribute_values, units, code, bounds)
        self.dynamic_posterior = GaussianHead(2 * code + hidden, units, code, bounds)
        self.prior_head = GaussianHead(hidden + attribute_values, units, code, bounds)
        if config.recurrence:
            self.recall = nn.Sequential(nn.Linear(hidden, units), nn.ReLU(inplace=True), nn.Linear(units, hidden))
            self.cell = nn.LSTMCell(3 * code, hidden)

    @property
    def like(self) -> Tensor:
        """Where the weights are, and as precise."""
        return self.prior_head.out.bias

    def start(self, batch: int) -> State:
        """The empty memory that every clip begins with."""
        nothing = self.like.new_zeros(batch, self.hidden_size)
        return State(nothing, nothing)

    def memory(self, state: State) -> Tensor:
        """g(h), (B, H): what the LSTM says of the past; nothing where there is none."""
        return self.recall(state.hidden) if self.config.recurrence else state.hidden

    def merge(self, frame: Gaussian, attributes: Tensor) -> Gaussian:
        """Eq. 2: the frame posterior, (..., D), with the attributes, (..., A)."""
        return self.attribute_posterior(torch.cat([frame.parameters, attributes], -1), frame)  # type: ignore[no-any-return]

    def posterior(self, merged: Gaussian, memory: Tensor) -> Gaussian:
        """Eq. 3: that, with the past: q(z_t | x_≤t, z_<t, a)."""
        return self.dynamic_posterior(torch.cat([merged.parameters, memory], -1), merged)  # type: ignore[no-any-return]

    def prior(self, memory: Tensor, attributes: Tensor) -> Gaussian:
        """Eq. 4: p(z_t | z_<t, a) from the past, (..., H), and the attributes, (..., A)."""
        past = memory if self.config.prior_sees_past else torch.zeros_like(memory)
        return self.prior_head(torch.cat([past, attributes], -1))  # type: ignore[no-any-return]

    def step(self, code: Tensor, frame: Gaussian, state: State) -> State:
        """Eq. 5: the LSTM takes the sample and the parameters of the frame posterior."""
        if not self.config.recurrence:
            return state
        return State(*self.cell(torch.cat([code, frame.parameters], -1), (state.hidden, state.cell)))

    def forward(self, features: Tensor, attributes: Tensor, noise: Tensor) -> Course:
        """Through a whole clip: features (B, T, F), attributes (B, T, A), noise (B, T, D)."""
        frame = self.frame_posterior(features)  # Eq. 1
        merged = self.merge(frame, attributes)
        state = self.start(len(features))
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
        prior = self.prior(torch.stack(memories, 1), attributes)  # of all frames at once: nothing waits for it
        return Course(torch.stack(codes, 1), Gaussian(means, log_variances), prior)
