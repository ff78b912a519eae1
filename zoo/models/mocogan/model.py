"""MoCoGAN (Tulyakov et al., CVPR 2018): a clip has one code for its content, and every frame one for its motion.

The motion codes are the states of a GRU that gets noise in every frame. The image generator makes each frame from its
code alone. One discriminator sees images, another one clips. Each step trains the discriminator of images, then that of
videos, then the generator, as the release does, each on clips that are generated for it.

Shapes: B clips, N clips or images, T frames, C channels, H x W pixels, M entries of a motion code, Z entries of a whole
code, K categories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.attributes import clip_label, cross_entropy
from zoo.blocks.noise import sample_noise
from zoo.blocks.requested_attributes import RequestedAttributes, frame_labels
from zoo.losses.adversarial import discriminator_loss, generator_loss
from zoo.losses.gradient_penalty import r1_penalty
from zoo.model import VideoModel, name_samples
from zoo.models.mocogan.codes import CodeNoise, clip_codes, frame_codes
from zoo.models.mocogan.config import CARD, MoCoGANConfig
from zoo.models.mocogan.networks import (
    Discriminator,
    DiscriminatorOutput,
    DiscriminatorPlan,
    ImageGenerator,
    MotionNetwork,
)
from zoo.types import Clip, ClipSpec, Sample, SampleRequest, sample_name

OBJECTIVE = "original"
"""Cross-entropy, non-saturating for the generator."""


class MoCoGAN(VideoModel[MoCoGANConfig]):
    """Generates from nothing, or from a category."""

    card = CARD
    optimizer_names = ("image_discriminator", "video_discriminator", "generator")

    def __init__(self, config: MoCoGANConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        self.category_values = config.category_values(spec)
        self.categories = sum(map(len, self.category_values.values()))
        code = config.content + self.categories + config.motion
        self.motion_network = MotionNetwork(config.motion)
        self.image_generator = ImageGenerator(code, config.width, spec.channels, (spec.height, spec.width))
        plan = DiscriminatorPlan(
            *(spec.channels, spec.height, spec.width, None, config.discriminator_width),
            norm=config.discriminator_norm == "batch",
            noise=config.noise,
        )
        self.image_discriminator = Discriminator(plan._replace(patch=config.image_discriminator == "patch"))
        self.video_discriminator = Discriminator(
            plan._replace(
                frames=spec.frames,
                patch=config.video_discriminator == "patch",
                categories=self.categories if config.classifies else 0,
            )
        )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The attributes, if the category is one of them."""
        return ("attributes",) if self.config.category is not None else ()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each of ``optimizer_names``."""
        config = self.config
        generator = chain(self.motion_network.parameters(), self.image_generator.parameters())
        groups = (self.image_discriminator.parameters(), self.video_discriminator.parameters(), generator)
        return [self.adam(group, config.lr, (config.beta1, config.beta2), config.weight_decay) for group in groups]

    def ema_parts(self) -> dict[str, nn.Module]:
        """What sampling uses."""
        return {"motion_network": self.motion_network, "image_generator": self.image_generator}

    def compiled_networks(self) -> list[nn.Module]:
        """With a gradient penalty, not the discriminators: PyTorch cannot differentiate a compiled network twice."""
        return [self.motion_network, self.image_generator] if self.config.r1 else self.networks()

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Step both discriminators, each on clips of its own, then the generator on others."""
        images = len(clip["video"]) * self.config.images
        with torch.no_grad():
            generated = self.generate_images(self.noise(clip, "d_image", images), self.frame_numbers(clip, "d_image"))
        losses = self.image_discriminator_losses(self.random_frames(clip, "real images", images), generated)
        self.step("image_discriminator", losses)

        noise = self.noise(clip, "d_video")
        with torch.no_grad():
            generated = self.generate_videos(noise)
        video_losses = self.video_discriminator_losses(clip, generated, noise.category)
        self.step("video_discriminator", video_losses)

        noise = self.noise(clip, "g_video")
        generated_images = self.generate_images(
            self.noise(clip, "g_image", images), self.frame_numbers(clip, "g_image")
        )
        generator_losses = self.generator_losses(generated_images, self.generate_videos(noise), noise.category)
        self.step("generator", generator_losses)
        self.log_losses(losses | video_losses | generator_losses)

    def noise(self, clip: Clip, stream: str, number: int | None = None) -> CodeNoise:
        """Noise of N generated clips as long as the real ones. stream: each use has its own. number: N; None: B."""
        frames, content, motion = clip["video"].shape[1], self.config.content, self.config.motion
        sizes = [content, motion, frames * motion]
        noise = self.per_sample_noise(clip, lambda source: torch.randn(sum(sizes), generator=source), stream, number)
        codes, start, steps = torch.split(noise, sizes, -1)
        return CodeNoise(codes, self._categories(clip, stream, number), start, steps.view(-1, frames, motion))

    def _categories(self, clip: Clip, stream: str, number: int | None) -> Tensor | None:
        """Random categories, (N,) int64."""
        if not self.categories:
            return None
        return self.per_sample_noise(
            clip, lambda source: torch.randint(self.categories, (), generator=source), f"{stream}.category", number
        )

    def frame_numbers(self, clip: Clip, stream: str) -> Tensor:
        """A random frame for every generated image, (N,) int64."""
        frames, number = clip["video"].shape[1], len(clip["video"]) * self.config.images
        return self.per_sample_noise(
            clip, lambda source: torch.randint(frames, (), generator=source), f"{stream}.frame", number
        )

    def generate_videos(self, noise: CodeNoise) -> Tensor:
        """Generate clips, (N, T, C, H, W)."""
        codes = clip_codes(noise, self.categories, self.motion_network)
        return self.image_generator(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])

    def generate_images(self, noise: CodeNoise, frames: Tensor) -> Tensor:
        """Generate one frame of each of N clips: frame numbers (N,) -> images (N, C, H, W)."""
        codes = clip_codes(noise, self.categories, self.motion_network)
        return self.image_generator(codes[torch.arange(len(codes), device=codes.device), frames])

    def image_discriminator_losses(self, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Losses of the discriminator of images; real, generated: (N, C, H, W)."""
        losses, _, _ = self._discriminator_losses("d_image", self.image_discriminator, real, generated)
        return losses

    def video_discriminator_losses(self, clip: Clip, generated: Tensor, category: Tensor | None) -> dict[str, Tensor]:
        """Losses of the discriminator of videos; generated: (N, T, C, H, W), category: its categories, (N,).

        It learns the categories from the labels of the real clips. Without labels it learns those of the generated
        clips, as InfoGAN does (Chen et al., arXiv 1606.03657, eq. 6); the release does not train them then.
        """
        losses, real_output, fake_output = self._discriminator_losses(
            "d_video", self.video_discriminator, clip["video"], generated
        )
        if self.config.category is not None:
            assert real_output.logits is not None
            losses["d_category"] = cross_entropy(real_output.logits, self._labels(clip))
        elif fake_output.logits is not None and category is not None:
            losses["d_category"] = cross_entropy(fake_output.logits, category)
        return losses

    def _labels(self, clip: Clip) -> Tensor:
        """Categories of real clips, (B,); unknown where there is no label, or not the same one in all frames."""
        assert self.config.category is not None
        return clip_label(clip["attributes"][self.config.category])

    def _discriminator_losses(
        self, name: str, network: Discriminator, real: Tensor, generated: Tensor
    ) -> tuple[dict[str, Tensor], DiscriminatorOutput, DiscriminatorOutput]:
        """Adversarial loss and penalty, and what the network says of real and of generated ones."""
        config = self.config
        penalised = config.r1 > 0 and self.every(config.r1_every)
        if penalised:
            real = real.detach().requires_grad_()
        outputs = network(real), network(generated)
        losses = {name: discriminator_loss([outputs[0].scores], [outputs[1].scores], OBJECTIVE)}
        if penalised:
            losses[f"{name}_r1"] = config.r1 * config.r1_every * r1_penalty(outputs[0].scores, real)
        return losses, *outputs

    def generator_losses(self, images: Tensor, videos: Tensor, category: Tensor | None) -> dict[str, Tensor]:
        """Losses of the generator; images: (N, C, H, W), videos: (N, T, C, H, W), category: of the videos, (N,)."""
        output = self.video_discriminator(videos)
        losses = {
            "g_image": generator_loss([self.image_discriminator(images).scores], OBJECTIVE),
            "g_video": generator_loss([output.scores], OBJECTIVE),
        }
        if self.config.infogan and category is not None and output.logits is not None:
            losses["g_category"] = cross_entropy(output.logits, category)
        return losses

    def discriminator_scores(self, video: Tensor) -> dict[str, Tensor]:
        """Mean score of the frames of each clip, and, of clips that are long enough, that of the whole clip; (B,)."""
        scores = self.image_discriminator(video.flatten(0, 1)).scores
        found = {"image": scores.unflatten(0, video.shape[:2]).flatten(1).mean(1)}
        if video.shape[1] >= self.spec.frames:
            found["video"] = self.video_discriminator(video).scores.flatten(1).mean(1)
        return found

    # ---------------------------------------------------------------- sampling

    def sample(self, request: SampleRequest) -> Sample:
        """Generate the samples of a request."""
        return self.decode(self.draw_code(request), request)

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Generate frame after frame, at constant memory.

        Options: ``content`` and ``motion``, the number of the sample whose content, or motion, all samples have;
        ``attributes``, the category by name, which may change from frame to frame: ``{"action": "walk@0,run@8"}``.
        Otherwise the category is that of the given clip, or random. Raises ZooError for an unknown one.
        """
        for codes in islice(self._codes(request, self.draw_code(request)), request.frames):
            yield Sample(self.image_generator(codes))

    def draw_code(self, request: SampleRequest) -> Tensor:
        """Content codes of the samples, (B, D): what interpolation goes along; motion and category stay."""
        return self._sampling_noise(request, name_samples(request)[0], "content", self.config.content)

    @torch.no_grad()
    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Generate samples with these content codes, (B, D); motion and category are those of the request's samples."""
        codes = torch.stack(list(islice(self._codes(request, code), request.frames)), 1)
        if self.image_generator.uses_batch_statistics:  # while running statistics are estimated: those of whole clips
            return Sample(self.image_generator(codes.flatten(0, 1)).unflatten(0, codes.shape[:2]))
        return Sample(torch.stack([self.image_generator(each) for each in codes.unbind(1)], 1))

    def _codes(self, request: SampleRequest, content: Tensor) -> Iterator[Tensor]:
        """Codes of one frame after another, (B, Z), without end."""
        names, clips = name_samples(request)
        asked = RequestedAttributes(request, names, self.category_values, self.card.name)
        labels = frame_labels(clips) if self.config.category is not None else iter(())
        motion = self._sampling_noise(request, names, "motion", self.config.motion, 0)
        for t in count():
            asked.observe_labels(next(labels, {}))
            noise = self._sampling_noise(request, names, "motion", self.config.motion, t + 1)
            motion = self.motion_network(noise, motion)
            category = next(iter(asked.resolve(t).values()), None)
            yield frame_codes(
                content, category if category is None else category.to(motion.device), motion, self.categories
            )

    def _sampling_noise(self, request: SampleRequest, names: list[str], part: str, size: int, *number: int) -> Tensor:
        """Noise of a part, content or motion, (B, size). With the option of that name, it is that of one sample."""
        if part in request.options:
            request, names = replace(request, draw=0), [sample_name(int(request.options[part]))] * len(names)
        return sample_noise(request, names, (size,), part, *number).to(self.motion_network.cell.weight_hh)

    # ---------------------------------------------------------------- released weights

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> MoCoGAN:
        """Build a model from a generator of the original release, a file. Raises ZooError for any other file."""
        from zoo.models.mocogan.convert import convert

        return convert(cls, folder, settings)
