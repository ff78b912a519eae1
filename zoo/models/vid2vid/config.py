"""Card and config of vid2vid: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from zoo.card import ModelCard, register
from zoo.errors import one_of
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
    options=frozenset({"first_frame", "appearance"}),
)

FIRST_FRAMES = ("given", "image", "generated")


@register(CARD, builds=".model:Vid2Vid")
@dataclass
class Vid2VidConfig(ImageTranslationConfig):
    """Symbols are the paper's. Defaults are for a laptop; conf/experiment holds larger settings.

    The settings that it shares with pix2pixHD stand in ``ImageTranslationConfig``. past_frames: L, frames and maps of
    the past that the generator sees. uses_flow: whether the frame before is warped; without it every frame is painted
    anew. foreground: whether a branch of its own paints the classes that the data set declares as foreground.
    video_frames: K, frames that D_V sees. temporal_scales: scales of D_V, 0 for none. sparse_groups: whether the groups
    that D_V sees do not overlap. frames_per_step: generated frames per optimizer step. backprop_frames: frames through
    which the gradient runs back. clip_frames, double_clips: a clip is so long at first, and twice as long after every
    ``double_clips`` clips; 0 for the whole length from the start. first_frame: how a video begins for which no real
    frame is given: generated (from nothing), image (by the model of the run ``image_run``, which is kept in
    ``image_model`` and the checkpoint), or given (it does not). generated_start: share of steps whose clip starts from
    nothing, where first_frame is generated; the others start from 1 to L real frames. flow_weight: of the flow's error
    and of warping; consistency_weight: of a frame that follows the reference flow; mask_weight: of generating pixels
    where flow is trusted, where first_frame is generated.
    """

    name: str = "vid2vid"
    past_frames: int = 2
    uses_flow: bool = True
    foreground: bool = False
    video_frames: int = 3
    temporal_scales: int = 2
    sparse_groups: bool = False
    frames_per_step: int = 2
    backprop_frames: int = 1
    clip_frames: int = 0
    double_clips: int = 0
    first_frame: str = "generated"
    image_run: str | None = None
    image_model: dict[str, Any] | None = None
    generated_start: float = 0.2
    flow_weight: float = 10.0
    consistency_weight: float = 10.0
    mask_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("model.first_frame", self.first_frame, FIRST_FRAMES)

    @classmethod
    def tiny(cls) -> Vid2VidConfig:
        """The smallest one that has every part, for tests."""
        return cls(
            width=8,
            downsamplings=1,
            blocks=2,
            scales=2,
            clips_per_scale=2,
            finest_alone_clips=2,
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
    def least_context(self) -> int:
        """One where a video begins with nothing else."""
        return int(self.first_frame == "given")

    def foreground_channels(self, spec: ClipSpec) -> tuple[int, ...]:
        """The channels of a map that are foreground classes; none where the branch is off or has nothing to paint."""
        if not self.foreground or self.source(spec) != "labels":
            return ()
        return tuple(spec.label_names.index(name) for name in spec.foreground)

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """The curriculum in space, and in time: a clip's length doubles."""
        stage = super().curriculum_stage(clips_seen)
        if not self.clip_frames or not self.double_clips:
            return stage
        return replace(stage, frames=self.clip_frames * 2 ** (clips_seen // self.double_clips))

    def problems(self, spec: ClipSpec) -> list[str]:
        """Sentences about what does not fit the clips."""
        sentences = super().problems(spec)
        if not (self.image_run or self.image_model) and self.first_frame == "image":
            sentences.append(
                "model.first_frame=image needs a model that paints the first frame: model.image_run=<run folder of "
                "pix2pixhd>. Train one: python -m zoo.train model=pix2pixhd"
            )
        if self.scales > 1 and not self.clips_per_scale and self.backprop_frames == 1:
            sentences.append(
                f"model.scales={self.scales}: every loss looks at the finest scale, so the coarser ones learn to paint "
                "only before a finer one joins. Try: model.clips_per_scale=<clips that each scale is trained before>"
            )
        if self.clip_frames and self.clip_frames <= self.past_frames:
            sentences.append(
                f"model.clip_frames={self.clip_frames} is no longer than the {self.past_frames} frames that a clip "
                f"starts from. Try: model.clip_frames={self.past_frames + 1}"
            )
        return sentences
