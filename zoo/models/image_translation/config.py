"""The settings of every model that paints maps: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from zoo.card import ModelConfig
from zoo.errors import ZooError, listed, nearest, one_of
from zoo.types import ClipSpec, CurriculumStage


@dataclass
class ImageTranslationConfig(ModelConfig):
    """Settings of the pix2pixHD family.

    given: which map of a clip is painted: labels, condition, or auto, which takes the condition where there is one.
    instance_edges: whether the borders of instances are drawn beside the labels, where the data has instances.
    scales: generators coarse to fine, 1 to 3; width, downsamplings, blocks: of the coarsest; local_blocks: residual
    blocks of a finer one. clips_per_scale: clips
    after which the next finer scale joins, 0 for all from the start. finest_alone_clips: clips for which a scale that
    joins learns alone. norm: instance or batch. norm_statistics: what sampling normalises by, batch (the picture at
    hand) or running (averages over training).
    appearance_features: D, channels of the appearance of a region, 0 for one appearance a map; the encoder has
    ``appearance_width`` and ``appearance_downsamplings``, its mixtures ``appearance_modes`` a class, fitted to
    ``appearance_clips`` training clips.
    region: names of classes that a discriminator of their own looks at, as faces in the paper; weighted by
    ``region_weight``.
    objective: ls, hinge or original. pixel_weight: of the L1 distance of pixels, which the papers do not have; it
    shortens a training of minutes, and 0 is the papers' objective. perceptual: vgg19, efficientnet_lite0, none, or
    auto, which takes what is installed; perceptual_file: its weights. lr, discriminator_lr: of Adam; the papers have
    2e-4 for both.
    """

    given: str = "auto"
    instance_edges: bool = True
    scales: int = 1
    width: int = 16
    downsamplings: int = 2
    blocks: int = 4
    local_blocks: int = 3
    clips_per_scale: int = 0
    finest_alone_clips: int = 0
    norm: str = "batch"
    norm_statistics: str = "running"
    appearance_features: int = 0
    appearance_width: int = 16
    appearance_downsamplings: int = 2
    appearance_modes: int = 4
    appearance_clips: int = 32
    discriminator_width: int = 16
    discriminator_layers: int = 3
    discriminator_scales: int = 2
    region: list[str] = field(default_factory=list)
    region_weight: float = 2.0
    objective: str = "ls"
    feature_weight: float = 10.0
    pixel_weight: float = 20.0
    perceptual: str = "auto"
    perceptual_file: str | None = None
    perceptual_weight: float = 10.0
    lr: float = 1e-3
    discriminator_lr: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.999

    def __post_init__(self) -> None:
        one_of("model.given", self.given, ("auto", "labels", "condition"))
        one_of("model.norm", self.norm, ("instance", "batch"))
        one_of("model.norm_statistics", self.norm_statistics, ("batch", "running"))
        one_of("model.objective", self.objective, ("ls", "hinge", "original"))
        one_of("model.perceptual", self.perceptual, ("auto", "vgg19", "efficientnet_lite0", "none"))
        if not 1 <= self.scales <= self.most_scales:
            raise ZooError(f"model.scales={self.scales}: {self.name} has 1 to {self.most_scales}. Try: model.scales=1")

    @property
    def most_scales(self) -> int:
        """How many generators the model can have."""
        return 3

    def source(self, spec: ClipSpec) -> str:
        """The field that is painted."""
        if self.given == "auto":
            return "condition" if "condition" in spec.fields else "labels"
        return self.given

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """The spatial curriculum: the coarsest scale alone at its size, then a finer one, first learning alone."""
        if not self.clips_per_scale:
            return CurriculumStage(freeze_coarse=self.scales > 1 and clips_seen < self.finest_alone_clips)
        joined = min(clips_seen // self.clips_per_scale, self.scales - 1)
        alone = joined > 0 and clips_seen - joined * self.clips_per_scale < self.finest_alone_clips
        return CurriculumStage(downscale=2 ** (self.scales - 1 - joined), freeze_coarse=alone)

    def problems(self, spec: ClipSpec) -> list[str]:
        """Sentences about what does not fit the clips."""
        return [*self._fields(spec), *self._classes(spec), *self._sizes(spec)]

    def _fields(self, spec: ClipSpec) -> list[str]:
        source, sentences = self.source(spec), []
        if source not in spec.fields:
            sentences.append(f"model.given={self.given}, but the data set provides {listed(spec.fields)}.")
        if self.appearance_features and (source != "labels" or "video" not in spec.fields):
            sentences.append(
                "model.appearance_features needs regions, so it paints labels; this model paints the condition. "
                "Try: model.given=labels"
            )
        return sentences

    def _classes(self, spec: ClipSpec) -> list[str]:
        if self.region and "labels" not in spec.fields:
            return [f"model.region={self.region} needs `labels`; the data set provides {listed(spec.fields)}."]
        return [
            f"model.region={name} is no class of the data set.{nearest(name, spec.label_names)} "
            f"Known: {listed(spec.label_names)}."
            for name in self.region
            if name not in spec.label_names
        ]

    def _sizes(self, spec: ClipSpec) -> list[str]:
        multiple = 2 ** (self.downsamplings + self.scales - 1)
        sentences = []
        for name, pixels in (("height", spec.height), ("width", spec.width)):
            if pixels % multiple or pixels < 2 * multiple:
                near = max(round(pixels / multiple), 2) * multiple
                sentences.append(
                    f"{self.name} with model.scales={self.scales} and model.downsamplings={self.downsamplings} needs "
                    f"a {name} that is a multiple of {multiple}, {2 * multiple} at least; it is {pixels}. "
                    f"Try: data.{name}={near}"
                )
        return sentences
