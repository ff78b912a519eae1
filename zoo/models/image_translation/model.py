"""Base class of models that translate maps to images: maps, curriculum, optimizers, appearances, and the main loops.

Shapes: B clips, T frames, n frames, C channels of a map, D channels of an appearance, H x W pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.appearance import AppearanceEncoder, AppearanceMixtures, Appearances, region_appearances, region_ids
from zoo.blocks.convolution import find_norm
from zoo.blocks.maps import check_label_ids, instance_edges, one_hot, pyramid
from zoo.errors import ZooError
from zoo.losses.gan import GANLosses
from zoo.model import VideoModel, pieces
from zoo.models.image_translation.appearance_memory import AppearanceMemory, ChosenAppearance
from zoo.models.image_translation.config import ImageTranslationConfig
from zoo.models.image_translation.objective import ImageObjective
from zoo.types import Appearance, Clip, ClipSpec, CurriculumStage, SampleRequest

ConfigT = TypeVar("ConfigT", bound=ImageTranslationConfig)
SLOW_FACTOR = 0.1  # factor on the learning rate of slow_parameters()


@dataclass(frozen=True)
class GivenFrame:
    """One frame that a sample is conditioned on."""

    index: int
    """From 0."""

    clip: Clip
    """The fields of this frame; T is 1."""

    maps: Tensor
    """(B, C+D, H, W), its map and, for multimodal models, the appearances of its regions."""


class ImageTranslationModel(VideoModel[ConfigT], Generic[ConfigT]):
    """Base of vid2vid and pix2pixHD. Subclasses build ``generator`` and define ``step_losses`` and ``stream``.

    Raises ZooError if the settings do not fit the clips.
    """

    generator: nn.Module

    def __init__(self, config: ConfigT, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        problems = config.problems(spec)
        if problems:
            raise ZooError("\n".join(problems))
        self.source: str = config.source(spec)
        self.uses_instance_edges = self.source == "labels" and config.instance_edges and "instances" in spec.fields
        classes = len(spec.label_names) if self.source == "labels" else spec.condition_channels
        self.map_channels = classes + int(self.uses_instance_edges)
        self.norm = find_norm(config.norm, config.norm_statistics)
        self.appearance: AppearanceEncoder | None = None
        if config.appearance_features:
            self.appearance = AppearanceEncoder(
                config.appearance_features, config.appearance_width, config.appearance_downsamplings, self.norm
            )
            self.mixtures = AppearanceMixtures(classes, config.appearance_modes, config.appearance_features)
        region_classes = [spec.label_names.index(name) for name in config.region]
        self.objective = ImageObjective(config, self.map_channels, self.norm, region_classes)

    def ema_parts(self) -> dict[str, nn.Module]:
        """The generator, and the appearance encoder if there is one."""
        parts: dict[str, nn.Module] = {"generator": self.generator}
        return parts | ({"appearance": self.appearance} if self.appearance is not None else {})

    def notes(self) -> list[str]:
        """Report that the perceptual loss is off because no classifier is installed."""
        if self.config.perceptual_weight and self.config.perceptual == "auto" and self.objective.perceptual is None:
            return [
                "The perceptual loss is off: no image classifier is installed. To turn it on, type "
                "pip install 'video-zoo[features]', or use VGG-19: model.perceptual=vgg19 "
                "model.perceptual_file=<file>."
            ]
        return []

    # ---------------------------------------------------------------- maps

    def on_before_batch_transfer(self, batch: Clip | None, dataloader_idx: int) -> Clip | None:
        """Check the label ids of a batch while it is on the CPU; on the device, the check would synchronise."""
        if batch is not None:  # None on a rank without clips to evaluate
            self.check_labels(batch)
        return batch

    def check_labels(self, clip: Clip) -> None:
        """Raise ZooError for label ids that the model has no channel for."""
        if self.source == "labels":
            check_label_ids(clip["labels"], len(self.spec.label_names))

    def input_maps(self, clip: Clip) -> Tensor:
        """The map of every frame, (B, T, C, H, W): one-hot labels and instance edges, or the dense condition.

        Raises ZooError for missing instances and for instance maps of another size than the labels.
        """
        if self.source == "condition":
            return clip["condition"]
        maps = one_hot(clip["labels"], len(self.spec.label_names))
        if self.uses_instance_edges:
            if "instances" not in clip:
                raise ZooError(
                    "This model uses instance edges, but there are no instance maps. "
                    "Type given_instances=<folder of PNGs with instance ids>."
                )
            if clip["instances"].shape != clip["labels"].shape:
                raise ZooError(
                    f"The instance maps have the shape {tuple(clip['instances'].shape)}, the label maps "
                    f"{tuple(clip['labels'].shape)}. Expected one instance map of the same size for each label map."
                )
            maps = torch.cat([maps, instance_edges(clip["instances"])], 2)
        return maps.to(self.dtype)

    # ---------------------------------------------------------------- curriculum

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """Curriculum stage after ``clips_seen`` training clips."""
        return self.config.curriculum_stage(clips_seen)

    @property
    def current_stage(self) -> CurriculumStage:
        """Stage of the current training batch, whose clips are already counted in ``clips_seen``."""
        return self.curriculum_stage(self.clips_seen - self.step_clips)

    def active_scales(self, stage: CurriculumStage) -> int:
        """Number of generators that take part in a stage."""
        return self.config.scales - (stage.downscale.bit_length() - 1)

    @property
    def trained_scales(self) -> int:
        """Number of generators that have been trained so far; sampling uses only these."""
        return self.active_scales(self.curriculum_stage(max(self.clips_seen - 1, 0)))

    def trained_pyramid(self, images: Tensor) -> list[Tensor]:
        """Images or maps, (..., H, W), at the scales that have been trained, coarsest first."""
        return pyramid(images, self.config.scales)[: self.trained_scales]

    def to_full_size(self, images: Tensor) -> Tensor:
        """Resize images of the finest trained scale, (B, C, h, w), to the size of a clip, (B, C, H, W)."""
        size = (self.spec.height, self.spec.width)
        if self.trained_scales == self.config.scales:
            return images
        return F.interpolate(images, size, mode="bilinear", align_corners=False)

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Go through the clip a few frames at a time; each time, step the optimizers. Logs the mean of each loss."""
        self.set_learning_rate()
        parts: dict[str, list[Tensor]] = {}
        for losses in self.step_losses(clip, self.current_stage):
            self.optimizer_steps(*losses)
            for name, value in (losses.generator | losses.discriminator).items():
                parts.setdefault(name, []).append(value.detach())
        self.log_losses({name: torch.stack(values).mean() for name, values in parts.items()})

    @abstractmethod
    def step_losses(self, clip: Clip, stage: CurriculumStage) -> Iterator[GANLosses]:
        """Yield the losses of each optimizer step on a clip. The optimizers step between two iterations."""

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for generator and appearance encoder, one for the discriminators."""
        betas = (self.config.beta1, self.config.beta2)
        slow = {id(p) for p in self.slow_parameters()}
        generator = [p for part in self.ema_parts().values() for p in part.parameters()]
        generator_ids = {id(p) for p in generator}
        discriminator = [p for p in self.parameters() if p.requires_grad and id(p) not in generator_ids]
        groups = [
            {"params": [p for p in generator if id(p) not in slow], "factor": 1.0},
            {"params": [p for p in generator if id(p) in slow], "factor": SLOW_FACTOR},
        ]
        return [
            self.adam([group for group in groups if group["params"]], self.config.lr, betas),
            self.adam([{"params": discriminator, "factor": 1.0}], self.config.discriminator_lr, betas),
        ]

    def slow_parameters(self) -> list[nn.Parameter]:
        """Parameters with a tenth of the learning rate."""
        return []

    def set_learning_rate(self) -> None:
        """Set the learning rates: constant in the first half of the budget, then linearly to zero."""
        decay = min(1.0, 2.0 * (1.0 - self.progress))
        rates = (self.config.lr, self.config.discriminator_lr)
        for optimizer, rate in zip(self.trainer.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = decay * rate * group["factor"]

    # ---------------------------------------------------------------- multimodal synthesis

    @property
    def multimodal(self) -> bool:
        """Whether there is an appearance encoder."""
        return self.appearance is not None

    def with_appearances(self, clip: Clip, maps: Tensor) -> Tensor:
        """For training: append to each map the appearances of its regions in the real frame, (B, T, C+D, H, W)."""
        if self.appearance is None:
            return maps
        images = rearrange(clip["video"], "b t c h w -> (b t) c h w")
        appearances = self.appearance(images, rearrange(self.regions(clip), "b t h w -> (b t) h w"))
        return torch.cat([maps, rearrange(appearances, "(b t) c h w -> b t c h w", b=len(maps)).to(maps.dtype)], 2)

    @staticmethod
    def regions(clip: Clip) -> Tensor:
        """Region id of each pixel, (B, T, H, W) int64."""
        return region_ids(clip["labels"], clip.get("instances"))

    @torch.no_grad()
    def encode_appearances(self, image: Tensor, regions: Tensor) -> Appearances:
        """Appearance of each region of an image: (3, H, W) and ids (H, W) -> region id -> (D,)."""
        assert self.appearance is not None
        return region_appearances(self.appearance.layers(image[None])[0], regions)

    @torch.no_grad()
    def on_validation_start(self) -> None:
        """Fit the mixtures to the appearances of training clips, with the weights that are used for sampling."""
        super().on_validation_start()
        if self.appearance is None or not hasattr(self.trainer.train_dataloader, "first_clips"):
            return
        self.mixtures.fit(self._training_appearances())

    def _training_appearances(self) -> Iterator[Appearances]:
        for clip in self.trainer.train_dataloader.first_clips(self.config.appearance_clips):  # type: ignore[union-attr]
            video, regions = clip["video"].to(self.device, self.dtype), self.regions(clip).to(self.device)
            yield self.encode_appearances(video[0, 0], regions[0, 0])

    def appearance_memories(self, request: SampleRequest, clips: int) -> list[AppearanceMemory]:
        """One memory per clip of a batch; empty for a model that is not multimodal.

        Raises ZooError if an appearance was chosen for a model that is not multimodal.
        """
        appearance: Appearance | None = request.options.get("appearance")
        if self.appearance is None:
            if appearance is not None:
                raise ZooError(
                    f"This {self.card.name} generates one appearance of a map. To choose appearances, train it with "
                    "model.appearance_features=3."
                )
            return []
        chosen = None
        if appearance is not None:
            chosen = ChosenAppearance(appearance, self.appearance.layers(appearance.image[None].to(self.device))[0])
        return [AppearanceMemory(self.mixtures, (request.seed, request.draw), chosen) for _ in range(clips)]

    def with_remembered_appearances(
        self, clip: Clip, maps: Tensor, memories: list[AppearanceMemory], observe: bool
    ) -> Tensor:
        """For sampling: append to maps (B, C, H, W) of one frame the appearances of its regions, (B, C+D, H, W).

        clip: the frame; T is 1. observe: store the appearances of the real frame in the memories first.
        """
        if not memories:
            return maps
        regions = self.regions(clip)[:, 0]
        if observe:
            for memory, frame, region in zip(memories, clip["video"][:, 0], regions, strict=True):
                memory.observe(self.encode_appearances(frame, region))
        appearances = [memory.appearance_map(region) for memory, region in zip(memories, regions, strict=True)]
        return torch.cat([maps, torch.stack(appearances).to(maps.dtype)], 1)

    # ---------------------------------------------------------------- sampling

    def given_frames(self, request: SampleRequest) -> Iterator[GivenFrame]:
        """Yield the ``request.frames`` frames that a sample is conditioned on, one by one.

        Regions of the context frames get the appearances of the real frames. Raises ZooError for label ids that the
        model has no channel for, and if fewer frames are given than requested.
        """
        memories: list[AppearanceMemory] | None = None
        index = 0
        for piece in pieces(request.given):
            self.check_labels(piece)
            for t in range(piece[self.source].shape[1]):  # type: ignore[literal-required]
                clip = slice_frames(piece, t, t + 1)
                maps = self.input_maps(clip)[:, 0]
                if memories is None:
                    memories = self.appearance_memories(request, len(maps))
                maps = self.with_remembered_appearances(clip, maps, memories, observe=index < request.context)
                yield GivenFrame(index, clip, maps)
                index += 1
                if index == request.frames:
                    return
        raise ZooError(f"{request.frames} frames are requested, but only {index} are given. Type frames={index}.")

    def for_sampling(self) -> Self:
        """Drop submodules that only training uses; returns the model."""
        needed = {id(part) for part in self.ema_parts().values()}
        for name, module in list(self.named_children()):
            if id(module) not in needed and name != "mixtures":
                delattr(self, name)
        return self


def slice_frames(clip: Clip, start: int, stop: int) -> Clip:
    """Frames ``start`` to ``stop - 1`` of the video and of the fields that condition a model."""
    fields = ("video", "labels", "instances", "condition")
    return cast(Clip, {name: clip[name][:, start:stop] for name in fields if name in clip})  # type: ignore[literal-required]


def merge_time(frames: Tensor) -> Tensor:
    """(B, n, ...) -> (B·n, ...)."""
    return frames.flatten(0, 1)
