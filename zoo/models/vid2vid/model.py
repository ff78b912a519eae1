"""vid2vid: translate label maps or drawings to a video, frame after frame (Wang et al. 2018, arXiv 1808.06601).

The generator sees L past frames, their maps and the map of this frame; it warps the previous frame and generates what
cannot be warped. D_I scores frames with their maps, D_V groups of K frames with the flow between them.

Shapes: B clips, T frames, n frames of a chunk, C channels of a map, H x W pixels, L past frames, K frames per group.
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
from zoo.errors import ZooError, check_choice
from zoo.losses.gan import GANLosses, adversarial_losses
from zoo.losses.warping import flow_confidence
from zoo.model import VideoModel, build_for_sampling
from zoo.models.image_translation.model import ImageTranslationModel, merge_time, slice_frames
from zoo.models.image_translation.objective import ImageBatch
from zoo.models.vid2vid.config import CARD, FIRST_FRAMES, Vid2VidConfig
from zoo.models.vid2vid.losses import (
    MotionBatch,
    apply_weights,
    count_temporal_scales,
    foreground_shared,
    motion_losses,
    sparse_groups,
    temporal_groups,
    video_input,
)
from zoo.models.vid2vid.networks import GeneratedFrame, SequentialGenerator, plan_scales
from zoo.models.vid2vid.recurrence import FramePyramid, Rollout
from zoo.randomness import generator
from zoo.types import Clip, ClipSpec, CurriculumStage, Sample, SampleRequest


@dataclass(frozen=True)
class Chunk:
    """Frames ``start`` to ``stop - 1`` of a clip, real and generated, from which one optimizer step is computed.

    Images are of these frames only, (B, n, ., H, W), at the finest scale that takes part.
    """

    start: int
    stop: int
    chunk_ends: tuple[int, ...]
    """``stop`` of every chunk of the clip so far, including this one."""

    frames: list[FramePyramid]
    """Every frame up to ``stop``; those before ``start`` are detached."""

    maps: Tensor
    """Maps without appearances, as D_I sees them; C channels."""

    real: Tensor
    generated: Tensor
    intermediate: Tensor
    flow: Tensor | None
    mask: Tensor | None
    labels: Tensor | None

    @property
    def images(self) -> ImageBatch:
        """All frames as independent images, as D_I sees them; it also scores the intermediate images."""
        generated = {"image": merge_time(self.generated), "intermediate": merge_time(self.intermediate)}
        labels = None if self.labels is None else merge_time(self.labels)
        return ImageBatch(merge_time(self.maps), merge_time(self.real), generated, labels)

    @property
    def finest_frames(self) -> list[Tensor]:
        """Every frame up to ``stop`` at the finest scale, (B, 3, H, W)."""
        return [frame[-1] for frame in self.frames]


class Vid2Vid(ImageTranslationModel[Vid2VidConfig]):
    """The sequential generator with conditional image and video discriminators.

    Raises ZooError if the settings do not fit the clips, or if the image model does not fit the data set.
    """

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
        temporal_scales = min(config.temporal_scales, count_temporal_scales(spec.frames, config.video_frames))
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
        self.image_model = self._build_image_model()

    def _build_image_model(self) -> VideoModel[Any] | None:
        """The model that generates the first frame: loaded from its run at first, later rebuilt from this config."""
        stored = self.config.image_model
        if stored:
            model = build_for_sampling(stored["model"], self.spec)
            model.clips_seen = stored["clips_seen"]  # determines which of its scales are trained
        elif self.config.first_frame == "image":
            from zoo.runs.load import load

            model = load(str(self.config.image_run))
            if model.source != self.source or _map_format(model.spec) != _map_format(self.spec):
                raise ZooError(
                    f"model.image_run={self.config.image_run} was trained on maps other than those of this data set. "
                    "Train pix2pixhd on the same data: python -m zoo.train model=pix2pixhd"
                )
            model.spec = self.spec
            self.config.image_model = {"model": asdict(model.config), "clips_seen": model.clips_seen}
            self.hparams["model"]["image_model"] = self.config.image_model
        else:
            return None
        return model.for_sampling().requires_grad_(False).eval()

    def notes(self) -> list[str]:
        """Report what is off: the perceptual loss, or temporal scales that the clips are too short for."""
        notes = super().notes()
        if len(self.video_discriminators) < self.config.temporal_scales:
            notes.append(
                f"D_V uses {len(self.video_discriminators)} of {self.config.temporal_scales} temporal scales: "
                f"clips of {self.spec.frames} frames are too short for the others."
            )
        return notes

    # ---------------------------------------------------------------- training

    def slow_parameters(self) -> list[nn.Parameter]:
        """The flow heads: they output units of 20 pixels, and at the full learning rate the flow is unstable."""
        return [p for name, p in self.generator.named_parameters() if ".flow_head." in name]

    def step_losses(self, clip: Clip, stage: CurriculumStage) -> Iterator[GANLosses]:
        """Generate the clip chunk by chunk, and yield the losses of each (eq. 5)."""
        start = self._draw_context()
        frames = [pyramid(frame, self.active_scales(stage)) for frame in clip["video"][:, :start].unbind(1)]
        ends: tuple[int, ...] = (start,) if start else ()
        for begin in range(start, clip["video"].shape[1], self.config.frames_per_step):
            ends += (min(begin + self.config.frames_per_step, clip["video"].shape[1]),)
            chunk = self.generate_chunk(clip, frames, ends, begin, stage)
            yield self.chunk_losses(clip, chunk)
            frames = [[level.detach() for level in frame] for frame in chunk.frames]

    def _draw_context(self) -> int:
        """Number of real frames that this step starts from: 0 in a share of the steps, else 1 to L."""
        draw = generator(self.seed, self.clips_seen)
        from_nothing = self.config.generated_start if self.config.first_frame == "generated" else 0.0
        if torch.rand((), generator=draw) < from_nothing:
            return 0
        return int(torch.randint(1, self.config.past_frames + 1, (), generator=draw))

    def generate_chunk(
        self,
        clip: Clip,
        frames: list[FramePyramid],
        chunk_ends: tuple[int, ...],
        start: int,
        stage: CurriculumStage | None = None,
    ) -> Chunk:
        """Generate frames ``start`` to ``chunk_ends[-1] - 1`` of a clip, given all frames before ``start``."""
        stage, stop = stage or CurriculumStage(), chunk_ends[-1]
        first = max(start - self.config.past_frames, 0)
        window = slice_frames(clip, first, stop)
        maps = self.input_maps(window)
        levels = pyramid(self.with_appearances(window, maps), self.active_scales(stage))
        rollout = Rollout(self.generator, stage.freeze_coarse)
        generated = rollout.generate(levels, frames, range(start - first, stop - first), self.config.backprop_frames)
        finest = [scales[-1] for scales in generated]
        return Chunk(
            start,
            stop,
            chunk_ends,
            [*frames, *([level.frame for level in scales] for scales in generated)],
            maps=maps[:, start - first :],
            real=clip["video"][:, start:stop],
            generated=torch.stack([f.frame for f in finest], 1),
            intermediate=torch.stack([f.intermediate for f in finest], 1),
            flow=_stack_frames([f.flow for f in finest]),
            mask=_stack_frames([f.mask for f in finest]),
            labels=clip["labels"][:, start:stop] if "labels" in clip else None,
        )

    # ---------------------------------------------------------------- losses

    def chunk_losses(self, clip: Clip, chunk: Chunk) -> GANLosses:
        """All weighted losses of eq. 5; scalars by name."""
        image, video = self.objective.losses(chunk.images), self.video_losses(clip, chunk)
        flow = self.flow_losses(clip, chunk)
        return GANLosses(image.generator | video.generator | flow, image.discriminator | video.discriminator)

    def video_losses(self, clip: Clip, chunk: Chunk) -> GANLosses:
        """L_V (eq. 7) with feature matching, at each temporal scale for which there are enough frames."""
        generator_losses: dict[str, Tensor] = {}
        discriminator_losses: dict[str, Tensor] = {}
        for scale, discriminator, groups in self._temporal_scales(chunk):
            real = video_input(clip["video"], clip["flow"], groups)
            fake = video_input(chunk.finest_frames, clip["flow"], groups)
            losses = adversarial_losses(discriminator, real, [fake], self.config.objective)
            (terms,) = losses.generator
            generator_losses[f"g_video{scale}"] = terms.adversarial
            generator_losses[f"features_video{scale}"] = self.config.feature_weight * terms.feature_matching
            discriminator_losses[f"d_video{scale}"] = losses.discriminator
        return GANLosses(generator_losses, discriminator_losses)

    def flow_losses(self, clip: Clip, chunk: Chunk) -> dict[str, Tensor]:
        """Weighted flow losses where the reference flow is reliable; their names are those of ``motion_losses``."""
        start = max(chunk.start, 1)  # the first frame of a clip has no previous frame
        if start == chunk.stop:
            return {}
        later = slice(start - chunk.start, None)
        previous = slice(start - 1, chunk.stop - 1)
        real_previous, real = clip["video"][:, previous], clip["video"][:, start : chunk.stop]
        reference_flow = clip["flow"][:, previous]
        confidence = flow_confidence(real, real_previous, reference_flow)
        if "visibility" in clip:
            confidence = confidence * clip["visibility"][:, previous]
        generated_previous = torch.stack(chunk.finest_frames[previous], 1).detach()
        generated = chunk.generated[:, later]
        motion = MotionBatch(real_previous, real, generated_previous, generated, reference_flow, confidence)
        flow, mask = (None if x is None else x[:, later] for x in (chunk.flow, chunk.mask))
        scales = len(chunk.frames[-1])
        config = self.config
        weights = {
            "flow": config.flow_weight,
            "warp": config.flow_weight,
            "consistency": config.consistency_weight,
            "mask": config.mask_weight if config.first_frame == "generated" else 0.0,
        }
        shared = self._share_with_foreground(confidence, chunk, later)
        return apply_weights(motion_losses(motion, flow, mask, scales, shared), weights)

    def _share_with_foreground(self, confidence: Tensor, chunk: Chunk, frames: slice) -> Tensor:
        """Weights of the pixels of ``frames`` of the chunk in the flow losses, (B, n, 1, H, W)."""
        share, classes = self.config.foreground_flow_share, self.spec.foreground
        if not share or chunk.labels is None or not classes:
            return confidence
        ids = [self.spec.label_names.index(name) for name in classes]
        labels = chunk.labels[:, frames, None]
        foreground = torch.stack([labels == number for number in ids]).any(0).to(confidence.dtype)
        return foreground_shared(confidence, foreground, share)

    def _temporal_scales(self, chunk: Chunk) -> Iterator[tuple[int, MultiScaleDiscriminator, list[list[int]]]]:
        """Number, discriminator and groups of each temporal scale that has at least one group of frames."""
        group = self.config.video_frames
        for scale, discriminator in enumerate(self.video_discriminators):
            if self.config.sparse_groups:
                groups = sparse_groups(chunk.chunk_ends, group, scale)
            else:
                groups = temporal_groups(chunk.stop, chunk.stop - chunk.start, group, scale)
            if groups:
                yield scale, cast(MultiScaleDiscriminator, discriminator), groups

    # ---------------------------------------------------------------- sampling

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Generate frame after frame at constant memory; the first ``context`` frames are the given ones.

        Raises ZooError if the option ``first_frame`` does not fit the request or the model.
        """
        first_frame = self._choose_first_frame(request)
        length = self.config.past_frames
        rollout = Rollout(self.generator)
        maps: list[Tensor] = []
        past: list[FramePyramid] = []
        for given in self.given_frames(request):
            maps = [*maps, given.maps][-length - 1 :]
            if given.index < request.context:
                sample = self._copy_real(given.clip["video"][:, 0])
                frame = self.trained_pyramid(sample.video)
            elif given.index == 0 and first_frame == "image":
                sample = self._sample_image_model(given.clip, request)
                frame = self.trained_pyramid(sample.video)
            else:
                levels = self.trained_pyramid(torch.stack(maps, 1))
                generated = rollout.next_frame(levels, past, len(maps) - 1)
                frame = [level.frame for level in generated]
                sample = self._to_sample(generated[-1])
            past = [*past, frame][-length:]
            yield sample

    def _choose_first_frame(self, request: SampleRequest) -> str:
        """How the sample begins: given, image or generated."""
        option = request.options.get("first_frame")
        first_frame: str = option or ("given" if request.context else self.config.first_frame)
        check_choice("first_frame", first_frame, FIRST_FRAMES)
        if first_frame == "given" and not request.context:
            raise ZooError(
                "first_frame=given needs a real frame to begin with. Type context=1, or first_frame=generated."
            )
        if first_frame != "given" and request.context:
            raise ZooError(
                f"first_frame={first_frame} and context={request.context} contradict each other. Type context=0."
            )
        if first_frame == "image" and self.image_model is None:
            raise ZooError(
                "first_frame=image needs a model that was trained with model.first_frame=image model.image_run=<run of "
                "pix2pixhd>. Type first_frame=generated."
            )
        return first_frame

    def _sample_image_model(self, clip: Clip, request: SampleRequest) -> Sample:
        """The first frame, generated by the image model."""
        assert self.image_model is not None
        image = self.image_model.sample(SampleRequest(1, clip, seed=request.seed, draw=request.draw)).video[:, 0]
        return Sample(image, self._details(image, image, torch.ones_like(image[:, :1]), None))

    def _to_sample(self, generated: GeneratedFrame) -> Sample:
        """A generated frame at full size, with its details; flow in pixels of the full size."""
        mask = torch.ones_like(generated.frame[:, :1]) if generated.mask is None else generated.mask
        frame, intermediate, mask = (self.to_full_size(x) for x in (generated.frame, generated.intermediate, mask))
        flow = generated.flow
        if flow is not None:
            flow = self.to_full_size(flow) * (self.spec.height / flow.shape[-2])
        return Sample(frame, self._details(frame, intermediate, mask, flow))

    def _copy_real(self, frame: Tensor) -> Sample:
        """A context frame as a sample: nothing is generated."""
        return Sample(frame, self._details(frame, frame, torch.zeros_like(frame[:, :1]), None))

    def _details(self, frame: Tensor, intermediate: Tensor, mask: Tensor, flow: Tensor | None) -> dict[str, Tensor]:
        """Intermediate image, mask, and the flow if the model warps; None is zero flow."""
        details = {"intermediate": intermediate, "mask": mask}
        if self.config.uses_flow:
            details["flow"] = torch.zeros_like(frame[:, :2]) if flow is None else flow
        return details

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> Vid2Vid:
        """Build a model from the original release's ``<epoch>_net_G0.pth``, G1, … and its discriminators."""
        from zoo.models.vid2vid.convert import convert

        return convert(cls, folder, settings)


def _map_format(spec: ClipSpec) -> tuple[object, ...]:
    """Properties that the maps of two models must share if both are to translate them."""
    fields = {"labels", "instances", "condition"} & set(spec.fields)
    return fields, spec.label_names, spec.condition_kind, spec.condition_channels


def _stack_frames(images: list[Tensor | None]) -> Tensor | None:
    """(B, ., H, W) per frame -> (B, n, ., H, W); None if the generator does not predict it."""
    return None if images[0] is None else torch.stack(cast("list[Tensor]", images), 1)
