"""A training step of VGAN at the paper's sizes, compared with the arrangement of the release.

    python experiments/speed/vgan.py          # minutes on an idle machine; adds a line to vgan.jsonl

The step trains both networks on 4 clips of 32 frames of 64 x 64 pixels, with batch norm in the discriminator, no
penalty and two threads. The other step has the same networks and weights in the release's arrangement: real clips and
a copy of the generated ones pass the discriminator forward and back one after another, down to their pixels, as Torch7
does; then the generator's gradient passes the discriminator once more. Both pairs of gradients are compared first.
Results are quartiles of wall-clock milliseconds, and the ratio pair by pair.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch
from torch import Tensor, nn

from zoo.benchmark.in_turn import time_in_turn
from zoo.benchmark.stats import quartiles
from zoo.models.vgan.config import VGANConfig
from zoo.models.vgan.losses import GENERATED, REAL, cross_entropy
from zoo.models.vgan.model import VGAN
from zoo.runs.provenance import find_commit
from zoo.types import ClipSpec

RESULTS = Path(__file__).with_name("vgan.jsonl")
CLIPS, ROUNDS = 4, 7
SPEC = ClipSpec(("video",), 32, 64, 64, 25.0)


def build_steps() -> dict[str, Callable[[], None]]:
    """Both training steps; raises AssertionError if their gradients differ."""
    torch.manual_seed(0)
    model = VGAN(VGANConfig(preset="paper"), SPEC)
    networks: tuple[nn.Module, nn.Module] = (model.generator, model.discriminator)
    real, noise = torch.rand(CLIPS, 32, 3, 64, 64) * 2 - 1, torch.randn(CLIPS, 100)

    def ours() -> None:
        for network, losses in zip(networks, model.losses_of(real, noise, penalised=False), strict=True):
            total = torch.stack(list(losses.values())).sum()
            keep = network is model.generator  # the discriminator's losses share its graph
            torch.autograd.backward(total, inputs=list(network.parameters()), retain_graph=keep)

    def release() -> None:
        pixels = real.clone().requires_grad_()
        torch.autograd.backward(cross_entropy(model.discriminator(pixels), REAL))
        clip = model.generator(noise)
        copy = clip.video.detach().requires_grad_()
        logits = model.discriminator(copy)
        torch.autograd.backward(cross_entropy(logits, GENERATED), retain_graph=True)
        (gradient,) = torch.autograd.grad(cross_entropy(logits, REAL), copy)
        torch.autograd.backward([clip.video, model.config.mask_weight * clip.mask.mean()], [gradient, None])

    def gradients(pass_back: Callable[[], None]) -> list[Tensor]:
        model.zero_grad()
        pass_back()
        return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    for one, other in zip(gradients(ours), gradients(release), strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-5)
    adams = {
        name: [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=name == "ours") for network in networks]
        for name in ("ours", "release")
    }

    def step(name: str, pass_back: Callable[[], None]) -> None:
        model.zero_grad()
        pass_back()
        for adam in adams[name]:
            adam.step()

    return {"ours": lambda: step("ours", ours), "release": lambda: step("release", release)}


if __name__ == "__main__":
    times = time_in_turn(build_steps(), ROUNDS)
    ratios = [a / b for a, b in zip(times["release"], times["ours"], strict=True)]
    line: dict[str, Any] = {f"{name}_ms": quartiles(values) for name, values in times.items()}
    line |= {"ratio": quartiles(ratios), "commit": find_commit()}
    print(json.dumps(line))
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
