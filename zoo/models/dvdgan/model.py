"""DVD-GAN (Clark, Donahue, Simonyan, 2019): recurrent residual generator, a discriminator of frames and one of time.

No code of the authors exists. The form here is that of the second version of the paper; what it leaves open is on the
card.

Shapes: B clips, T frames, k scored frames, C channels, H x W pixels, Z entries of the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.attributes import UNKNOWN, clip_label
from zoo.blocks.noise import sample_noise
from zoo.blocks.requested_attributes import RequestedAttributes
from zoo.errors import ZooError
from zoo.model import VideoModel, name_samples
from zoo.models.dvdgan.config import CARD, DVDGANConfig
from zoo.models.dvdgan.discriminators import SpatialDiscriminator, TemporalDiscriminator
from zoo.models.dvdgan.generator import Generator, GeneratorPlan
from zoo.models.dvdgan.losses import discriminator_hinge, generator_hinge, orthogonal_penalty
from zoo.types import Clip, ClipSpec, Sample, SampleRequest


class DVDGAN(VideoModel[DVDGANConfig]):
    """Generates clips from noise, of a class where there are any, or continues given frames."""

    card = CARD
    optimizer_names = ("discriminators", "generator")

    def __init__(self, config: DVDGANConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        values = {} if config.category is None else {config.category: spec.attributes[config.category]}
        self.values: Mapping[str, tuple[str, ...]] = values
        self.classes = sum(map(len, values.values()))
        self.new_frames = spec.frames - config.context
        plan = GeneratorPlan(
            *(spec.height, spec.width, spec.channels, config.width, config.noise, self.classes, config.embedding),
            every_resolution=config.recurrence == "every",
            attention=config.attention,
            norm_frames=self.new_frames if config.norm == "per_frame" else None,
            given_frames=config.context,
        )
        self.generator = Generator(plan)
        sizes = (spec.height, spec.width, spec.channels, config.discriminator_width, self.classes)
        self.spatial_discriminator = SpatialDiscriminator(*sizes)
        self.temporal_discriminator = TemporalDiscriminator(*sizes)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The attributes, if one of them gives the classes."""
        return ("attributes",) if self.classes else ()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each of ``optimizer_names``."""
        config, betas = self.config, (self.config.beta1, self.config.beta2)
        discriminators = [*self.spatial_discriminator.parameters(), *self.temporal_discriminator.parameters()]
        return [
            self.adam(discriminators, config.discriminator_lr, betas),
            self.adam(self.generator.parameters(), config.lr, betas),
        ]

    def ema_parts(self) -> dict[str, nn.Module]:
        """What sampling uses."""
        return {"generator": self.generator}

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Step the discriminators, and in every ``discriminator_steps``-th step the generator, on other clips."""
        with torch.no_grad():
            generated, classes = self.generate(clip, "discriminators")
        losses = self.discriminator_losses(clip, generated, classes)
        self.step("discriminators", losses)
        if self.every(self.config.discriminator_steps):
            generator_losses = self.generator_losses(clip, *self.generate(clip, "generator"))
            self.step("generator", generator_losses)
            losses |= generator_losses
        self.log_losses(losses)

    def generate(self, clip: Clip, stream: str) -> tuple[Tensor, Tensor | None]:
        """Clips as long as the real ones, given frames included, and their classes. stream: each use has its own.

        Classes are drawn uniformly; a clip that continues given frames keeps theirs.
        """
        noise = self.per_sample_noise(clip, lambda source: torch.randn(self.config.noise, generator=source), stream)
        classes = self.random_classes(clip, stream)
        given = clip["video"][:, : self.config.context] if self.config.context else None
        if classes is not None and given is not None:
            labels = self.labels(clip)
            classes = torch.where(labels == UNKNOWN, classes, labels)
        video = self.generator(noise, classes, self.new_frames, given)
        return video if given is None else torch.cat([given, video], 1), classes

    def random_classes(self, clip: Clip, stream: str) -> Tensor | None:
        """Classes of generated clips, (B,) int64."""
        if not self.classes:
            return None
        return self.per_sample_noise(
            clip, lambda source: torch.randint(self.classes, (), generator=source), f"{stream}.class"
        )

    def labels(self, clip: Clip) -> Tensor:
        """Classes of real clips, (B,); UNKNOWN where there is no label, or not the same one in all frames."""
        assert self.config.category is not None
        return clip_label(clip["attributes"][self.config.category])

    def scored_frames(self, clip: Clip, video: Tensor, stream: str) -> Tensor:
        """k random frames of each clip, (B, k, C, H, W): different ones, and none of those that were given."""
        new, count = self.new_frames, self.config.scored_frames
        numbers = self.per_sample_noise(clip, lambda source: torch.randperm(new, generator=source)[:count], stream)
        clips = torch.arange(len(video), device=video.device)[:, None]
        return video[clips, self.config.context + numbers]

    def discriminator_losses(self, clip: Clip, generated: Tensor, classes: Tensor | None) -> dict[str, Tensor]:
        """Hinge losses of both discriminators; generated: (B, T, C, H, W), classes: theirs, (B,).

        Real and generated clips pass in one batch, since every pass moves the estimates of the spectral norms.
        """
        both = None if classes is None else torch.cat([self.labels(clip), classes])
        real = clip["video"]
        frames = [
            self.scored_frames(clip, video, f"{name} frames") for name, video in (("real", real), ("d", generated))
        ]
        of_frames, of_generated_frames = self.spatial_discriminator(torch.cat(frames), both).chunk(2)
        of_time, of_generated_time = self.temporal_discriminator(torch.cat([real, generated]), both).chunk(2)
        return {
            "d_frames": discriminator_hinge(of_frames, of_generated_frames, self.config.hinge),
            "d_time": discriminator_hinge(of_time, of_generated_time, self.config.hinge),
        }

    def generator_losses(self, clip: Clip, generated: Tensor, classes: Tensor | None) -> dict[str, Tensor]:
        """Losses of the generator; generated: (B, T, C, H, W), classes: theirs, (B,)."""
        frames = self.scored_frames(clip, generated, "g frames")
        losses = {
            "g_frames": generator_hinge(self.spatial_discriminator(frames, classes), self.config.hinge),
            "g_time": generator_hinge(self.temporal_discriminator(generated, classes), self.config.hinge),
        }
        if self.config.orthogonal_weight:
            weights = [weight for name, weight in self.generator.named_parameters() if _is_matrix(name, weight)]
            losses["orthogonal"] = self.config.orthogonal_weight * orthogonal_penalty(weights)
        return losses

    def discriminator_scores(self, video: Tensor) -> dict[str, Tensor]:
        """Mean scores of the frames and of the time steps of each clip, without its class, (B,)."""
        found = {"frames": self.spatial_discriminator(video).mean(1)}
        if video.shape[1] >= self.card.min_frames:
            found["time"] = self.temporal_discriminator(video).mean(1)
        return found

    # ---------------------------------------------------------------- sampling

    def sample(self, request: SampleRequest) -> Sample:
        """Generate the samples of a request.

        Options: ``attributes``, the class by name (``{"action": "walk"}``), otherwise that of the given clip, or a
        random one; ``temperature``, a factor on the noise.
        """
        return self.decode(self.draw_code(request), request)

    def draw_code(self, request: SampleRequest) -> Tensor:
        """Noise of each sample, (B, Z)."""
        names, _ = name_samples(request)
        noise = sample_noise(request, names, (self.config.noise,)) * float(request.options.get("temperature", 1.0))
        return noise.to(self.generator.norm.weight)

    @torch.no_grad()
    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Noise (B, Z) -> clips with the classes, and after the frames, of the request."""
        names, clips = name_samples(request)
        clip = next(clips, None)
        given = None
        if self.config.context:
            if clip is None:
                raise ZooError(
                    f"This model continues given frames, but no clip is given. Try: context={self.config.context}"
                )
            given = clip["video"][:, : self.config.context].to(code)
        new = request.frames - self.config.context
        # With norms of single frames, all frames are generated, and the first ones are kept.
        frames = self.new_frames if self.config.norm == "per_frame" else new
        video = self.generator(code, self._requested_classes(request, names, clip, code), frames, given)[:, :new]
        return Sample(video if given is None else torch.cat([given, video], 1))

    def _requested_classes(
        self, request: SampleRequest, names: list[str], clip: Clip | None, like: Tensor
    ) -> Tensor | None:
        """Classes of the samples, (B,)."""
        if not self.classes:
            return None
        asked = RequestedAttributes(request, names, self.values, self.card.name)
        labels: Mapping[str, Any] = {} if clip is None else clip.get("attributes", {})
        asked.observe_labels({name: ids[:, 0] for name, ids in labels.items()})
        (classes,) = asked.resolve(0).values()
        return classes.to(like.device)


def _is_matrix(name: str, weight: Tensor) -> bool:
    """Whether BigGAN's penalty covers a parameter: weights of at least two axes, but for embeddings."""
    return weight.ndim > 1 and "embedding" not in name
