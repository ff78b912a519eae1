"""vid2vid against the arrangement of its release, step by step in turn.

    python experiments/speed/vid2vid.py        # eight minutes on two idle cores; adds lines to vid2vid.jsonl
    python experiments/speed/vid2vid.py --device cuda    # larger pictures, too; adds lines to vid2vid-cuda.jsonl

The original's configuration: width 32, 12 labels, batch norm, 128 x 64 and 256 x 128 pixels, one clip a step, one
generated frame an optimizer step, two temporal scales, every loss but the perceptual one; two threads.

Ours is the real training, in Lightning. Before each of its steps the same clip goes through the same networks (copies
with the same first weights) as the release has it: labels as one-hot channels, a convolution for each head; D_I scores
the real picture, the detached picture and the picture for each of image and intermediate image, each D_V three times,
in passes of their own; every backward pass reaches all weights; an Adam each for G, D_I and every D_V, in PyTorch's
default form. That both do the same work is checked: losses of the first step agree, and so does a generated frame with
the release's arrangement in double precision (in single its grid_sample moves pixels of which the flow moves none).

Milliseconds a generated frame, quartiles over clips, and the ratio pair by pair.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch
import torch.nn.functional as F
from lightning import Callback, Trainer
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate

from zoo.benchmark.split import clock_of
from zoo.blocks.cpu_convolution import FewChannelConv2d, OneHotConv2d
from zoo.blocks.winograd import WinogradConv2d
from zoo.cli import hush_libraries
from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.losses.warping import flow_confidence
from zoo.model import build
from zoo.models.vid2vid.losses import temporal_groups, video_input
from zoo.models.vid2vid.model import Vid2Vid
from zoo.runs.provenance import commit
from zoo.types import ClipSpec, SampleRequest

RESULTS = {"cpu": "vid2vid.jsonl", "cuda": "vid2vid-cuda.jsonl"}

CLASSES, FRAMES, ROUNDS = 12, 10, 12
SIZES = {"cpu": ((64, 128), (128, 256)), "cuda": ((64, 128), (128, 256), (512, 1024))}
WARM_UP = {"cpu": 1, "cuda": 3}
MODEL = {
    "name": "vid2vid",
    "given": "labels",
    "instance_edges": False,
    "width": 32,
    "discriminator_width": 64,
    "norm_statistics": "batch",
    "pixel_weight": 0.0,
    "perceptual": "none",
    "frames_per_step": 1,
    "first_frame": "given",
    "lr": 2e-4,
    "discriminator_lr": 2e-4,
}


class Release:
    """The networks of a model, trained and sampled from as the release does it."""

    def __init__(self, model: Vid2Vid) -> None:
        copied = (
            deepcopy(part)
            for part in (model.generator, model.objective.image_discriminator, model.video_discriminators)
        )
        plain = [as_released(part) for part in copied]
        self.generator, self.image_discriminator, self.video_discriminators = plain
        parts = [self.generator, self.image_discriminator, *self.video_discriminators]
        self.optimizers = [torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999)) for part in parts]

    def step(self, clip: dict[str, Any], context: int) -> None:
        """Train on a clip, one generated frame after another."""
        film = list(clip["video"][:, :context].unbind(1))
        maps = one_hot(clip["labels"])
        for t in range(context, clip["video"].shape[1]):
            film = [frame.detach() for frame in film]
            image, raw, flow, mask = self.paint(maps, film, t)
            film.append(image)
            losses = self.losses(clip, maps, film, t, (image, raw, flow, mask))
            for part, optimizer in zip(losses.values(), self.optimizers, strict=False):
                optimizer.zero_grad()
                torch.stack(list(part.values())).sum().backward()
                optimizer.step()

    def paint(self, maps: Tensor, film: list[Tensor], t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The frame, the picture before it is blended, flow and mask."""
        scale = self.generator.scales[0]
        nothing = torch.zeros_like(maps[:, 0, :3])
        past = torch.cat([nothing, nothing, *film][-2:], 1)
        given = torch.cat([maps[:, max(i, 0)] for i in (t - 2, t - 1, t)], 1)
        code = scale.given_encoder(given) + scale.past_encoder(past)
        raw = scale.image_head(scale.image_decoder(code))
        features = scale.flow_decoder(code)
        flow, mask = 20 * scale.flow_head(features), scale.mask_head(features)
        return mask * raw + (1 - mask) * resample(past[:, -3:], flow), raw, flow, mask

    def losses(
        self, clip: dict[str, Any], maps: Tensor, film: list[Tensor], t: int, made: tuple[Tensor, ...]
    ) -> dict[str, dict[str, Tensor]]:
        """The losses of each network, all from the same weights."""
        image, raw, flow, _ = made
        real, before, reference = clip["video"][:, t], clip["video"][:, t - 1], clip["flow"][:, t - 1]
        generator: dict[str, Tensor] = {}
        discriminator: dict[str, dict[str, Tensor]] = {"image": {"d_image": image.new_zeros(())}}
        for name, picture in (("image", image), ("intermediate", raw)):
            given = maps[:, t]
            seen = (torch.cat([given, x], 1) for x in (real, picture.detach(), picture))
            gan, features, d_loss = adversarial_terms(self.image_discriminator, *seen)
            generator |= {f"g_{name}": gan, f"features_{name}": features}
            discriminator["image"]["d_image"] = discriminator["image"]["d_image"] + d_loss
        trust = flow_confidence(real, before, reference) * clip["visibility"][:, t - 1]
        generator["consistency"] = 10 * ((image - resample(film[-2], reference).detach()) * trust).abs().mean()
        generator["flow"] = 10 * ((flow - reference) * trust).abs().mean()
        generator["warp"] = 10 * ((resample(before, flow) - real) * trust).abs().mean()
        for scale, discriminator in enumerate(self.video_discriminators):
            if not (groups := temporal_groups(t + 1, 1, 3, scale)):
                continue
            detached = [frame.detach() for frame in film]
            seen = (video_input(frames, clip["flow"], groups) for frames in (clip["video"], detached, film))
            gan, features, d_loss = adversarial_terms(discriminator, *seen)
            generator |= {f"g_video{scale}": gan, f"features_video{scale}": features}
            discriminator[f"video{scale}"] = {f"d_video{scale}": d_loss}
        return {"generator": generator, **discriminator}

    @torch.no_grad()
    def sample(self, clip: dict[str, Any]) -> Tensor:
        """Paint every frame but the first, as the release tests: norms by the statistics of the picture at hand."""
        film, maps = [clip["video"][:, 0]], one_hot(clip["labels"]).to(clip["video"].dtype)
        for t in range(1, maps.shape[1]):
            film.append(self.paint(maps, film, t)[0])
        return torch.stack(film, 1)


def as_released(network: nn.Module) -> nn.Module:
    """With plain convolutions in the plain layout."""
    for layer in network.modules():
        if isinstance(layer, FewChannelConv2d | OneHotConv2d | WinogradConv2d):
            layer.__class__ = nn.Conv2d
    return network.to(memory_format=torch.contiguous_format)


def one_hot(labels: Tensor) -> Tensor:
    """(B, T, H, W) -> (B, T, C, H, W)."""
    B, T, H, W = labels.shape
    return torch.zeros(B, T, CLASSES, H, W, device=labels.device).scatter_(2, labels.unsqueeze(2), 1.0)


def resample(image: Tensor, flow: Tensor) -> Tensor:
    """The image at x + flow(x)."""
    N, _, H, W = image.shape
    x, y = (
        torch.linspace(-1, 1, W, device=flow.device, dtype=flow.dtype).view(1, 1, W).expand(N, H, W),
        torch.linspace(-1, 1, H, device=flow.device, dtype=flow.dtype).view(1, H, 1).expand(N, H, W),
    )
    grid = torch.stack([x + flow[:, 0] / ((W - 1) / 2), y + flow[:, 1] / ((H - 1) / 2)], -1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=True)


def adversarial_terms(
    discriminator: nn.Module, real: Tensor, detached: Tensor, fake: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The generator's adversarial loss and feature matching, and the discriminator's own loss: three passes."""
    of_real, of_detached, of_fake = (
        [features(stack, x) for stack, x in scales(discriminator, x)] for x in (real, detached, fake)
    )
    gan = sum(((maps[-1] - 1) ** 2).mean() for maps in of_fake)
    pairs = [zip(a[:-1], b[:-1], strict=True) for a, b in zip(of_fake, of_real, strict=True)]
    matching = sum((a - b.detach()).abs().mean() for maps in pairs for a, b in maps) / len(of_fake)
    halves = [((a[-1] - 1) ** 2).mean() + (b[-1] ** 2).mean() for a, b in zip(of_real, of_detached, strict=True)]
    return gan, 10 * matching, 0.5 * sum(halves)


def scales(discriminator: nn.Module, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """Each stack of a discriminator with what it sees: the picture, and the picture at half the size."""
    half = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    return list(zip(discriminator.discriminators, (x, half), strict=True))


def features(stack: nn.Module, x: Tensor) -> list[Tensor]:
    """The map behind every stage."""
    maps = []
    for stage in stack.stages:
        x = stage(x)
        maps.append(x)
    return maps


class InTurn(Callback):
    """Trains the release on each clip before ours is trained on it, and times both."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.times: list[list[float]] = []

    def on_train_batch_start(self, trainer: Trainer, model: Vid2Vid, clip: Any, batch_idx: int) -> None:
        """The release's turn."""
        context = model._draw_context()
        _, took = timed(partial(self.release.step, clip, context), model.device)
        self.times.append([took / (FRAMES - context)])
        self.context, self.began = context, time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, model: Vid2Vid, *_: Any) -> None:
        """Ours has had its turn."""
        clock_of(model.device).settle()
        self.times[-1].append(1000 * (time.perf_counter() - self.began) / (FRAMES - self.context))


def clips(height: int, width: int, number: int) -> tuple[ClipSpec, list[Any]]:
    """Batches of one clip of puppets; the last three of their 14 labels count as one."""
    data = PuppetsConfig(frames=FRAMES, height=height, width=width)
    spec = data.spec()
    there = PuppetClips(data, "train", frozenset({"video", "labels", "flow", "visibility"}), seed=0)
    made = [default_collate([there.clip(index, 0, FRAMES)]) for index in range(number)]
    for clip in made:
        clip["labels"].clamp_(max=CLASSES - 1)
    return replace(spec, label_names=spec.label_names[:CLASSES], foreground=()), made


def training(height: int, width: int, device: str) -> dict[str, Any]:
    """Training at one size."""
    spec, batches = clips(height, width, WARM_UP[device] + ROUNDS)
    model: Any = build(MODEL, spec).to(device)
    watch = InTurn(Release(model))
    trainer = Trainer(
        accelerator=device,
        devices=1,
        max_epochs=1,
        logger=False,
        callbacks=[watch],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    difference = losses_differ(model, watch.release, move_data_to_device(batches[0], model.device))
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return row("training", height, width, watch.times[WARM_UP[device] :], difference)


def losses_differ(model: Vid2Vid, release: Release, clip: Any) -> float:
    """The largest relative difference of a loss on the last frame of a clip, after real ones, from the same weights."""
    film = list(clip["video"][:, :-1].unbind(1))
    maps, t = one_hot(clip["labels"]), FRAMES - 1
    made = release.paint(maps, film, t)
    theirs = release.losses(clip, maps, [*film, made[0]], t, made)
    ours = model.chunk_losses(
        clip, model.generate_chunk(clip, [[frame] for frame in film], tuple(range(1, FRAMES + 1)), t)
    )
    mine, other = ours.generator | ours.discriminator, {name: x for part in theirs.values() for name, x in part.items()}
    assert mine.keys() == other.keys()
    return max(float((mine[name] - other[name]).abs() / other[name].abs()) for name in mine)


def sampling(height: int, width: int, device: str) -> dict[str, Any]:
    """Generation at one size, after one real frame."""
    spec, batches = clips(height, width, 2)
    model: Any = build(MODEL, spec).to(device)
    release = Release(model)
    exact = Release(deepcopy(model).double())
    model.for_sampling().eval()
    times: list[list[float]] = []
    for repetition in range(WARM_UP[device] + 2 * ROUNDS):
        clip = move_data_to_device(batches[repetition % 2], model.device)
        theirs, took = timed(partial(release.sample, clip), model.device)
        ours, too = timed(partial(model.sample, SampleRequest(FRAMES, clip, context=1)), model.device)
        times.append([took / (FRAMES - 1), too / (FRAMES - 1)])
    # Of the first frame: later, each feeds on what it made.
    truth = exact.sample({"video": clip["video"].double(), "labels": clip["labels"]})
    difference, theirs_too = (float((video - truth)[:, 1].abs().max()) for video in (ours.video, theirs))
    found = row("generation", height, width, times[WARM_UP[device] :], difference)
    return found | {"difference_of_release": theirs_too}


def timed(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What it makes, and its milliseconds, until the device has made it."""
    clock = clock_of(device)
    clock.settle()
    began = time.perf_counter()
    made = work()
    clock.settle()
    return made, 1000 * (time.perf_counter() - began)


def row(work: str, height: int, width: int, times: list[list[float]], difference: float) -> dict[str, Any]:
    """One line of the table."""
    release, ours = (quartiles([pair[i] for pair in times]) for i in (0, 1))
    ratio = quartiles([a / b for a, b in times])
    return {
        "work": work,
        "size": f"{width}x{height}",
        "release_ms": release,
        "ours_ms": ours,
        "ratio": ratio,
        "difference": difference,
    }


def quartiles(values: list[float]) -> list[float]:
    """The first, the median, the third."""
    return [round(float(q), 3) for q in torch.tensor(values).quantile(torch.tensor([0.25, 0.5, 0.75]))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=SIZES, default="cpu")
    device = parser.parse_args().device
    hush_libraries()
    for size in SIZES[device]:
        for measure in (training, sampling):
            torch.manual_seed(0)
            line = measure(*size, device) | {"commit": commit()}
            print(json.dumps(line), flush=True)
            with Path(__file__).with_name(RESULTS[device]).open("a") as file:
                file.write(json.dumps(line) + "\n")
