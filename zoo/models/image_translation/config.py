"""Settings shared by vid2vid and pix2pixHD: plain data, imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from zoo.card import ModelConfig
from zoo.errors import ZooError, check_choice, joined, suggest
from zoo.fields.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    OptionalLayers,
    PositiveFloat,
    PositiveInt,
    Range,
    ShareBelowOne,
    Units,
)
from zoo.types import ClipSpec, CurriculumStage


@dataclass
class ImageTranslationConfig(ModelConfig):
    """Settings that pix2pixHD and vid2vid share."""

    training_only: ClassVar[Mapping[str, Any]] = MappingProxyType({"perceptual": "none", "perceptual_file": None})

    given: str = "auto"
    """Map that frames are generated from: labels, condition, or auto (the condition if there is one, else the
    labels)."""

    instance_edges: bool = True
    """Add a channel with the borders of instances to the labels, if the data set provides instances."""

    scales: Annotated[int, Range(1, 3)] = 1
    """Number of generators, coarse to fine; each doubles the resolution of the one before. 1 to 3 for vid2vid; for
    pix2pixHD 1 (the global generator) or 2 (a local enhancer around it)."""

    width: Units = 16
    """Channels of the first layer of the coarsest generator; every finer one has half as many."""

    downsamplings: Annotated[int, Range(0, 10)] = 2
    """Number of downsamplings of the coarsest generator. Height and width must be multiples of
    2^(downsamplings + scales - 1)."""

    blocks: OptionalLayers = 4
    """Residual blocks of the coarsest generator."""

    local_blocks: OptionalLayers = 3
    """Residual blocks of every finer generator."""

    clips_per_scale: NonNegativeInt = 0
    """Curriculum in space: training clips after which the next finer generator joins. 0: all from the start."""

    freeze_coarse_clips: NonNegativeInt = 0
    """Curriculum in space: training clips for which a newly joined generator is trained while the coarser ones are
    frozen."""

    norm: str = "batch"
    """Normalisation layers: instance or batch."""

    norm_statistics: str = "running"
    """Statistics that batch norm uses in sampling: batch (those of the current image) or running (averages over the
    training)."""

    appearance_features: Annotated[int, Range(0, 65_536)] = 0
    """D: channels of the appearance encoding of a region, which makes the model multimodal. 0: one appearance per
    map."""

    appearance_width: Units = 16
    """Channels of the first layer of the appearance encoder."""

    appearance_downsamplings: Annotated[int, Range(0, 10)] = 2
    """Number of downsamplings of the appearance encoder."""

    appearance_modes: PositiveInt = 4
    """Components of the Gaussian mixture that is fitted to the appearances of each class."""

    appearance_clips: PositiveInt = 32
    """Number of training clips that the mixtures are fitted to."""

    discriminator_width: Units = 16
    """Channels of the first layer of the finest discriminator; coarser ones have up to 64."""

    discriminator_layers: Annotated[int, Range(0, 10)] = 3
    """Number of downsampling convolutions of each discriminator."""

    discriminator_scales: Annotated[int, Range(1, 10)] = 2
    """Number of discriminators, each at half the resolution of the one before."""

    region: list[str] = field(default_factory=list)
    """Names of the classes that an extra discriminator looks at, such as the face in the papers. Empty: none."""

    region_weight: NonNegativeFloat = 2.0
    """Weight of the losses of the extra discriminator."""

    objective: str = "ls"
    """Adversarial objective: ls (least squares), hinge, or original (non-saturating cross-entropy)."""

    feature_weight: NonNegativeFloat = 10.0
    """Weight of feature matching: the L1 distance of real and generated images in the discriminators' features."""

    pixel_weight: NonNegativeFloat = 20.0
    """Weight of the L1 distance of pixels. The papers do not have it (0); it speeds up trainings of minutes."""

    perceptual: str = "auto"
    """Network of the perceptual loss: vgg19, efficientnet_lite0, none, or auto (whichever is installed, VGG-19
    first)."""

    perceptual_file: str | None = None
    """Weights file of that network. None: the file in torch's cache, or the one of the extra `features`."""

    perceptual_weight: NonNegativeFloat = 10.0
    """Weight of the perceptual loss; 0 turns it off."""

    lr: PositiveFloat = 1e-3
    """Learning rate of Adam for the generator: constant in the first half of the training, then linearly to zero. The
    papers have 2e-4."""

    discriminator_lr: PositiveFloat = 1e-3
    """Learning rate of Adam for the discriminators, with the same schedule. The papers have 2e-4."""

    beta1: ShareBelowOne = 0.5
    """β₁ of both Adam optimizers."""

    beta2: ShareBelowOne = 0.999
    """β₂ of both Adam optimizers."""

    def __post_init__(self) -> None:
        check_choice("model.given", self.given, ("auto", "labels", "condition"))
        check_choice("model.norm", self.norm, ("instance", "batch"))
        check_choice("model.norm_statistics", self.norm_statistics, ("batch", "running"))
        check_choice("model.objective", self.objective, ("ls", "hinge", "original"))
        check_choice("model.perceptual", self.perceptual, ("auto", "vgg19", "efficientnet_lite0", "none"))
        if self.scales > self.max_scales:
            raise ZooError(
                f"model.scales={self.scales}, but {self.name} has 1 to {self.max_scales} scales. Try: model.scales=1"
            )

    @property
    def max_scales(self) -> int:
        """Largest number of generators."""
        return 3

    def source(self, spec: ClipSpec) -> str:
        """Field of a clip that is translated: labels or condition."""
        if self.given == "auto":
            return "condition" if "condition" in spec.fields else "labels"
        return self.given

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """Spatial curriculum: train the coarsest scale at its size, then add finer ones, each alone at first."""
        if not self.clips_per_scale:
            return CurriculumStage(freeze_coarse=self.scales > 1 and clips_seen < self.freeze_coarse_clips)
        joined = min(clips_seen // self.clips_per_scale, self.scales - 1)
        freeze = joined > 0 and clips_seen - joined * self.clips_per_scale < self.freeze_coarse_clips
        return CurriculumStage(downscale=2 ** (self.scales - 1 - joined), freeze_coarse=freeze)

    def problems(self, spec: ClipSpec) -> list[str]:
        """Messages about settings that do not fit the clips."""
        return [*self._field_problems(spec), *self._region_problems(spec), *self._size_problems(spec)]

    def _field_problems(self, spec: ClipSpec) -> list[str]:
        source, problems = self.source(spec), []
        if source not in spec.fields:
            problems.append(f"model.given={self.given}, but the data set provides {joined(spec.fields)}.")
        if self.appearance_features and (source != "labels" or "video" not in spec.fields):
            problems.append(
                f"model.appearance_features={self.appearance_features} needs labels, but this model translates the "
                "condition. Try: model.given=labels"
            )
        return problems

    def _region_problems(self, spec: ClipSpec) -> list[str]:
        if self.region and "labels" not in spec.fields:
            return [f"model.region={self.region} needs `labels`, but the data set provides {joined(spec.fields)}."]
        return [
            f"model.region={name} is not a class of the data set.{suggest(name, spec.label_names)} "
            f"Known: {joined(spec.label_names)}."
            for name in self.region
            if name not in spec.label_names
        ]

    def _size_problems(self, spec: ClipSpec) -> list[str]:
        multiple = 2 ** (self.downsamplings + self.scales - 1)
        problems = []
        for name, pixels in (("height", spec.height), ("width", spec.width)):
            if pixels % multiple or pixels < 2 * multiple:
                near = max(round(pixels / multiple), 2) * multiple
                problems.append(
                    f"{self.name} with model.scales={self.scales} and model.downsamplings={self.downsamplings} needs "
                    f"a {name} that is a multiple of {multiple} and at least {2 * multiple}; it is {pixels}. "
                    f"Try: data.{name}={near}"
                )
        return problems
