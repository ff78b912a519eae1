"""A training step of VideoVAE at the paper's sizes, compared with the arrangement of the public attempt.

    python experiments/speed/videovae.py          # half a minute; adds a line to videovae.jsonl
    python experiments/speed/videovae.py small    # the other preset

The step is forward, bound, backward and Adam, with gradients into the encoder, on 8 clips of 10 frames of 64 x 64
pixels, with two threads. Two other steps alternate with it, on the same networks. One is the arrangement of the public
attempt: frame by frame, with an `nn.LSTM` of one step, and an encoder without gradient that also classifies every clip.
The other is encoder and decoder alone, forward and backward, which no arrangement of the rest can save. Results are
quartiles of wall-clock milliseconds, and the ratio pair by pair.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from zoo.benchmark.in_turn import time_in_turn
from zoo.benchmark.stats import quartiles
from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.losses.gaussian import free_bits, kl_divergence
from zoo.model import build
from zoo.models.videovae.model import VideoVAE
from zoo.models.videovae.networks import State
from zoo.runs.provenance import find_commit

RESULTS = Path(__file__).with_name("videovae.jsonl")

CLIPS, FRAMES, WARM_UP, ROUNDS = 8, 10, 3, 15


def build_steps(preset: str) -> dict[str, Callable[[], None]]:
    """The training step, the public attempt's, and encoder and decoder alone."""
    data = PuppetsConfig(frames=FRAMES, height=64, width=64, view="person", transitions=0.0)
    clips = PuppetClips(data, "train", frozenset({"attributes"}), seed=0)
    clip = default_collate([clips.clip(index, 0, FRAMES) for index in range(CLIPS)])
    model: VideoVAE = build({"name": "videovae", "preset": preset}, data.spec())  # type: ignore[assignment]
    public = deepcopy(model)
    model.to_channels_last()  # as training does
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    noise = torch.randn(CLIPS, FRAMES, model.config.code)

    def training_step() -> None:
        optimizer.zero_grad()
        losses, divergence = model.loss_terms(clip, noise)
        loss = losses["reconstruction"] + free_bits(divergence, 0.0) + losses["attributes"]
        loss.backward()
        optimizer.step()

    def convolutions() -> None:
        model.encoder.zero_grad()
        model.decoder.zero_grad()
        features = model.encoder(clip["video"].flatten(0, 1))
        (features.sum() + model.decoder(noise.flatten(0, 1)).sum()).backward()

    return {
        "training step": training_step,
        "frame by frame": frame_by_frame(public, clip["video"], noise),
        "encoder and decoder alone": convolutions,
    }


def frame_by_frame(model: VideoVAE, video: Tensor, noise: Tensor) -> Callable[[], None]:
    """A training step of the same networks in the public attempt's arrangement."""
    sizes, dynamics = model.config, model.dynamics
    lstm = nn.LSTM(3 * sizes.code, sizes.hidden)
    trained = [*dynamics.parameters(), *model.decoder.parameters(), *lstm.parameters()]
    optimizer = torch.optim.Adam(trained, 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with torch.no_grad():
            logits = model.heads(model.encode_frames(video))
        vector = torch.cat([row.softmax(-1) for row in logits.values()], -1)
        state = (torch.zeros(1, CLIPS, sizes.hidden), torch.zeros(1, CLIPS, sizes.hidden))
        loss = torch.zeros(())
        for t in range(FRAMES):
            with torch.no_grad():
                features = model.encoder(video[:, t])
            frame = dynamics.frame_posterior(features)
            memory = dynamics.memory(State(*(each[0] for each in state)))
            posterior = dynamics.posterior(dynamics.merge_attributes(frame, vector[:, t]), memory)
            code = posterior.sample(noise[:, t])
            _, state = lstm(torch.cat([code, frame.parameters], -1)[None], state)
            divergence = kl_divergence(posterior, dynamics.prior(memory, vector[:, t]))
            loss = loss + (model.decoder(code) - video[:, t]).abs().sum() + divergence.sum()
        (loss / CLIPS).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    torch.manual_seed(0)
    preset = sys.argv[1] if len(sys.argv) > 1 else "paper"
    steps = build_steps(preset)
    times = time_in_turn(steps, ROUNDS, WARM_UP)
    public, ours, convolutions = times["frame by frame"], times["training step"], times["encoder and decoder alone"]
    line = {
        "preset": preset,
        "release_ms": quartiles(public),
        "ours_ms": quartiles(ours),
        "ratio": quartiles([a / b for a, b in zip(public, ours, strict=True)]),
        "convolutions_ms": quartiles(convolutions),
        "commit": find_commit(),
    }
    print(json.dumps(line))
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
