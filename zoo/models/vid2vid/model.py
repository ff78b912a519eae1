"""vid2vid: paint a video from label maps or drawings, frame after frame (Wang et al. 2018, arXiv 1808.06601).

A generator sees L past frames and the maps of this frame and the L before; it warps what it can and paints the
rest. D_I discriminators frames with their map, D_V discriminators groups of K frames with the flow between them.

Shapes: B clips, T frames, n frames of a chunk, C channels of a map, H x W pixels, L past frames, K frames a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.blocks.maps import pyramid
from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.errors import ZooError, one_of
from zoo.losses.gan import GANLosses, adversarial_losses
from zoo.losses.warping import flow_confidence
from zoo.model import VideoModel, build
from zoo.models.image_translation.appearance_memory import AppearanceMemory
from zoo.models.image_translation.model import ImageTranslationModel, cut, folded
from zoo.models.image_translation.objective import Pictures
from zoo.models.vid2vid.config import CARD, FIRST_FRAMES, Vid2VidConfig
from zoo.models.vid2vid.losses import (
    Motion,
    longest_scale,
    motion_losses,
    sparse_groups,
    temporal_groups,
    video_input,
    weighted,
)
from zoo.models.vid2vid.networks import GeneratedFrame, SequentialGenerator, plan_scales
from zoo.models.vid2vid.recurrence import Frame, Rollout
from zoo.randomness import generator
from zoo.types import Clip, ClipSpec, CurriculumStage, Sample, SampleRequest


@dataclass(frozen=True)
class Chunk:
    """The frames ``start … stop-1`` of a clip, real and generated, that one optimizer step is made of.

    ``frames`` holds every frame up to ``stop``; those before ``start`` are detached. ``ends``: where each chunk of the
    clip so far ended. The other fields are of the chunk alone, (B, n, ., H, W), at the finest scale that takes part;
    ``given`` is what D_I sees of the map.
    """

    start: int
    stop: int
    ends: tuple[int, ...]
    frames: list[Frame]
    given: Tensor
    real: Tensor
    generated: Tensor
    intermediate: Tensor
    flow: Tensor | None
    mask: Tensor | None
    labels: Tensor | None

    @property
    def pictures(self) -> Pictures:
        """Frame by frame, as D_I sees them: it scores the intermediate image, too."""
        painted = {"image": folded(self.generated), "intermediate": folded(self.intermediate)}
        labels = None if self.labels is None else folded(self.labels)
        return Pictures(folded(self.given), folded(self.real), painted, labels)

    @property
    def film(self) -> list[Tensor]:
        """Every frame up to ``stop`` at the finest scale, (B, 3, H, W)."""
        return [frame[-1] for frame in self.frames]


class Vid2Vid(ImageTranslationModel[Vid2VidConfig]):
    """The sequential generator with its conditional image and video discriminators."""

    card = CARD
    generator: SequentialGenerator

    def __init__(self, config: Vid2VidConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.generator = SequentialGenerator(
            self.map_channels + config.appearance_features,
            config.past_frames,
            plan_scales(config.scales, config.width, config.downsamplings, config.blocks, config.local_blocks),
            self.norm,
            config.uses_flow,
            config.foreground_channels(spec),
            classes=len(spec.label_names) if self.source == "labels" else 0,
        )
        group_channels = 3 * config.video_frames + 2 * (config.video_frames - 1)
        temporal_scales = min(config.temporal_scales, longest_scale(spec.frames, config.video_frames))
        self.video_discriminators = nn.ModuleList(
            MultiScaleDiscriminator(
                group_channels,
                config.discriminator_width,
                config.discriminator_layers,
                config.discriminator_scales,
                self.norm,
            )
            for _ in range(temporal_scales)
        )
        self.image_model = self._find_image_model()

    def _find_image_model(self) -> VideoModel[Any] | None:
        """The model that paints the first frame: from its run when new, from this model's own settings afterwards."""
        kept = self.config.image_model
        if kept:
            model = build(kept["model"], self.spec)
            model.clips_seen = kept["clips_seen"]  # which of its scales are trained
        elif self.config.first_frame == "image":
            from zoo.runs.load import load

            model = load(str(self.config.image_run))
            if model.source != self.source or _maps_of(model.spec) != _maps_of(self.spec):
                raise ZooError(
                    f"model.image_run={self.config.image_run} paints another kind of map than this data set has. "
                    "Train pix2pixhd on the same data."
                )
            model.spec = self.spec
            self.config.image_model = {"model": asdict(model.config), "clips_seen": model.clips_seen}
            self.hparams["model"]["image_model"] = self.config.image_model
        else:
            return None
        return model.for_sampling().requires_grad_(False).eval()

    def notes(self) -> list[str]:
        """What could not be had here."""
        notes = super().notes()
        if len(self.video_discriminators) < self.config.temporal_scales:
            notes.append(
                f"D_V works at {len(self.video_discriminators)} of {self.config.temporal_scales} temporal scales: "
                f"a clip of {self.spec.frames} frames is too short for the others."
            )
        return notes

    # ---------------------------------------------------------------- training

    def slow_parameters(self) -> list[nn.Parameter]:
        """The flow heads: their output counts in twenties of pixels, and at the full rate it only jitters."""
        return [p for name, p in self.generator.named_parameters() if ".flow_head." in name]

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Generate the clip chunk by chunk; after each, one step of the generator and one of the discriminators (eq.
        5)."""
        self.set_learning_rate()
        stage = self.current_stage
        start = self._context()
        frames = [pyramid(frame, self.scales_at(stage)) for frame in clip["video"][:, :start].unbind(1)]
        ends: tuple[int, ...] = (start,) if start else ()
        parts: dict[str, list[Tensor]] = {}
        for begin in range(start, clip["video"].shape[1], self.config.frames_per_step):
            stop = min(begin + self.config.frames_per_step, clip["video"].shape[1])
            ends += (stop,)
            chunk = self.generate(clip, frames, ends, begin, stage)
            losses = self.losses_of(clip, chunk)
            self.optimizer_steps(*losses)
            for name, value in (losses.generator | losses.discriminator).items():
                parts.setdefault(name, []).append(value.detach())
            frames = [[level.detach() for level in frame] for frame in chunk.frames]
        self.log_losses({name: torch.stack(values).mean() for name, values in parts.items()})

    def _context(self) -> int:
        """How many real frames this step starts from: 0 in a share of the steps, else 1 to L."""
        draw = generator(self.seed, self.clips_seen)
        from_nothing = self.config.generated_start if self.config.first_frame == "generated" else 0.0
        if torch.rand((), generator=draw) < from_nothing:
            return 0
        return int(torch.randint(1, self.config.past_frames + 1, (), generator=draw))

    def generate(
        self, clip: Clip, frames: list[Frame], ends: tuple[int, ...], start: int, stage: CurriculumStage | None = None
    ) -> Chunk:
        """Paint the frames ``start`` to ``ends[-1]``; only their maps and those of the L before are made."""
        stage, stop = stage or CurriculumStage(), ends[-1]
        first = max(start - self.config.past_frames, 0)
        window = cut(clip, first, stop)
        given = self.encode(window)
        maps = pyramid(self.with_appearances(window, given), self.scales_at(stage))
        rollout = Rollout(self.generator, stage.freeze_coarse)
        painted = rollout.paint(maps, frames, range(start - first, stop - first), self.config.backprop_frames)
        finest = [scales[-1] for scales in painted]
        return Chunk(
            start,
            stop,
            ends,
            [*frames, *([level.frame for level in scales] for scales in painted)],
            given=given[:, start - first :],
            real=clip["video"][:, start:stop],
            generated=torch.stack([p.frame for p in finest], 1),
            intermediate=torch.stack([p.intermediate for p in finest], 1),
            flow=_stacked([p.flow for p in finest]),
            mask=_stacked([p.mask for p in finest]),
            labels=clip["labels"][:, start:stop] if "labels" in clip else None,
        )

    # ---------------------------------------------------------------- the objective

    def losses_of(self, clip: Clip, chunk: Chunk) -> GANLosses:
        """Eq. 5: every part of the generator's side, weighted, and of the discriminators' side."""
        image, video = self.objective.losses(chunk.pictures), self.video_losses(clip, chunk)
        motion = self.flow_losses(clip, chunk)
        return GANLosses(image.generator | video.generator | motion, image.discriminator | video.discriminator)

    def video_losses(self, clip: Clip, chunk: Chunk) -> GANLosses:
        """L_V of eq. 7, with feature matching, at each temporal scale that the clip fills so far."""
        losses = GANLosses({}, {})
        for scale, discriminator, groups in self._temporal_scales(chunk):
            real = video_input(clip["video"], clip["flow"], groups)
            fake = video_input(chunk.film, clip["flow"], groups)
            terms = adversarial_losses(discriminator, real, [fake], self.config.objective)
            ((gan, features),) = terms.generator
            losses.generator[f"g_video{scale}"] = gan
            losses.generator[f"features_video{scale}"] = self.config.feature_weight * features
            losses.discriminator[f"d_video{scale}"] = terms.discriminator
        return losses

    def flow_losses(self, clip: Clip, chunk: Chunk) -> dict[str, Tensor]:
        """L_W of eq. 8, and that a generated frame agrees with the warped one before, where flow is trusted."""
        start = max(chunk.start, 1)  # the first frame of a clip has none before it
        if start == chunk.stop:
            return {}
        later = slice(start - chunk.start, None)
        before, current = clip["video"][:, start - 1 : chunk.stop - 1], clip["video"][:, start : chunk.stop]
        reference = clip["flow"][:, start - 1 : chunk.stop - 1]
        trust = flow_confidence(current, before, reference)
        if "visibility" in clip:
            trust = trust * clip["visibility"][:, start - 1 : chunk.stop - 1]
        made_before = torch.stack(chunk.film[start - 1 : chunk.stop - 1], 1).detach()
        motion = Motion(before, current, made_before, chunk.generated[:, later], reference, trust)
        flow, mask = (None if x is None else x[:, later] for x in (chunk.flow, chunk.mask))
        scales = len(chunk.frames[-1])
        return weighted(motion_losses(motion, flow, mask, scales), self._motion_weights())

    def _motion_weights(self) -> dict[str, float]:
        config = self.config
        mask = config.mask_weight if config.first_frame == "generated" else 0.0
        flow = config.flow_weight
        return {"flow": flow, "warp": flow, "consistency": config.consistency_weight, "mask": mask}

    def _temporal_scales(self, chunk: Chunk) -> Iterator[tuple[int, MultiScaleDiscriminator, list[list[int]]]]:
        group = self.config.video_frames
        for scale, discriminator in enumerate(self.video_discriminators):
            if self.config.sparse_groups:
                groups = sparse_groups(chunk.ends, group, scale)
            else:
                groups = temporal_groups(chunk.stop, chunk.stop - chunk.start, group, scale)
            if groups:
                yield scale, cast(MultiScaleDiscriminator, discriminator), groups

    # ---------------------------------------------------------------- sampling

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Frame after frame at constant memory; the first ``context`` frames are the given ones."""
        first_frame = self._first_frame(request)
        length = self.config.past_frames
        rollout = Rollout(self.generator)
        maps: list[Tensor] = []
        past: list[Frame] = []
        appearance_memories: list[AppearanceMemory] | None = None
        made = 0
        for moment, given in self.moments(request.given):
            if appearance_memories is None:
                appearance_memories = self.appearance_memories(request, len(given))
            maps = [*maps, self.with_appearance(moment, given, appearance_memories, seen=made < request.context)][
                -length - 1 :
            ]
            if made < request.context:
                sample = self._copy(moment["video"][:, 0])
                frame = self.scaled(sample.video)
            elif made == 0 and first_frame == "image":
                sample = self._image(moment, request)
                frame = self.scaled(sample.video)
            else:
                painted = rollout(self.scaled(torch.stack(maps, 1)), past, len(maps) - 1)
                frame = [level.frame for level in painted]
                sample = self._sample(painted[-1])
            past = [*past, frame][-length:]
            made += 1
            yield sample
            if made == request.frames:
                return
        raise self.too_short(request, made)

    def _first_frame(self, request: SampleRequest) -> str:
        """How the sample begins, checked."""
        asked = request.options.get("first_frame")
        how: str = asked or ("given" if request.context else self.config.first_frame)
        one_of("first_frame", how, FIRST_FRAMES)
        if how == "given" and not request.context:
            raise ZooError(
                "first_frame=given needs a real frame to begin with. Type context=1, or first_frame=generated."
            )
        if how != "given" and request.context:
            raise ZooError(f"first_frame={how} and context={request.context} contradict each other. Type context=0.")
        if how == "image" and self.image_model is None:
            raise ZooError(
                "first_frame=image needs a model that was trained with model.first_frame=image model.image_run=<run of "
                "pix2pixhd>. Type first_frame=generated."
            )
        return how

    def _image(self, moment: Clip, request: SampleRequest) -> Sample:
        """The first frame as the image model paints it."""
        assert self.image_model is not None
        image = self.image_model.sample(SampleRequest(1, moment, seed=request.seed, draw=request.draw)).video[:, 0]
        return Sample(image, self._details(image, image, torch.ones_like(image[:, :1]), None))

    def _sample(self, painted: GeneratedFrame) -> Sample:
        mask = torch.ones_like(painted.frame[:, :1]) if painted.mask is None else painted.mask
        frame, intermediate, mask = (self.full_size(x) for x in (painted.frame, painted.intermediate, mask))
        flow = painted.flow
        if flow is not None:
            flow = self.full_size(flow) * (self.spec.height / flow.shape[-2])
        return Sample(frame, self._details(frame, intermediate, mask, flow))

    def _copy(self, frame: Tensor) -> Sample:
        return Sample(frame, self._details(frame, frame, torch.zeros_like(frame[:, :1]), None))

    def _details(self, frame: Tensor, intermediate: Tensor, mask: Tensor, flow: Tensor | None) -> dict[str, Tensor]:
        """What a frame was made from; a model that warps says where from, in pixels."""
        details = {"intermediate": intermediate, "mask": mask}
        if self.config.uses_flow:
            details["flow"] = torch.zeros_like(frame[:, :2]) if flow is None else flow
        return details

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> Vid2Vid:
        """A model from the original release's ``<epoch>_net_G0.pth`` and its fellows."""
        from zoo.models.vid2vid.convert import convert

        return convert(cls, folder, settings)


def _maps_of(spec: ClipSpec) -> tuple[object, ...]:
    """What must be the same for two models to paint the same maps."""
    maps = {"labels", "instances", "condition"} & set(spec.fields)
    return maps, spec.label_names, spec.condition_kind, spec.condition_channels


def _stacked(images: list[Tensor | None]) -> Tensor | None:
    return None if images[0] is None else torch.stack(cast("list[Tensor]", images), 1)
