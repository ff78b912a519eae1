"""Speed of vid2vid compared with the arrangement of its release, in alternating steps.

    python experiments/speed/vid2vid.py                  # eight minutes on two idle cores; adds lines to vid2vid.jsonl
    python experiments/speed/vid2vid.py --device cuda    # with larger frames, too; adds lines to vid2vid-cuda.jsonl

The original's configuration: width 32, 12 labels, batch norm, 128 x 64 and 256 x 128 pixels, one clip per step, one
generated frame per optimizer step, two temporal scales, every loss but the perceptual one; two threads.

Ours is the real training, in Lightning. Before each of its steps, the release's arrangement is trained on the same clip
with copies of the same networks and initial weights. In that arrangement, labels are one-hot channels, and each head is
a convolution of its own. For the image and for the intermediate image, D_I scores the real, the detached and the
generated image in three separate passes; so does each D_V for its frames. Every backward pass reaches all weights. G,
D_I and every D_V have an Adam each, in PyTorch's default implementation. The script checks that both do the same work:
the losses of the first step agree, and so does a generated frame with that of the release's arrangement in double
precision (in single precision, its grid_sample shifts pixels even where the flow is zero).

Results are milliseconds per generated frame, quartiles over clips, and the ratio pair by pair.
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

from zoo.benchmark.stats import quartiles
from zoo.benchmark.step_profiler import build_timer
from zoo.blocks.cpu_convolution import FewChannelConv2d, OneHotConv2d
from zoo.blocks.winograd import WinogradConv2d
from zoo.cli import hush_libraries
from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.losses.warping import flow_confidence
from zoo.model import build
from zoo.models.vid2vid.losses import temporal_groups, video_input
from zoo.models.vid2vid.model import Vid2Vid
from zoo.runs.provenance import find_commit
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
    """Copies of a model's networks, with the training and sampling of the release."""

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
        frames = list(clip["video"][:, :context].unbind(1))
        maps = one_hot(clip["labels"])
        for t in range(context, clip["video"].shape[1]):
            frames = [frame.detach() for frame in frames]
            image, intermediate, flow, mask = self.generate(maps, frames, t)
            frames.append(image)
            losses = self.losses(clip, maps, frames, t, (image, intermediate, flow, mask))
            for part, optimizer in zip(losses.values(), self.optimizers, strict=False):
                optimizer.zero_grad()
                torch.stack(list(part.values())).sum().backward()
                optimizer.step()

    def generate(self, maps: Tensor, frames: list[Tensor], t: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frame t, the intermediate image before blending, the flow and the mask."""
        scale = self.generator.scales[0]
        blank = torch.zeros_like(maps[:, 0, :3])
        past = torch.cat([blank, blank, *frames][-2:], 1)
        given = torch.cat([maps[:, max(i, 0)] for i in (t - 2, t - 1, t)], 1)
        code = scale.given_encoder(given) + scale.past_encoder(past)
        intermediate = scale.image_head(scale.image_decoder(code))
        features = scale.flow_decoder(code)
        flow, mask = 20 * scale.flow_head(features), scale.mask_head(features)
        return mask * intermediate + (1 - mask) * resample(past[:, -3:], flow), intermediate, flow, mask

    def losses(
        self, clip: dict[str, Any], maps: Tensor, frames: list[Tensor], t: int, outputs: tuple[Tensor, ...]
    ) -> dict[str, dict[str, Tensor]]:
        """The losses of each network, all computed with the same weights."""
        image, intermediate, flow, _ = outputs
        real, before, reference = clip["video"][:, t], clip["video"][:, t - 1], clip["flow"][:, t - 1]
        generator: dict[str, Tensor] = {}
        discriminators: dict[str, dict[str, Tensor]] = {"image": {"d_image": image.new_zeros(())}}
        for name, generated in (("image", image), ("intermediate", intermediate)):
            given = maps[:, t]
            inputs = (torch.cat([given, x], 1) for x in (real, generated.detach(), generated))
            gan, features, d_loss = adversarial_terms(self.image_discriminator, *inputs)
            generator |= {f"g_{name}": gan, f"features_{name}": features}
            discriminators["image"]["d_image"] = discriminators["image"]["d_image"] + d_loss
        confidence = flow_confidence(real, before, reference) * clip["visibility"][:, t - 1]
        generator["consistency"] = 10 * ((image - resample(frames[-2], reference).detach()) * confidence).abs().mean()
        generator["flow"] = 10 * ((flow - reference) * confidence).abs().mean()
        generator["warp"] = 10 * ((resample(before, flow) - real) * confidence).abs().mean()
        for scale, discriminator in enumerate(self.video_discriminators):
            if not (groups := temporal_groups(t + 1, 1, 3, scale)):
                continue
            detached = [frame.detach() for frame in frames]
            inputs = (video_input(video, clip["flow"], groups) for video in (clip["video"], detached, frames))
            gan, features, d_loss = adversarial_terms(discriminator, *inputs)
            generator |= {f"g_video{scale}": gan, f"features_video{scale}": features}
            discriminators[f"video{scale}"] = {f"d_video{scale}": d_loss}
        return {"generator": generator, **discriminators}

    @torch.no_grad()
    def sample(self, clip: dict[str, Any]) -> Tensor:
        """Generate every frame but the first, normalised by the statistics of the current image as in the release."""
        frames, maps = [clip["video"][:, 0]], one_hot(clip["labels"]).to(clip["video"].dtype)
        for t in range(1, maps.shape[1]):
            frames.append(self.generate(maps, frames, t)[0])
        return torch.stack(frames, 1)


def as_released(network: nn.Module) -> nn.Module:
    """Replace the specialised layers by plain convolutions, in contiguous memory format."""
    for layer in network.modules():
        if isinstance(layer, FewChannelConv2d | OneHotConv2d | WinogradConv2d):
            layer.__class__ = nn.Conv2d
    return network.to(memory_format=torch.contiguous_format)


def one_hot(labels: Tensor) -> Tensor:
    """Labels (B, T, H, W) as one-hot channels (B, T, C, H, W)."""
    B, T, H, W = labels.shape
    return torch.zeros(B, T, CLASSES, H, W, device=labels.device).scatter_(2, labels.unsqueeze(2), 1.0)


def resample(image: Tensor, flow: Tensor) -> Tensor:
    """The image sampled at x + flow(x)."""
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
    """The generator's adversarial loss and feature matching, and the discriminator's loss, from three passes."""
    on_real, on_detached, on_fake = (
        [features(stack, x) for stack, x in scales(discriminator, x)] for x in (real, detached, fake)
    )
    gan = sum(((maps[-1] - 1) ** 2).mean() for maps in on_fake)
    pairs = [zip(a[:-1], b[:-1], strict=True) for a, b in zip(on_fake, on_real, strict=True)]
    matching = sum((a - b.detach()).abs().mean() for maps in pairs for a, b in maps) / len(on_fake)
    d_losses = [((a[-1] - 1) ** 2).mean() + (b[-1] ** 2).mean() for a, b in zip(on_real, on_detached, strict=True)]
    return gan, 10 * matching, 0.5 * sum(d_losses)


def scales(discriminator: nn.Module, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """Each stack of a discriminator with its input: the image, and the image at half the size."""
    half = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    return list(zip(discriminator.discriminators, (x, half), strict=True))


def features(stack: nn.Module, x: Tensor) -> list[Tensor]:
    """The feature map after every stage."""
    maps = []
    for stage in stack.stages:
        x = stage(x)
        maps.append(x)
    return maps


class Interleaved(Callback):
    """Trains the release on each clip before ours is trained on it, and times both."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.times: list[list[float]] = []

    def on_train_batch_start(self, trainer: Trainer, model: Vid2Vid, clip: Any, batch_idx: int) -> None:
        """Train the release, and start the clock for ours."""
        context = model._draw_context()
        _, milliseconds = timed(partial(self.release.step, clip, context), model.device)
        self.times.append([milliseconds / (FRAMES - context)])
        self.context, self.start = context, time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, model: Vid2Vid, *_: Any) -> None:
        """Stop the clock for ours."""
        build_timer(model.device).settle()
        self.times[-1].append(1000 * (time.perf_counter() - self.start) / (FRAMES - self.context))


def clips(height: int, width: int, number: int) -> tuple[ClipSpec, list[Any]]:
    """Batches of one clip of puppets; the last three of their 14 labels are merged into one."""
    data = PuppetsConfig(frames=FRAMES, height=height, width=width)
    spec = data.spec()
    puppets = PuppetClips(data, "train", frozenset({"video", "labels", "flow", "visibility"}), seed=0)
    batches = [default_collate([puppets.clip(index, 0, FRAMES)]) for index in range(number)]
    for clip in batches:
        clip["labels"].clamp_(max=CLASSES - 1)
    return replace(spec, label_names=spec.label_names[:CLASSES], foreground=()), batches


def training(height: int, width: int, device: str) -> dict[str, Any]:
    """Time training at one size."""
    spec, batches = clips(height, width, WARM_UP[device] + ROUNDS)
    model: Any = build(MODEL, spec).to(device)
    interleaved = Interleaved(Release(model))
    trainer = Trainer(
        accelerator=device,
        devices=1,
        max_epochs=1,
        logger=False,
        callbacks=[interleaved],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    difference = loss_difference(model, interleaved.release, move_data_to_device(batches[0], model.device))
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return row("training", height, width, interleaved.times[WARM_UP[device] :], difference)


def loss_difference(model: Vid2Vid, release: Release, clip: Any) -> float:
    """The largest relative difference of a loss on the last frame of a clip, after real frames, with equal weights."""
    frames = list(clip["video"][:, :-1].unbind(1))
    maps, t = one_hot(clip["labels"]), FRAMES - 1
    outputs = release.generate(maps, frames, t)
    theirs = release.losses(clip, maps, [*frames, outputs[0]], t, outputs)
    ours = model.chunk_losses(
        clip, model.generate_chunk(clip, [[frame] for frame in frames], tuple(range(1, FRAMES + 1)), t)
    )
    own = ours.generator | ours.discriminator
    released = {name: loss for part in theirs.values() for name, loss in part.items()}
    assert own.keys() == released.keys()
    return max(float((own[name] - released[name]).abs() / released[name].abs()) for name in own)


def sampling(height: int, width: int, device: str) -> dict[str, Any]:
    """Time sampling at one size, after one real frame."""
    spec, batches = clips(height, width, 2)
    model: Any = build(MODEL, spec).to(device)
    release = Release(model)
    exact = Release(deepcopy(model).double())
    model.for_sampling().eval()
    times: list[list[float]] = []
    for repetition in range(WARM_UP[device] + 2 * ROUNDS):
        clip = move_data_to_device(batches[repetition % 2], model.device)
        theirs, release_ms = timed(partial(release.sample, clip), model.device)
        ours, ours_ms = timed(partial(model.sample, SampleRequest(FRAMES, clip, context=1)), model.device)
        times.append([release_ms / (FRAMES - 1), ours_ms / (FRAMES - 1)])
    # Only the first generated frame is compared: later ones depend on earlier output and drift apart.
    reference = exact.sample({"video": clip["video"].double(), "labels": clip["labels"]})
    difference, difference_of_release = (float((video - reference)[:, 1].abs().max()) for video in (ours.video, theirs))
    result = row("generation", height, width, times[WARM_UP[device] :], difference)
    return result | {"difference_of_release": difference_of_release}


def timed(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """The result of ``work``, and the milliseconds until the device has computed it."""
    clock = build_timer(device)
    clock.settle()
    start = time.perf_counter()
    result = work()
    clock.settle()
    return result, 1000 * (time.perf_counter() - start)


def row(work: str, height: int, width: int, times: list[list[float]], difference: float) -> dict[str, Any]:
    """One line of results."""
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=SIZES, default="cpu")
    device = parser.parse_args().device
    hush_libraries()
    for size in SIZES[device]:
        for measure in (training, sampling):
            torch.manual_seed(0)
            line = measure(*size, device) | {"commit": find_commit()}
            print(json.dumps(line), flush=True)
            with Path(__file__).with_name(RESULTS[device]).open("a") as file:
                file.write(json.dumps(line) + "\n")
