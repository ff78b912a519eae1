"""TGAN (Saito et al., ICCV 2017): a temporal generator makes a code for every frame, an image generator the frame.

A clip has one slow code, drawn at random. A temporal generator makes of it a fast code for every frame, an image
generator the frame of slow and fast code. Codes between two fast codes give frames between two frames.

Shapes: B clips, T frames, C channels, H x W pixels, S entries of a slow code, F entries of a fast code.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.halving import count_halvings
from zoo.blocks.noise import sample_uniform_noise
from zoo.losses.gradient_penalty import r1_penalty, wgan_gp_penalty
from zoo.model import VideoModel, name_samples
from zoo.models.tgan.clipping import clip_network, clip_weights
from zoo.models.tgan.config import CARD, TGANConfig
from zoo.models.tgan.losses import discriminator_losses, generator_loss
from zoo.models.tgan.networks import (
    ClipPlan,
    Discriminator,
    ImageGenerator,
    TemporalGenerator,
    codes_between,
    initialise,
    temporal_widths,
)
from zoo.types import Clip, ClipSpec, Sample, SampleRequest

NETWORKS = ("temporal_generator", "image_generator", "discriminator")


class TGAN(VideoModel[TGANConfig]):
    """Generates clips of a fixed length, with any number of frames between its frames."""

    card = CARD
    optimizer_names = ("generator", "discriminator")

    def __init__(self, config: TGANConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        plan = ClipPlan(spec.frames, spec.height, spec.width, spec.channels, count_halvings(spec.height, spec.width))
        self.temporal_generator = TemporalGenerator(
            config.slow,
            config.fast,
            temporal_widths(config.temporal_width, spec.frames),
            spec.frames,
            config.norm_shift,
        )
        self.image_generator = ImageGenerator(config.slow, config.fast, config.width, plan)
        self.discriminator = Discriminator(
            plan, config.discriminator_width, config.discriminator_norm == "batch", config.norm_shift, config.noise
        )
        for network, kind in zip(
            (self.temporal_generator, self.image_generator, self.discriminator),
            (config.temporal_init, config.image_init, config.discriminator_init),
            strict=True,
        ):
            initialise(network, kind)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One optimizer for each of ``optimizer_names``."""
        generator = chain(self.temporal_generator.parameters(), self.image_generator.parameters())
        return [self._optimizer(group) for group in (generator, self.discriminator.parameters())]

    def _optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        config = self.config
        if config.optimizer == "adam":
            return self.adam(parameters, config.lr, (config.beta1, config.beta2))
        return torch.optim.RMSprop(parameters, config.lr, config.beta2)

    def ema_parts(self) -> dict[str, nn.Module]:
        """What sampling uses."""
        return {name: getattr(self, name) for name in NETWORKS[:2]}

    def compiled_networks(self) -> list[nn.Module]:
        """Without the discriminator where its gradient is penalised: PyTorch cannot differentiate it twice."""
        penalised = self.config.r1 or self.config.gradient_penalty
        return list(self.ema_parts().values()) if penalised else self.networks()

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Step both networks on one batch of generated clips, which the discriminator scores once."""
        slow = self.per_sample_noise(clip, lambda source: 2 * torch.rand(self.config.slow, generator=source) - 1)
        penalised = self.config.r1 > 0 and self.every(self.config.r1_every)
        mix = None
        if self.config.gradient_penalty:
            mix = self.per_sample_noise(clip, lambda source: torch.rand((), generator=source), "mix")
        generator, discriminator = self.losses_of(clip["video"], slow, penalised, mix)
        self.optimizer_steps(generator, discriminator)
        self.log_losses(generator | discriminator)

    def losses_of(
        self, real: Tensor, slow: Tensor, penalised: bool, mix: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted losses of generator and discriminator, scalars by name; both see the discriminator of now.

        real: (B, T, C, H, W); slow: codes (B, S); penalised: add the R1 penalty; mix: share of the real clip in each
        clip of WGAN-GP's penalty, (B,), or None for no such penalty. Generated and real clips are scored in batches of
        their own, in this order, so that norms do not mix them.
        """
        real = real.detach().requires_grad_(penalised)
        generated = self.generate(slow)
        generated_scores = self.discriminator(generated)
        real_scores = self.discriminator(real)
        objective = self.config.objective
        of_real, of_generated = discriminator_losses(real_scores, generated_scores, objective)
        discriminator = {"discriminator_real": of_real, "discriminator_generated": of_generated}
        if penalised:
            discriminator["r1"] = self.config.r1 * self.config.r1_every * r1_penalty(real_scores, real)
        if mix is not None:
            share = mix.view(-1, 1, 1, 1, 1)
            mixed = (share * real + (1 - share) * generated).detach().requires_grad_()
            penalty = wgan_gp_penalty(self.discriminator(mixed), mixed)
            discriminator["gradient_penalty"] = self.config.gradient_penalty * penalty
        return {"generator": generator_loss(generated_scores, objective)}, discriminator

    def generate(self, slow: Tensor) -> Tensor:
        """Slow codes (B, S) -> clips (B, T, C, H, W)."""
        return self.image_generator(slow, self.temporal_generator(slow))

    def after_step(self, name: str) -> None:
        """Clip the discriminator after its step."""
        config = self.config
        if name != "discriminator" or config.clipping == "none" or not self.every(config.clip_every):
            return
        if config.clipping == "weights":
            clip_weights(self.discriminator, config.weight_limit)
        else:
            clip_network(self.discriminator)

    # ---------------------------------------------------------------- sampling

    def sample(self, request: SampleRequest) -> Sample:
        """Generate the samples of a request."""
        return self.decode(self.draw_code(request), request)

    def draw_code(self, request: SampleRequest) -> Tensor:
        """Slow code of each sample, (B, S), uniform in [-1, 1]."""
        names, _ = name_samples(request)
        return sample_uniform_noise(request, names, (self.config.slow,)).to(self.image_generator.slow.weight)

    @torch.no_grad()
    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Slow codes (B, S) -> the first frames of their clips, as many as requested.

        Option ``frames_between``: number of frames to generate between each two of them, from fast codes on the line
        between theirs.
        """
        fast = self.temporal_generator(code)[:, : request.frames]
        fast = codes_between(fast, int(request.options.get("frames_between", 0)))
        return Sample(self.image_generator(code, fast))

    def interpolate(self, one: Tensor, other: Tensor, share: float) -> Tensor:
        """Interpolate between slow codes, (B, S), on the line: uniform codes fill a cube, which it does not leave."""
        return torch.lerp(one, other, share)

    # ---------------------------------------------------------------- released weights

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> TGAN:
        """Build a model from a snapshot of the original release, a file. Raises ZooError for any other file."""
        from zoo.models.tgan.convert import convert

        return convert(cls, folder, settings)
