"""Card and config of vid2vid: plain data, imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from zoo.card import PAPER, ModelCard, register
from zoo.errors import check_choice
from zoo.fields.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range, Share
from zoo.models.image_translation.config import ImageTranslationConfig
from zoo.types import ClipSpec, CurriculumStage

CARD = ModelCard(
    name="vid2vid",
    title="Video-to-Video Synthesis",
    paper="Wang et al., NeurIPS 2018, arXiv 1808.06601",
    year=2018,
    code_licence="Apache-2.0, written from the paper",
    weights_licence="none published here",
    tasks=frozenset({"translate"}),
    needs=(("labels", "condition"), ("flow",)),
    uses=frozenset({"visibility", "instances"}),
    min_frames=3,
    adversarial=True,
    strategies=frozenset({"auto", "cpu", "ddp", "fsdp"}),
    streams=True,
    deterministic=True,
    options=frozenset({"first_frame", "appearance"}),
    budget_clips=300,
)

FIRST_FRAMES = ("given", "image", "generated")

PRESETS = {
    PAPER: {
        "width": 128,
        "downsamplings": 3,
        "blocks": 9,
        "norm_statistics": "batch",
        "foreground": True,
        "discriminator_width": 64,
        "pixel_weight": 0.0,
        "foreground_flow_share": 0.0,
        "mask_weight": 1.0,
        "lr": 2e-4,
        "discriminator_lr": 2e-4,
    }
}
"""The networks, objective and rates of the paper's street scenes; what is not here is as in the defaults."""


@register(CARD, builds=".model:Vid2Vid", presets=PRESETS)
@dataclass
class Vid2VidConfig(ImageTranslationConfig):
    """Settings of vid2vid.

    Symbols are the paper's.
    """

    training_only: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {**ImageTranslationConfig.training_only, "image_run": None}
    )

    name: str = "vid2vid"

    past_frames: PositiveInt = 2
    """L: number of past frames, and of their maps, that the generator sees."""

    uses_flow: bool = True
    """Warp the previous frame by the predicted flow and blend it with the newly generated image. false: every frame is
    generated without warping."""

    foreground: bool = False
    """Generate the foreground classes, which the data set declares, in a separate branch. Needs label maps."""

    video_frames: Annotated[int, Range(2, 100)] = 3
    """K: number of frames that the video discriminator D_V sees at a time."""

    temporal_scales: Annotated[int, Range(0, 10)] = 2
    """Number of temporal scales of D_V; 0 turns D_V off. At scale s the frames of a group are K^s apart."""

    sparse_groups: bool = False
    """Make the groups of frames that D_V sees disjoint. false: the groups of a step end at its new frames and may reach
    back over frames that were seen before."""

    frames_per_step: PositiveInt = 2
    """Generated frames per optimizer step. Memory grows with it."""

    backprop_frames: PositiveInt = 1
    """Number of frames that the gradient flows back through (truncated backpropagation through time)."""

    clip_frames: NonNegativeInt = 0
    """Curriculum in time: length of the first training clips in frames; it doubles every double_clips clips. 0: full
    length from the start."""

    double_clips: NonNegativeInt = 0
    """Curriculum in time: training clips after which the clip length doubles. 0: full length from the start."""

    first_frame: str = "generated"
    """How a video without a given real frame begins: generated (by this model, from nothing), image (by the image model
    of image_run) or given (not at all: sampling needs a real first frame)."""

    image_run: str | None = None
    """Run folder of a pix2pixhd model, trained on the same data, that generates the first frame. Needed for
    first_frame=image."""

    image_model: dict[str, Any] | None = None
    """Settings of the image model; written by the training, which stores its weights in the checkpoint. Not to be
    typed."""

    generated_start: Share = 0.2
    """Only with first_frame=generated: share of the steps whose clip begins from nothing, 0 to 1. The other steps begin
    from 1 to L real frames."""

    lr: PositiveFloat = 3e-4
    """Learning rate of Adam for the generator: constant in the first half of the training, then linearly to zero. The
    paper has 2e-4."""

    discriminator_lr: PositiveFloat = 3e-4
    """Learning rate of Adam for the discriminators, with the same schedule. The paper has 2e-4."""

    flow_weight: NonNegativeFloat = 10.0
    """Weight of the flow losses: error of the predicted flow, and of the real frame warped by it (eq. 8)."""

    foreground_flow_share: Share = 0.5
    """Share of the flow losses that the foreground classes have, 0 to 1, however few pixels they cover. 0: every pixel
    counts alike, as published."""

    consistency_weight: NonNegativeFloat = 10.0
    """Weight of the difference between a generated frame and the previous one warped by the reference flow."""

    mask_weight: NonNegativeFloat = 5.0
    """Only with first_frame=generated: penalty on generating pixels anew where the reference flow can be trusted. The
    release has 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("model.first_frame", self.first_frame, FIRST_FRAMES)

    @classmethod
    def tiny(cls) -> Vid2VidConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(
            width=8,
            downsamplings=1,
            blocks=2,
            scales=2,
            clips_per_scale=2,
            freeze_coarse_clips=2,
            local_blocks=1,
            clip_frames=4,
            double_clips=2,
            appearance_features=2,
            appearance_width=4,
            appearance_downsamplings=1,
            given="labels",
            discriminator_width=8,
            discriminator_layers=2,
            region=["head"],
            foreground=True,
        )

    @property
    def context_frames(self) -> tuple[int, int | None]:
        """Any number of real frames; at least 1 for first_frame=given."""
        return (int(self.first_frame == "given"), None)

    def foreground_channels(self, spec: ClipSpec) -> tuple[int, ...]:
        """Channels of a map that are foreground classes; empty if there is no foreground branch."""
        if not self.foreground or self.source(spec) != "labels":
            return ()
        return tuple(spec.label_names.index(name) for name in spec.foreground)

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """Spatial curriculum, and temporal curriculum: the clip length doubles every double_clips clips."""
        stage = super().curriculum_stage(clips_seen)
        if not self.clip_frames or not self.double_clips:
            return stage
        return replace(stage, frames=self.clip_frames * 2 ** (clips_seen // self.double_clips))

    def problems(self, spec: ClipSpec) -> list[str]:
        """Messages about settings that do not fit the clips."""
        problems = super().problems(spec)
        if not (self.image_run or self.image_model) and self.first_frame == "image":
            problems.append(
                "model.first_frame=image needs a model that generates the first frame. Type model.image_run=<run "
                "folder of pix2pixhd>, or train one: python -m zoo.train model=pix2pixhd"
            )
        if self.scales > 1 and not self.clips_per_scale and self.backprop_frames == 1:
            problems.append(
                f"model.scales={self.scales} needs a curriculum: all losses are computed at the finest scale, so a "
                "coarser scale is only trained before the next one joins. Try: model.clips_per_scale=<clips per scale>"
            )
        if self.clip_frames and self.clip_frames <= self.past_frames:
            problems.append(
                f"model.clip_frames={self.clip_frames} must exceed the {self.past_frames} frames that a clip starts "
                f"from. Try: model.clip_frames={self.past_frames + 1}"
            )
        return problems
