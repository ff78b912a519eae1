"""A model that paints maps: how it reads them, learns in stages and keeps several appearances apart.

Shapes: B clips, T frames, C channels of a map, D channels of an appearance, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Self, TypeVar, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.appearance import AppearanceEncoder, AppearanceMixtures, Appearances, region_appearances, region_ids
from zoo.blocks.convolution import find_norm
from zoo.blocks.maps import check_label_ids, instance_edges, one_hot, pyramid
from zoo.errors import ZooError
from zoo.model import VideoModel, pieces
from zoo.models.image_translation.appearance_memory import AppearanceMemory, ChosenAppearance
from zoo.models.image_translation.config import ImageTranslationConfig
from zoo.models.image_translation.objective import PictureObjective
from zoo.types import Appearance, Clip, ClipSpec, CurriculumStage, SampleRequest

ConfigT = TypeVar("ConfigT", bound=ImageTranslationConfig)
SLOW = 0.1  # share of the learning rate for parameters that move their output further than others


class ImageTranslationModel(VideoModel[ConfigT], Generic[ConfigT]):
    """The base of vid2vid and pix2pixHD; a subclass builds ``generator`` and gives the losses."""

    generator: nn.Module

    def __init__(self, config: ConfigT, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        self.automatic_optimization = False
        problems = config.problems(spec)
        if problems:
            raise ZooError("\n".join(problems))
        self.source: str = config.source(spec)
        self.draws_instances = self.source == "labels" and config.instance_edges and "instances" in spec.fields
        classes = len(spec.label_names) if self.source == "labels" else spec.condition_channels
        self.map_channels = classes + int(self.draws_instances)
        self.norm = find_norm(config.norm, config.norm_statistics)
        self.appearance: AppearanceEncoder | None = None
        if config.appearance_features:
            self.appearance = AppearanceEncoder(
                config.appearance_features, config.appearance_width, config.appearance_downsamplings, self.norm
            )
            self.mixtures = AppearanceMixtures(classes, config.appearance_modes, config.appearance_features)
        region = [spec.label_names.index(name) for name in config.region]
        self.objective = PictureObjective(config, self.map_channels, self.norm, region)

    def ema_parts(self) -> dict[str, nn.Module]:
        """The generator, and the encoder of appearances where there is one."""
        parts: dict[str, nn.Module] = {"generator": self.generator}
        return parts | ({"appearance": self.appearance} if self.appearance is not None else {})

    def notes(self) -> list[str]:
        """What could not be had here."""
        if self.config.perceptual_weight and self.config.perceptual == "auto" and self.objective.perceptual is None:
            return [
                "The perceptual loss is off: no features of an image classifier here. To have it, type "
                "pip install 'video-zoo[features]', or give VGG-19: model.perceptual=vgg19 "
                "model.perceptual_file=<file>."
            ]
        return []

    # ---------------------------------------------------------------- what is painted

    def on_before_batch_transfer(self, batch: Clip | None, dataloader_idx: int) -> Clip | None:
        """Check the ids of a batch while it is on the processor: a step never waits for the device to do so."""
        if batch is not None:  # as on a rank that has no clips to evaluate
            self.check(batch)
        return batch

    def moments(self, given: Clip | Iterable[Clip] | None) -> Iterator[tuple[Clip, Tensor]]:
        """What a sample is painted from, checked, frame by frame: of one frame, and its map, (B, C, H, W)."""
        for piece in pieces(given):
            self.check(piece)
            for t in range(piece[self.source].shape[1]):  # type: ignore[literal-required]
                moment = cut(piece, t, t + 1)
                yield moment, self.encode(moment)[:, 0]

    def check(self, clip: Clip) -> None:
        """A ZooError for labels that this model has no channel for."""
        if self.source == "labels":
            check_label_ids(clip["labels"], len(self.spec.label_names))

    def encode(self, clip: Clip) -> Tensor:
        """The map of every frame, (B, T, C, H, W): one-hot labels and instance edges, or the dense condition."""
        if self.source == "condition":
            return clip["condition"]
        maps = one_hot(clip["labels"], len(self.spec.label_names))
        if self.draws_instances:
            if "instances" not in clip:
                raise ZooError(
                    "This model draws the borders of instances, and what is given has no instances. "
                    "Type given_instances=<folder of PNGs with instance ids>."
                )
            if clip["instances"].shape != clip["labels"].shape:
                raise ZooError(
                    f"The instance map has the shape {tuple(clip['instances'].shape)}, the labels "
                    f"{tuple(clip['labels'].shape)}. One map of the same size is expected for each frame."
                )
            maps = torch.cat([maps, instance_edges(clip["instances"])], 2)
        return maps.to(self.dtype)

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """The curriculum."""
        return self.config.curriculum_stage(clips_seen)

    @property
    def current_stage(self) -> CurriculumStage:
        """The stage that the batch at hand was made for; the clock has counted it already."""
        return self.curriculum_stage(self.clips_seen - self.step_clips)

    def scales_at(self, stage: CurriculumStage) -> int:
        """How many generators take part."""
        return self.config.scales - (stage.downscale.bit_length() - 1)

    @property
    def trained_scales(self) -> int:
        """How many generators have been trained so far; sampling uses no other."""
        return self.scales_at(self.curriculum_stage(max(self.clips_seen - 1, 0)))

    def scaled(self, maps: Tensor) -> list[Tensor]:
        """Maps (..., H, W) for the scales that are trained, coarsest first."""
        return pyramid(maps, self.config.scales)[: self.trained_scales]

    def full_size(self, images: Tensor) -> Tensor:
        """Images of a scale, (B, C, h, w), at the size of a clip; those of the finest scale are."""
        size = (self.spec.height, self.spec.width)
        if self.trained_scales == self.config.scales:
            return images
        return F.interpolate(images, size, mode="bilinear", align_corners=False)

    # ---------------------------------------------------------------- training

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for what paints, Adam for the discriminators; their losses share no parameter."""
        betas = (self.config.beta1, self.config.beta2)
        slow = {id(p) for p in self.slow_parameters()}
        generator = [p for part in self.ema_parts().values() for p in part.parameters()]
        held = {id(p) for p in generator}
        discriminator = [p for p in self.parameters() if p.requires_grad and id(p) not in held]
        groups = [
            {"params": [p for p in generator if id(p) not in slow], "share": 1.0},
            {"params": [p for p in generator if id(p) in slow], "share": SLOW},
        ]
        return [
            self.adam([group for group in groups if group["params"]], self.config.lr, betas),
            self.adam([{"params": discriminator, "share": 1.0}], self.config.discriminator_lr, betas),
        ]

    def slow_parameters(self) -> list[nn.Parameter]:
        """Those that learn at a tenth of the rate."""
        return []

    def set_learning_rate(self) -> None:
        """Constant in the first half of the budget, then linearly to zero."""
        factor = min(1.0, 2.0 * (1.0 - self.progress))
        rates = (self.config.lr, self.config.discriminator_lr)
        for optimizer, rate in zip(self.trainer.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = factor * rate * group["share"]

    # ---------------------------------------------------------------- several appearances

    @property
    def multimodal(self) -> bool:
        """Whether there is an encoder of appearances."""
        return self.appearance is not None

    def with_appearances(self, clip: Clip, maps: Tensor) -> Tensor:
        """In training: beside each map the appearance of every region as the real frame has it, (B, T, C+D, H, W)."""
        if self.appearance is None:
            return maps
        images = rearrange(clip["video"], "b t c h w -> (b t) c h w")
        appearances = self.appearance(images, rearrange(self.regions(clip), "b t h w -> (b t) h w"))
        return torch.cat([maps, rearrange(appearances, "(b t) c h w -> b t c h w", b=len(maps)).to(maps.dtype)], 2)

    @staticmethod
    def regions(clip: Clip) -> Tensor:
        """The region that each pixel lies in, (B, T, H, W) int64."""
        return region_ids(clip["labels"], clip.get("instances"))

    @torch.no_grad()
    def appearances_in(self, image: Tensor, regions: Tensor) -> Appearances:
        """The appearance of each region of a picture, (3, H, W) and (H, W)."""
        assert self.appearance is not None
        return region_appearances(self.appearance.layers(image[None])[0], regions)

    @torch.no_grad()
    def on_validation_start(self) -> None:
        """Fit the mixtures to appearances of training clips, with the weights that are sampled from."""
        super().on_validation_start()
        if self.appearance is None or not hasattr(self.trainer.train_dataloader, "first_clips"):
            return
        self.mixtures.fit(self._training_appearances())

    def _training_appearances(self) -> Iterator[Appearances]:
        for clip in self.trainer.train_dataloader.first_clips(self.config.appearance_clips):  # type: ignore[union-attr]
            video, regions = clip["video"].to(self.device, self.dtype), self.regions(clip).to(self.device)
            yield self.appearances_in(video[0, 0], regions[0, 0])

    def appearance_memories(self, request: SampleRequest, clips: int) -> list[AppearanceMemory]:
        """For each clip of a batch, where the appearances of its regions come from; none for a model of one appearance
        a map."""
        appearance: Appearance | None = request.options.get("appearance")
        if self.appearance is None:
            if appearance is not None:
                raise ZooError(
                    f"This {self.card.name} knows one appearance of a map. To choose appearances, train it with "
                    "model.appearance_features=3."
                )
            return []
        chosen = None
        if appearance is not None:
            chosen = ChosenAppearance(appearance, self.appearance.layers(appearance.image[None].to(self.device))[0])
        return [AppearanceMemory(self.mixtures, (request.seed, request.draw), chosen) for _ in range(clips)]

    def with_appearance(
        self, moment: Clip, given: Tensor, appearance_memories: list[AppearanceMemory], seen: bool
    ) -> Tensor:
        """The map (B, C, H, W) with the appearance of every region; those of a real frame that is seen are taken from
        it."""
        if not appearance_memories:
            return given
        regions = self.regions(moment)[:, 0]
        if seen:
            for memory, frame, region in zip(appearance_memories, moment["video"][:, 0], regions, strict=True):
                memory.see(self.appearances_in(frame, region))
        appearances = torch.stack(
            [memory.paint(region) for memory, region in zip(appearance_memories, regions, strict=True)]
        )
        return torch.cat([given, appearances.to(given.dtype)], 1)

    @staticmethod
    def too_short(request: SampleRequest, made: int) -> ZooError:
        """For a request of more frames than there are maps."""
        return ZooError(
            f"{request.frames} frames were asked for, but what is given has {made}. Give more, or type frames={made}."
        )

    def for_sampling(self) -> Self:
        """Without the parts that only training uses."""
        needed = {id(part) for part in self.ema_parts().values()}
        for name, module in list(self.named_children()):
            if id(module) not in needed and name != "mixtures":
                delattr(self, name)
        return self


def cut(clip: Clip, start: int, stop: int) -> Clip:
    """The frames ``start`` to ``stop`` of what is painted from, and of the video."""
    fields = ("video", "labels", "instances", "condition")
    return cast(Clip, {name: clip[name][:, start:stop] for name in fields if name in clip})  # type: ignore[literal-required]


def folded(frames: Tensor) -> Tensor:
    """(B, n, ...) -> (B·n, ...)."""
    return frames.flatten(0, 1)
