"""pix2pixHD: paint single images from label maps or drawings (Wang et al. 2018, arXiv 1711.11585).

A global generator, and around it a local enhancer of twice the resolution; discriminators at several scales
discriminator the picture with its map. Frames of a clip are pictures like any others: what vid2vid is compared with.

Shapes: B clips, T frames, N = B·n pictures of a step, C channels of a map, D of an appearance, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.blocks.image_generator import GlobalGenerator, LocalEnhancer
from zoo.models.image_translation.appearance_memory import AppearanceMemory
from zoo.models.image_translation.model import ImageTranslationModel, cut, folded
from zoo.models.image_translation.objective import Pictures
from zoo.models.pix2pixhd.config import CARD, Pix2PixHDConfig
from zoo.types import Clip, ClipSpec, Sample, SampleRequest


class Pix2PixHD(ImageTranslationModel[Pix2PixHDConfig]):
    """The generator and its multi-scale discriminator."""

    card = CARD
    channels_last = True
    generator: GlobalGenerator | LocalEnhancer

    def __init__(self, config: Pix2PixHDConfig, spec: ClipSpec) -> None:
        super().__init__(config, spec)
        form = (config.downsamplings, config.blocks, self.norm, config.appearance_features)
        if config.scales == 1:
            self.generator = GlobalGenerator(self.map_channels, config.width, *form)
        else:
            coarse_makes_image = config.clips_per_scale > 0
            self.generator = LocalEnhancer(
                self.map_channels, config.width // 2, *form, config.local_blocks, coarse_makes_image
            )

    def networks(self) -> list[nn.Module]:
        """The stages of the generator, which is called as a whole or in part, and the rest as it is."""
        whole = [network for network in super().networks() if network is not self.generator]
        parts = self.generator.children()
        stages = [s for part in parts for s in (part.children() if isinstance(part, GlobalGenerator) else [part])]
        return [*whole, *(stage for stage in stages if any(True for _ in stage.parameters()))]

    # ---------------------------------------------------------------- training

    def training_step(self, clip: Clip, batch_idx: int) -> None:
        """Steps of the generator and of the discriminator for every few frames of the clip."""
        self.set_learning_rate()
        stage = self.current_stage
        parts: dict[str, list[Tensor]] = {}
        for start in range(0, clip["video"].shape[1], self.config.frames_per_step):
            some = cut(clip, start, start + self.config.frames_per_step)
            pictures = self.paint(some, self.scales_at(stage), stage.freeze_coarse)
            losses = self.objective.losses(pictures)
            self.optimizer_steps(*losses)
            for name, value in (losses.generator | losses.discriminator).items():
                parts.setdefault(name, []).append(value.detach())
        self.log_losses({name: torch.stack(values).mean() for name, values in parts.items()})

    def paint(self, clip: Clip, scales: int, freeze_coarse: bool) -> Pictures:
        """Every frame of a clip, painted with its own appearance."""
        given = self.encode(clip)
        image = self._paint(folded(self.with_appearances(clip, given)), scales, freeze_coarse)
        labels = folded(clip["labels"]) if "labels" in clip else None
        return Pictures(folded(given), folded(clip["video"]), {"image": image}, labels)

    def _paint(self, with_appearance: Tensor, scales: int, freeze_coarse: bool = False) -> Tensor:
        """Maps with their appearances, (N, C+D, H, W), to pictures (N, 3, H, W), by so many generators."""
        features = self.config.appearance_features
        given, appearance = (
            (with_appearance[:, :-features], with_appearance[:, -features:]) if features else (with_appearance, None)
        )
        if isinstance(self.generator, GlobalGenerator):
            return self.generator(given, appearance)  # type: ignore[no-any-return]
        if scales == 1:
            return self.generator.coarse(given, appearance)  # type: ignore[no-any-return]
        return self.generator(given, appearance, freeze_coarse)  # type: ignore[no-any-return]

    # ---------------------------------------------------------------- sampling

    @torch.no_grad()
    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Each frame from its own map; the first ``context`` frames are the given ones."""
        appearance_memories: list[AppearanceMemory] | None = None
        made = 0
        for moment, given in self.moments(request.given):
            if appearance_memories is None:
                appearance_memories = self.appearance_memories(request, len(given))
            seen = made < request.context
            with_appearance = self.with_appearance(moment, given, appearance_memories, seen)
            made += 1
            if seen:
                yield Sample(moment["video"][:, 0])
            else:
                image = self._paint(self.scaled(with_appearance)[-1], self.trained_scales)
                yield Sample(self.full_size(image))
            if made == request.frames:
                return
        raise self.too_short(request, made)

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> Pix2PixHD:
        """A model from the original release's ``<epoch>_net_G.pth`` and, where it is there, its ``_net_D.pth``."""
        from zoo.models.pix2pixhd.convert import convert

        return convert(cls, folder, settings)
