"""vid2vid: paint a video from label maps or edges, frame after frame (Wang et al. 2018, arXiv 1808.06601).

A generator sees L past frames and the maps of this frame and the L before; it warps what it can and paints the
rest. D_I judges frames with their map, D_V judges groups of K frames with the flow between them.

Shapes: B clips, T frames, C channels of the given map, H x W pixels, L past frames, K frames a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.errors import ZooError
from zoo.flow.warp import warp
from zoo.losses.adversarial import discriminator_loss, generator_loss
from zoo.losses.feature_matching import feature_matching
from zoo.losses.perceptual import PerceptualLoss, find_vgg19
from zoo.losses.warping import flow_confidence, flow_loss, masked_l1, warp_loss
from zoo.model import VideoModel, pieces
from zoo.models.vid2vid.config import CARD, Vid2VidConfig
from zoo.models.vid2vid.losses import longest_scale, temporal_groups, video_input
from zoo.models.vid2vid.networks import Painted, SequentialGenerator
from zoo.randomness import generator
from zoo.types import Clip, ClipSpec, Sample, SampleRequest


@dataclass(frozen=True)
class Chunk:
    """The frames ``start … stop-1`` of a clip, real and generated, that one optimizer step is made of.

    ``frames`` holds every frame up to ``stop``; those before ``start`` are detached. The other fields are of the
    chunk alone, each (B·n, ., H, W).
    """

    start: int
    stop: int
    frames: list[Tensor]
    given: Tensor
    real: Tensor
    generated: Tensor
    intermediate: Tensor
    flow: Tensor


class Vid2Vid(VideoModel[Vid2VidConfig]):
    """The sequential generator with its conditional image and video discriminators."""

    card = CARD

    def __init__(self, config: Vid2VidConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        self.source: str = self._choose_source()
        channels = len(spec.label_names) if self.source == "labels" else spec.condition_channels
        self.generator = SequentialGenerator(
            channels, config.past_frames, config.width, config.downsamplings, config.blocks, config.norm
        )

        def discriminator(channels: int) -> MultiScaleDiscriminator:
            return MultiScaleDiscriminator(
                channels,
                config.discriminator_width,
                config.discriminator_layers,
                config.discriminator_scales,
                config.norm,
            )

        self.image_discriminator = discriminator(channels + 3)
        scales = min(config.temporal_scales, longest_scale(spec.frames, config.video_frames))
        group_channels = 3 * config.video_frames + 2 * (config.video_frames - 1)
        self.video_discriminators = nn.ModuleList(discriminator(group_channels) for _ in range(scales))
        self.perceptual = self._find_perceptual()

    def _choose_source(self) -> str:
        wanted, fields = self.config.given, self.spec.fields
        if wanted == "auto":
            return "condition" if "condition" in fields else "labels"
        if wanted not in fields:
            raise ZooError(
                f"model.given={wanted}, but the data set provides {', '.join(fields)}. Try: model.given=auto"
            )
        return wanted

    def _find_perceptual(self) -> PerceptualLoss | None:
        weights = find_vgg19(self.config.vgg19) if self.config.perceptual_weight else None
        return PerceptualLoss(weights) if weights else None

    def notes(self) -> list[str]:
        """What could not be had here."""
        notes = []
        if self.config.perceptual_weight and self.perceptual is None:
            notes.append(
                "The perceptual loss is off: no VGG-19 weights here. To have it, put vgg19-dcbb9e9d.pth into "
                f"{torch.hub.get_dir()}/checkpoints or type model.vgg19=<file>."
            )
        if len(self.video_discriminators) < self.config.temporal_scales:
            notes.append(
                f"D_V works at {len(self.video_discriminators)} of {self.config.temporal_scales} temporal scales: "
                f"a clip of {self.spec.frames} frames is too short for the others."
            )
        return notes

    def ema_parts(self) -> dict[str, nn.Module]:
        """The generator alone is sampled from."""
        return {"generator": self.generator}

    # ---------------------------------------------------------------- training

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the generator, Adam for the discriminators; their losses share no parameter."""
        discriminators = [*self.image_discriminator.parameters(), *self.video_discriminators.parameters()]
        betas = (self.config.beta1, self.config.beta2)
        return [
            torch.optim.Adam(self.generator.parameters(), self.config.lr, betas),
            torch.optim.Adam(discriminators, self.config.discriminator_lr, betas),
        ]

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Generate the clip chunk by chunk; after each, one step of the generator and one of the judges (eq. 5)."""
        self._set_learning_rate()
        given = self.encode(clip)
        start = self._context()
        frames = list(clip["video"][:, :start].unbind(1))
        parts: dict[str, list[Tensor]] = {}
        for begin in range(start, clip["video"].shape[1], self.config.frames_per_step):
            stop = min(begin + self.config.frames_per_step, clip["video"].shape[1])
            chunk = self._generate_chunk(clip, given, frames, begin, stop)
            losses = self._step(0, partial(self.generator_losses, clip, chunk))
            losses |= self._step(1, partial(self.judge_losses, clip, chunk))
            for name, value in losses.items():
                parts.setdefault(name, []).append(value.detach())
            frames = [frame.detach() for frame in chunk.frames]
        self.log_losses({name: torch.stack(values).mean() for name, values in parts.items()})

    def _set_learning_rate(self) -> None:
        """Constant in the first half of the budget, then linearly to zero."""
        factor = min(1.0, 2.0 * (1.0 - self.progress))
        rates = (self.config.lr, self.config.discriminator_lr)
        for optimizer, rate in zip(self.trainer.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = factor * rate

    def _context(self) -> int:
        """How many real frames this step starts from: 0 in a share of the steps, else 1 to L."""
        draw = generator(self.seed, self.clips_seen)
        if torch.rand((), generator=draw) < self.config.generated_start:
            return 0
        return int(torch.randint(1, self.config.past_frames + 1, (), generator=draw))

    def _generate_chunk(self, clip: Clip, given: Tensor, frames: list[Tensor], start: int, stop: int) -> Chunk:
        painted: list[Painted] = []
        frames = list(frames)
        for t in range(start, stop):
            if (t - start) % self.config.backprop_frames == 0:  # truncated backpropagation through the past
                past = [frame.detach() for frame in frames]
            painted.append(self.paint(given, past, t))
            frames.append(painted[-1].frame)
            past.append(painted[-1].frame)

        def fold(images: list[Tensor]) -> Tensor:
            return rearrange(images, "n b c h w -> (b n) c h w")

        return Chunk(
            start,
            stop,
            frames,
            given=rearrange(given[:, start:stop], "b n c h w -> (b n) c h w"),
            real=rearrange(clip["video"][:, start:stop], "b n c h w -> (b n) c h w"),
            generated=fold([p.frame for p in painted]),
            intermediate=fold([p.intermediate for p in painted]),
            flow=fold([p.flow for p in painted]),
        )

    def _step(self, number: int, objective: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """One step of one optimizer; the parameters of the other get no gradient."""
        optimizer = cast("list[LightningOptimizer]", self.optimizers())[number]
        self.toggle_optimizer(optimizer)
        losses = objective()
        optimizer.zero_grad()
        self.manual_backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        return losses

    # ---------------------------------------------------------------- the objective

    def generator_losses(self, clip: Clip, chunk: Chunk) -> dict[str, Tensor]:
        """Every part of the generator's side of eq. 5, weighted."""
        return self.image_losses(chunk) | self.video_losses(clip, chunk) | self.flow_losses(clip, chunk)

    def image_losses(self, chunk: Chunk) -> dict[str, Tensor]:
        """L_I of eq. 6 for the generator, with feature and perceptual matching; the intermediate image counts too."""
        with torch.no_grad():
            real = self.image_discriminator(torch.cat([chunk.given, chunk.real], 1))
        losses = {}
        for name, image in (("image", chunk.generated), ("intermediate", chunk.intermediate)):
            fake = self.image_discriminator(torch.cat([chunk.given, image], 1))
            losses[f"gan_{name}"] = generator_loss(scores(fake), self.config.objective)
            losses[f"features_{name}"] = self.config.feature_weight * feature_matching(fake, real)
            losses[f"pixels_{name}"] = self.config.pixel_weight * F.l1_loss(image, chunk.real)
            if self.perceptual is not None:
                losses[f"perceptual_{name}"] = self.config.perceptual_weight * self.perceptual(image, chunk.real)
        return losses

    def video_losses(self, clip: Clip, chunk: Chunk) -> dict[str, Tensor]:
        """L_V of eq. 7 for the generator, with feature matching, at each temporal scale that the clip fills so far."""
        losses = {}
        for scale, judge, groups in self._temporal_scales(chunk):
            with torch.no_grad():
                real = judge(video_input(clip["video"], clip["flow"], groups))
            fake = judge(video_input(chunk.frames, clip["flow"], groups))
            losses[f"gan_video{scale}"] = generator_loss(scores(fake), self.config.objective)
            losses[f"features_video{scale}"] = self.config.feature_weight * feature_matching(fake, real)
        return losses

    def flow_losses(self, clip: Clip, chunk: Chunk) -> dict[str, Tensor]:
        """L_W of eq. 8, and that a generated frame agrees with the warped one before, where flow is trusted."""
        start = max(chunk.start, 1)  # the first frame of a clip has none before it
        if start == chunk.stop:
            return {}

        def pairs(images: Tensor) -> Tensor:
            return rearrange(images, "(b n) c h w -> b n c h w", n=chunk.stop - chunk.start)[:, start - chunk.start :]

        previous, current = clip["video"][:, start - 1 : chunk.stop - 1], clip["video"][:, start : chunk.stop]
        reference = clip["flow"][:, start - 1 : chunk.stop - 1]
        trust = flow_confidence(current, previous, reference)
        if "visibility" in clip:
            trust = trust * clip["visibility"][:, start - 1 : chunk.stop - 1]
        before = torch.stack(chunk.frames[start - 1 : chunk.stop - 1], 1).detach()
        weight = self.config.flow_weight
        return {
            "flow": weight * flow_loss(pairs(chunk.flow), reference, trust),
            "warp": weight * warp_loss(previous, current, pairs(chunk.flow), trust),
            "consistency": weight * masked_l1(pairs(chunk.generated), warp(before, reference), trust),
        }

    def judge_losses(self, clip: Clip, chunk: Chunk) -> dict[str, Tensor]:
        """L_I and L_V for the discriminators, each the mean of its real and its generated half."""

        def halves(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
            return 0.5 * discriminator_loss(scores(real), scores(fake), self.config.objective)

        real, image, intermediate = (
            self.image_discriminator(torch.cat([chunk.given, picture.detach()], 1))
            for picture in (chunk.real, chunk.generated, chunk.intermediate)
        )
        losses = {"judge_image": halves(real, image) + halves(real, intermediate)}
        for scale, judge, groups in self._temporal_scales(chunk):
            fake_frames = [frame.detach() for frame in chunk.frames]
            real = judge(video_input(clip["video"], clip["flow"], groups))
            fake = judge(video_input(fake_frames, clip["flow"], groups))
            losses[f"judge_video{scale}"] = halves(real, fake)
        return losses

    def _temporal_scales(self, chunk: Chunk) -> Iterator[tuple[int, nn.Module, list[list[int]]]]:
        for scale, judge in enumerate(self.video_discriminators):
            groups = temporal_groups(chunk.stop, chunk.stop - chunk.start, self.config.video_frames, scale)
            if groups:
                yield scale, judge, groups

    # ---------------------------------------------------------------- sampling

    def encode(self, clip: Clip) -> Tensor:
        """The given map of every frame: one-hot labels or the dense condition, (B, T, C, H, W)."""
        if self.source == "condition":
            return clip["condition"]
        one_hot = F.one_hot(clip["labels"], len(self.spec.label_names))
        return rearrange(one_hot, "b t h w c -> b t c h w").to(self.dtype)

    def paint(self, given: Tensor, past: list[Tensor], t: int) -> Painted:
        """Frame t from the maps (B, T, C, H, W) and the frames before it, the latest last.

        Before the clip begins the first map is repeated, and the frames are black-to-be: zeros.
        """
        length = self.config.past_frames
        maps = [given[:, max(i, 0)] for i in range(t - length, t + 1)]
        missing = [torch.zeros_like(maps[0][:, :1]).expand(-1, 3, -1, -1)] * max(length - len(past), 0)
        history = torch.cat(missing + past[-length:], 1)
        return self.generator(torch.cat(maps, 1), history, warps=len(past) > 0)  # type: ignore[no-any-return]

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Frame after frame at constant memory; the first ``context`` frames are the given ones."""
        length = self.config.past_frames
        maps: list[Tensor] = []
        past: list[Tensor] = []
        made = 0
        for piece in pieces(request.given):
            given = self.encode(piece)
            for t in range(given.shape[1]):
                maps = [*maps, given[:, t]][-length - 1 :]
                if made < request.context:
                    sample = self._copy(piece["video"][:, t])
                else:
                    painted = self.paint(torch.stack(maps, 1), past, len(maps) - 1)
                    sample = Sample(painted.frame, {"intermediate": painted.intermediate, "mask": painted.mask})
                past = [*past, sample.video][-length:]
                made += 1
                yield sample
                if made == request.frames:
                    return
        raise ZooError(
            f"{request.frames} frames were asked for, but what is given has {made}. Give more, or type frames={made}."
        )

    @staticmethod
    def _copy(frame: Tensor) -> Sample:
        return Sample(frame, {"intermediate": frame, "mask": torch.zeros_like(frame[:, :1])})


def scores(maps: list[list[Tensor]]) -> list[Tensor]:
    """The last map of every scale: the score of each patch."""
    return [scale[-1] for scale in maps]
