"""TGANv2 (Saito et al., IJCV 2020): trained on sparse frames where they are large, generates dense ones.

A ConvLSTM makes features of one frame after another. Blocks double their resolution; a head renders each of the last
levels. In training, frames are dropped before every level but the first, so all frames are rendered small and few at
the full resolution, and every level has a discriminator of its own. In sampling, every frame is rendered at the last
level.

Shapes: B clips, T frames, C channels, H x W pixels, Z entries of a code, R features of h x w pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, count, islice
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from zoo.blocks.attributes import clip_label
from zoo.blocks.noise import sample_uniform_noise
from zoo.blocks.requested_attributes import RequestedAttributes, frame_labels
from zoo.losses.adversarial import discriminator_loss, generator_loss
from zoo.losses.gradient_penalty import squared_gradients
from zoo.model import VideoModel, name_samples
from zoo.models.tgan.networks import TemporalGenerator, temporal_widths
from zoo.models.tgan.networks import initialise as initialise_temporal
from zoo.models.tgan2.config import CARD, TGAN2Config
from zoo.models.tgan2.networks import (
    ClassNorm,
    ImageGenerator,
    ImagePlan,
    LevelDiscriminators,
    Recurrence,
    Renderer,
    Start,
    State,
    Subsampling,
    initialise,
    pyramid,
)
from zoo.randomness import generator
from zoo.types import Clip, ClipSpec, Sample, SampleRequest

OBJECTIVE = "original"
"""Cross-entropy, non-saturating for the generator."""
IMAGE_DOUBLINGS = 4
"""Most doublings of the resolution with generator=images."""
PARTS = {"lstm": ("start", "recurrence", "renderer"), "images": ("temporal_generator", "image_generator")}
"""Networks of each generator."""


class TGAN2(VideoModel[TGAN2Config]):
    """Generates from nothing, or from a category."""

    card = CARD
    optimizer_names = ("generator", "discriminator")

    def __init__(self, config: TGAN2Config, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        self.category_values = config.category_values(spec)
        self.classes = sum(map(len, self.category_values.values()))
        plan = ImagePlan(spec.height, spec.width, spec.channels)
        if config.generator == "images":
            widths = temporal_widths(config.temporal_width, spec.frames)
            self.temporal_generator = TemporalGenerator(config.code, config.features, widths, spec.frames)
            initialise_temporal(self.temporal_generator, "lecun")
            doublings = min(IMAGE_DOUBLINGS, plan.doublings)
            self.image_generator = ImageGenerator(
                config.code, config.features, config.width, plan, self.classes, doublings
            )
        else:
            self.start = Start(config.code, config.features, plan.start)
            self.recurrence = Recurrence(config.features, config.layers)
            self.renderer = Renderer(config.features, config.width, config.levels, plan, self.classes)
        self.discriminator = LevelDiscriminators(
            config.levels, spec.channels, config.discriminator_width, self.classes, config.padded_pooling
        )
        initialise(self)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The attributes, if there is a category."""
        return ("attributes",) if self.config.category is not None else ()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each of ``optimizer_names``."""
        generating = chain.from_iterable(part.parameters() for part in self.ema_parts().values())
        betas = (self.config.beta1, self.config.beta2)
        return [self.adam(group, self.config.lr, betas) for group in (generating, self.discriminator.parameters())]

    def ema_parts(self) -> dict[str, nn.Module]:
        """What sampling uses."""
        return {name: getattr(self, name) for name in PARTS[self.config.generator]}

    def compiled_networks(self) -> list[nn.Module]:
        """Without the discriminators where their gradient is penalised: PyTorch cannot differentiate it twice."""
        return list(self.ema_parts().values()) if self.config.r1 else self.networks()

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Step both networks on one batch of generated clips, which the discriminators score once."""
        if self.config.lr_decay:
            self._decay_rates()
        real = self.real_levels(clip)
        generated = self.generated_levels(clip)
        penalised = self.config.r1 > 0 and self.every(self.config.r1_every)
        of_generator, of_discriminator = self.losses_of(real, generated, penalised)
        self.optimizer_steps(of_generator, of_discriminator)
        self.log_losses(of_generator | of_discriminator)

    def _decay_rates(self) -> None:
        """Set the learning rates of this step: a function of the progress, so resumed trainings agree."""
        for optimizer in self._optimizers():
            for group in optimizer.param_groups:
                group["lr"] = self.config.lr * (1 - self.progress)

    @property
    def _steps(self) -> range:
        """Numbers of the steps from level to level."""
        return range(self.config.levels - 1)

    def real_levels(self, clip: Clip) -> tuple[list[Tensor], list[Tensor | None]]:
        """The pyramid of the real clips, and their classes at every level. Every clip has its own random phases."""
        config, video, phases = self.config, clip["video"], None
        if not config.average_frames:
            size = (config.levels - 1,)
            phases = self.per_sample_noise(
                clip, lambda source: torch.randint(config.frame_step, size, generator=source), "phases"
            )
        levels = pyramid(
            video, phases, [config.frame_step for _ in self._steps], [config.clip_step for _ in self._steps]
        )
        labels = clip_label(clip["attributes"][config.category]) if config.category is not None else None
        return levels, self._at_levels(labels)

    def generated_levels(self, clip: Clip) -> tuple[list[Tensor], list[Tensor | None]]:
        """Clips of random codes, and of random classes, at every level. All clips of a step have the same phases."""
        config = self.config
        code = self.per_sample_noise(clip, lambda source: 2 * torch.rand(config.code, generator=source) - 1)
        classes = None
        if self.classes:
            classes = self.per_sample_noise(
                clip, lambda source: torch.randint(self.classes, (), generator=source), "classes"
            )
        if config.generator == "images":
            video = self.image_generator(code, self.temporal_generator(code), classes)
            return [video], self._at_levels(classes)
        source = generator(self.seed, crc32(b"phases"), self.step_number)
        phases: list[int] | list[None] = [None for _ in self._steps]
        if not config.average_frames:
            phases = torch.randint(config.frame_step, (config.levels - 1,), generator=source).tolist()
        steps = [Subsampling(config.frame_step, config.clip_step, phase) for phase in phases]
        features = torch.stack(list(islice(self.frame_features(code), clip["video"].shape[1])), 1)
        return self.renderer(features, classes, steps), self._at_levels(classes)

    def _at_levels(self, classes: Tensor | None) -> list[Tensor | None]:
        """Classes of the clips that are left at each level."""
        steps = [self.config.clip_step**level for level in range(self.config.levels)]
        return [None if classes is None else classes[::step] for step in steps]

    def frame_features(self, code: Tensor) -> Iterator[Tensor]:
        """Features of one frame after another, (B, R, h, w), without end."""
        x: Tensor | None = self.start(code)
        states: list[State] | None = None
        while True:
            states = self.recurrence(x, states)
            x = None  # the code enters in the first frame alone
            yield states[-1][0]

    def losses_of(
        self,
        real: tuple[list[Tensor], list[Tensor | None]],
        generated: tuple[list[Tensor], list[Tensor | None]],
        penalised: bool,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weighted losses of generator and discriminators, scalars by name; both see the discriminators of now.

        real, generated: clips and classes of all levels. penalised: add the R1 penalty. Means run over the scores of
        all levels, so a level counts by its clips.
        """
        levels = [level.detach().requires_grad_(penalised) for level in real[0]]
        real_scores = self.discriminator(levels, real[1])
        scores = self.discriminator(*generated)
        discriminator = {"discriminator": discriminator_loss([real_scores], [scores], OBJECTIVE)}
        if penalised:
            weight = 0.5 * self.config.r1 * self.config.r1_every
            total = torch.cat(squared_gradients(real_scores, levels)).sum()
            clips = 1 if self.config.r1_reduction == "sum" else len(levels[0])
            discriminator["r1"] = weight * total / clips
        return {"generator": generator_loss([scores], OBJECTIVE)}, discriminator

    # ---------------------------------------------------------------- sampling

    def sample(self, request: SampleRequest) -> Sample:
        """Generate the samples of a request."""
        return self.decode(self.draw_code(request), request)

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Generate frame after frame, at constant memory.

        Option ``attributes``: the category by name, which may change from frame to frame, as in
        ``{"action": "walk@0,run@8"}``. Otherwise it is that of the given clip, or random. Raises ZooError for an
        unknown one.
        """
        code = self.draw_code(request)
        if self.config.generator == "images":
            yield from (Sample(frame) for frame in self.decode(code, request).video.unbind(1))
            return
        frames = zip(self.frame_features(code), self._classes(request), strict=True)
        for features, classes in islice(frames, request.frames):
            yield Sample(self._render(features, classes))

    def draw_code(self, request: SampleRequest) -> Tensor:
        """Code of each sample, (B, Z), uniform in [-1, 1]."""
        names, _ = name_samples(request)
        weight = next(next(iter(self.ema_parts().values())).parameters())
        return sample_uniform_noise(request, names, (self.config.code,)).to(weight)

    @torch.no_grad()
    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Generate the clips of codes, (B, Z); the categories are those of the request."""
        frames = request.frames
        ids = list(islice(self._classes(request), frames))
        classes = torch.stack([each for each in ids if each is not None], 1) if self.classes else None
        if self.config.generator == "images":
            return Sample(self.image_generator(code, self.temporal_generator(code)[:, :frames], classes))
        features = list(islice(self.frame_features(code), frames))
        if any(layer.training for layer in self.renderer.modules() if isinstance(layer, ClassNorm)):
            # While running statistics are estimated: those of whole clips.
            every = torch.stack(features, 1).flatten(0, 1)
            images = self._render(every, None if classes is None else classes.flatten())
            return Sample(images.view(-1, frames, *images.shape[1:]))
        return Sample(torch.stack([self._render(*each) for each in zip(features, ids, strict=True)], 1))

    def _render(self, features: Tensor, classes: Tensor | None) -> Tensor:
        """Features (N, R, h, w), classes (N,) -> images (N, C, H, W)."""
        return self.renderer(features[:, None], classes)[-1][:, 0]

    def _classes(self, request: SampleRequest) -> Iterator[Tensor | None]:
        """Classes of one frame after another, (B,), without end."""
        names, clips = name_samples(request)
        asked = RequestedAttributes(request, names, self.category_values, self.card.name)
        labels = frame_labels(clips) if self.classes else iter(())
        for t in count():
            asked.observe_labels(next(labels, {}))
            classes = next(iter(asked.resolve(t).values()), None)
            yield classes if classes is None else classes.to(self.device)

    def interpolate(self, one: Tensor, other: Tensor, share: float) -> Tensor:
        """Interpolate between codes, (B, Z), on the line: uniform codes fill a cube, which it does not leave."""
        return torch.lerp(one, other, share)

    # ---------------------------------------------------------------- released weights

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> TGAN2:
        """Build a model from a generator of the original release, a file. Raises ZooError for any other file."""
        from zoo.models.tgan2.convert import convert

        return convert(cls, folder, settings)
