"""pix2pixHD: translate label maps or drawings to single images (Wang et al. 2018, arXiv 1711.11585).

A global generator, and around it a local enhancer at twice the resolution; discriminators at several scales score
images together with their maps. Each frame of a clip is translated independently: the per-frame baseline of vid2vid.

Shapes: B clips, T frames, N = B·n images of a step, C channels of a map, D of an appearance, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.image_generator import GlobalGenerator, LocalEnhancer
from zoo.losses.gan import GANLosses
from zoo.models.image_translation.model import ImageTranslationModel, merge_time, slice_frames
from zoo.models.image_translation.objective import ImageBatch
from zoo.models.pix2pixhd.config import CARD, Pix2PixHDConfig
from zoo.types import Clip, ClipSpec, CurriculumStage, Sample, SampleRequest


class Pix2PixHD(ImageTranslationModel[Pix2PixHDConfig]):
    """The generator and its multi-scale discriminator."""

    card = CARD
    channels_last = True
    generator: GlobalGenerator | LocalEnhancer

    def __init__(self, config: Pix2PixHDConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        sizes = (config.downsamplings, config.blocks, self.norm, config.appearance_features)
        if config.scales == 1:
            self.generator = GlobalGenerator(self.map_channels, config.width, *sizes)
        else:
            coarse_makes_image = config.clips_per_scale > 0
            self.generator = LocalEnhancer(
                self.map_channels, config.width // 2, *sizes, config.local_blocks, coarse_makes_image
            )

    def networks(self) -> list[nn.Module]:
        """The parts of the generator, because training also calls its coarse part alone, and all other networks."""
        others = [network for network in super().networks() if network is not self.generator]
        children = self.generator.children()
        parts = [p for child in children for p in (child.children() if isinstance(child, GlobalGenerator) else [child])]
        return [*others, *(part for part in parts if any(True for _ in part.parameters()))]

    # ---------------------------------------------------------------- training

    def step_losses(self, clip: Clip, stage: CurriculumStage) -> Iterator[GANLosses]:
        """Yield the losses of every ``frames_per_step`` frames of a clip (eq. 3 and 5)."""
        for start in range(0, clip["video"].shape[1], self.config.frames_per_step):
            frames = slice_frames(clip, start, start + self.config.frames_per_step)
            yield self.objective.losses(self.generate_batch(frames, stage))

    def generate_batch(self, clip: Clip, stage: CurriculumStage) -> ImageBatch:
        """Generate every frame of a clip from its map and its own appearance."""
        maps = self.input_maps(clip)
        scales = self.active_scales(stage)
        image = self._generate(merge_time(self.with_appearances(clip, maps)), scales, stage.freeze_coarse)
        labels = merge_time(clip["labels"]) if "labels" in clip else None
        return ImageBatch(merge_time(maps), merge_time(clip["video"]), {"image": image}, labels)

    def _generate(self, maps: Tensor, scales: int, freeze_coarse: bool = False) -> Tensor:
        """Maps with appearances, (N, C+D, H, W), to images (N, 3, H, W), with the first ``scales`` generators."""
        features = self.config.appearance_features
        maps, appearance = (maps[:, :-features], maps[:, -features:]) if features else (maps, None)
        if isinstance(self.generator, GlobalGenerator):
            return self.generator(maps, appearance)
        if scales == 1:
            return self.generator.coarse(maps, appearance)
        return self.generator(maps, appearance, freeze_coarse)

    # ---------------------------------------------------------------- sampling

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Generate each frame from its own map; the first ``context`` frames are the given ones."""
        for frame in self.given_frames(request):
            if frame.index < request.context:
                yield Sample(frame.clip["video"][:, 0])
            else:
                image = self._generate(self.trained_pyramid(frame.maps)[-1], self.trained_scales)
                yield Sample(self.to_full_size(image))

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> Pix2PixHD:
        """Build a model from the original release's ``<epoch>_net_G.pth`` and, if they exist, its D and E."""
        from zoo.models.pix2pixhd.convert import convert

        return convert(cls, folder, settings)
