"""VGAN (Vondrick et al., NeurIPS 2016): a still background and a moving foreground, blended by a mask.

Both streams see the same noise. The discriminator sees whole clips. Given a first frame, an encoder of that frame takes
the place of the noise.

Shapes: B clips, T frames, C channels, H x W pixels, Z entries of the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks.noise import sample_noise
from zoo.errors import ZooError
from zoo.losses.gradient_penalty import r1_penalty
from zoo.model import VideoModel, name_samples
from zoo.models.vgan.config import CARD, VGANConfig
from zoo.models.vgan.losses import GENERATED, REAL, cross_entropy, score
from zoo.models.vgan.networks import ClipPlan, Discriminator, GeneratedClip, Generator
from zoo.types import Clip, ClipSpec, Sample, SampleRequest


class VGAN(VideoModel[VGANConfig]):
    """Generates clips of a fixed length, or continues a first frame."""

    card = CARD
    optimizer_names = ("generator", "discriminator")

    def __init__(self, config: VGANConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        self.generator = Generator(
            clip_plan(spec, config.width, config), 0 if config.first_frame else config.noise, config.two_streams
        )
        self.discriminator = Discriminator(
            clip_plan(spec, config.discriminator_width, config), config.discriminator_norm == "batch"
        )

    @property
    def deterministic(self) -> bool:
        """A first frame has one future: there is no noise."""
        return self.config.first_frame

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each of ``optimizer_names``."""
        betas = (self.config.beta1, self.config.beta2)
        networks = (self.generator, self.discriminator)
        return [self.adam(network.parameters(), self.config.lr, betas) for network in networks]

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Step both networks on one batch of generated clips, which the discriminator scores once."""
        source = clip["video"][:, 0] if self.config.first_frame else self._training_noise(clip)
        penalised = self.config.r1 > 0 and self.every(self.config.r1_every)
        generator, discriminator = self.losses_of(clip["video"], source, penalised)
        self.optimizer_steps(generator, discriminator)
        self.log_losses(generator | discriminator)

    def losses_of(self, real: Tensor, source: Tensor, penalised: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted losses of generator and discriminator, scalars by name; both see the discriminator of now.

        real: (B, T, C, H, W). source: noise (B, Z) or first frames (B, C, H, W). penalised: add the R1 penalty.
        """
        real = real.detach().requires_grad_(penalised)
        real_logits = self.discriminator(real)
        generated = self.generator(source)
        logits = self.discriminator(generated.video)
        discriminator = {
            "discriminator_real": cross_entropy(real_logits, REAL),
            "discriminator_generated": cross_entropy(logits, GENERATED),
        }
        if penalised:
            weight = self.config.r1 * self.config.r1_every
            discriminator["r1"] = weight * r1_penalty(score(real_logits), real)
        generator = {"generator": cross_entropy(logits, REAL)} | self._penalties(generated, source)
        return generator, discriminator

    def _penalties(self, generated: GeneratedClip, source: Tensor) -> dict[str, Tensor]:
        """What the generator's loss has besides the adversarial one."""
        if self.config.first_frame:
            distance = (generated.video[:, 0] - source).abs().mean()
            return {"first_frame": self.config.first_frame_weight * distance}
        if generated.mask is None:
            return {}
        return {"mask": self.config.mask_weight * generated.mask.mean()}

    def _training_noise(self, clip: Clip) -> Tensor:
        """Noise of as many clips as there are real ones, (B, Z)."""
        return self.per_sample_noise(clip, lambda source: torch.randn(self.config.noise, generator=source))

    def discriminator_scores(self, video: Tensor) -> dict[str, Tensor]:
        """The score of each clip, (B,), if clips are as long as in training."""
        if video.shape[1] != self.spec.frames:
            return {}
        return {"video": score(self.discriminator(video))}

    def compiled_networks(self) -> list[nn.Module]:
        """Without the discriminator where its gradient is penalised: PyTorch cannot differentiate it twice."""
        return [self.generator] if self.config.r1 else self.networks()

    def ema_parts(self) -> dict[str, nn.Module]:
        """What sampling uses."""
        return {"generator": self.generator}

    # ---------------------------------------------------------------- sampling

    def sample(self, request: SampleRequest) -> Sample:
        """Generate the samples of a request, or continue the first frames of its clips.

        Details: foreground, background and mask. A continued first frame is a copy of the given one; the network's own
        is in the detail ``generated``.
        """
        if not self.config.first_frame:
            return self.decode(self.draw_code(request), request)
        _, clips = name_samples(request)
        first = next(clips, None)
        if first is None:
            raise ZooError("model.first_frame=true continues a given frame, but no clip is given. Try: context=1")
        given = first["video"][:, :1].to(self.generator.foreground_head.weight)
        generated = self._generate(given[:, 0], request.frames)
        details = {"generated": generated.video, **generated.details}
        return Sample(torch.cat([given, generated.video[:, 1:]], 1), details)

    def draw_code(self, request: SampleRequest) -> Tensor:
        """Noise of each sample, (B, Z)."""
        if self.config.first_frame:
            raise ZooError("A model that continues a first frame (model.first_frame=true) has no code.")
        names, _ = name_samples(request)
        return sample_noise(request, names, (self.config.noise,)).to(self.generator.foreground_head.weight)

    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Noise (B, Z) -> the first frames of its clips, as many as requested."""
        return self._generate(code, request.frames)

    @torch.no_grad()
    def _generate(self, source: Tensor, frames: int) -> Sample:
        clip: GeneratedClip = self.generator(source)
        details = {}
        if clip.background is not None and clip.mask is not None:
            details = {
                "foreground": clip.foreground[:, :frames],
                "background": clip.background.expand_as(clip.video)[:, :frames],
                "mask": clip.mask[:, :frames],
            }
        return Sample(clip.video[:, :frames], details)


def clip_plan(spec: ClipSpec, channels: int, config: VGANConfig) -> ClipPlan:
    """Sizes of the clips, with the features of a setting: twice as many where a first frame is continued."""
    doubled = channels * (1 + config.first_frame)
    return ClipPlan(spec.frames, spec.height, spec.width, spec.channels, doubled)
