"""A training step of SVG-LP at the paper's sizes, compared with the arrangement of the release.

    python experiments/speed/svg.py          # a minute on an idle machine; adds a line to svg.jsonl

The step is forward, loss, backward and Adam, on 8 clips of 10 frames of 64 x 64 pixels in grey, 5 of them given, with
the backbone of DCGAN and two threads. The other step has the same networks and weights in the release's arrangement:
frame by frame, every inner frame encoded twice, skips concatenated before the convolution, a bias before every batch
norm, and one Adam for each network. Both losses are compared first. Results are quartiles of wall-clock milliseconds,
and the ratio pair by pair.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.benchmark.in_turn import time_in_turn
from zoo.benchmark.stats import quartiles
from zoo.losses.gaussian import kl_divergence
from zoo.models.svg.config import SVGConfig
from zoo.models.svg.model import SVG
from zoo.runs.provenance import find_commit
from zoo.types import Clip, ClipSpec

RESULTS = Path(__file__).with_name("svg.jsonl")
CLIPS, FRAMES, CONTEXT, ROUNDS = 8, 10, 5, 7
SPEC = ClipSpec(("video",), FRAMES, 64, 64, 10.0, channels=1)


class Block(nn.Module):
    """Convolution with bias, batch norm, activation."""

    def __init__(self, weights: list[Tensor], transposed: bool, stride: int, tanh: bool = False) -> None:
        super().__init__()
        weight = torch.cat(weights)  # the inputs of a transposed convolution are its first axis
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        channels = (weight.shape[0], weight.shape[1]) if transposed else (weight.shape[1], weight.shape[0])
        self.convolution = kind(*channels, 4, stride, stride // 2)
        with torch.no_grad():
            self.convolution.weight.copy_(weight)
            nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]
        self.norm, self.tanh = nn.BatchNorm2d(channels[1]), tanh

    def forward(self, x: Tensor) -> Tensor:
        """(N, Cin, H, W) -> (N, Cout, H', W')."""
        x = self.norm(self.convolution(x))
        return x.tanh() if self.tanh else F.leaky_relu(x, 0.2, inplace=True)


class ReleasedNetworks(nn.Module):
    """Encoder and decoder with the weights of a model, in the arrangement of the release."""

    def __init__(self, model: SVG) -> None:
        super().__init__()
        convolutions: list[Any] = [stage[0].convolution.weight for stage in model.encoder.stages]  # type: ignore[index]
        self.encoding = nn.ModuleList(Block([weight], False, 2) for weight in convolutions)
        self.head = Block([model.encoder.head.convolution.weight], False, 1, tanh=True)
        self.first = Block([model.decoder.first.convolution.weight], True, 1)
        skips: list[Any] = [level.weight for level in model.skip_projection.levels][::-1]
        inner: list[Any] = [level[0].convolution.weight for level in model.decoder.levels[:-1]]  # type: ignore[index]
        self.decoding = nn.ModuleList(Block(list(pair), True, 2) for pair in zip(inner, skips, strict=False))
        last = torch.cat([model.decoder.last.weight, skips[-1]])
        self.last = nn.ConvTranspose2d(len(last), 1, 4, 2, 1)
        with torch.no_grad():
            self.last.weight.copy_(last)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Code and skips of a frame, coarsest first."""
        skips = []
        for block in self.encoding:
            image = block(image)
            skips.append(image)
        return self.head(image).flatten(1), skips[::-1]

    def decode(self, code: Tensor, skips: list[Tensor]) -> Tensor:
        """The frame of a code."""
        x = self.first(code[..., None, None])
        for block, skip in zip(self.decoding, skips, strict=False):
            x = block(torch.cat([x, skip], 1))
        return self.last(torch.cat([x, skips[-1]], 1)).sigmoid()


def build_losses() -> tuple[SVG, ReleasedNetworks, Callable[[], Tensor], Callable[[], Tensor]]:
    """Model and released networks with the same weights, and the loss of each on the same clips and noise."""
    torch.manual_seed(0)
    model = SVG(SVGConfig(preset="paper", context=CONTEXT), SPEC)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
    released = ReleasedNetworks(model)
    video = torch.rand(CLIPS, FRAMES, 1, 64, 64)
    noise = torch.randn(CLIPS, FRAMES - 1, model.config.latent)
    clip: Clip = {"video": 2 * video - 1}  # type: ignore[typeddict-item]
    beta = model.config.beta

    def whole_clip() -> Tensor:
        terms = model.loss_terms(clip, noise)
        return terms["reconstruction"].sum() + beta * terms["kl"].sum()

    def frame_by_frame() -> Tensor:
        assert model.posterior is not None
        assert model.prior is not None
        loss, states = torch.zeros(()), [None, None, None]
        skips: list[Tensor] = []
        for i in range(1, FRAMES):
            code, fresh = released.encode(video[:, i - 1])
            target, _ = released.encode(video[:, i])
            skips = fresh if i < CONTEXT else skips
            q, states[0] = model.posterior(target[:, None], states[0])
            p, states[1] = model.prior(code[:, None], states[1])
            p.sample(noise[:, i - 1 : i])  # drawn, and not used
            z = q.sample(noise[:, i - 1 : i])
            predicted, states[2] = model.predictor(torch.cat([code[:, None], z], -1), states[2])
            frame = released.decode(predicted[:, 0], skips)
            loss = loss + F.mse_loss(frame, video[:, i]) + beta * kl_divergence(q, p).sum() / CLIPS
        return loss

    return model, released, whole_clip, frame_by_frame


def build_steps() -> dict[str, Callable[[], None]]:
    """Both training steps; raises AssertionError if their losses differ."""
    model, released, whole_clip, frame_by_frame = build_losses()
    assert torch.allclose(whole_clip(), frame_by_frame(), rtol=1e-4)
    recurrent: list[Any] = [model.predictor, model.posterior, model.prior]
    decoder: list[Any] = [released.first, released.decoding, released.last]
    groups: list[list[Any]] = [[released.encoding, released.head], decoder, *([network] for network in recurrent)]
    ours = [torch.optim.Adam(model.parameters(), 2e-3, fused=True)]
    theirs = [torch.optim.Adam([p for n in group for p in n.parameters()], 2e-3) for group in groups]

    def step(loss: Callable[[], Tensor], optimizers: list[torch.optim.Adam]) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()

    return {"ours": lambda: step(whole_clip, ours), "release": lambda: step(frame_by_frame, theirs)}


if __name__ == "__main__":
    times = time_in_turn(build_steps(), ROUNDS)
    ratios = [a / b for a, b in zip(times["release"], times["ours"], strict=True)]
    line: dict[str, Any] = {f"{name}_ms": quartiles(values) for name, values in times.items()}
    line |= {"ratio": quartiles(ratios), "commit": find_commit()}
    print(json.dumps(line))
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
