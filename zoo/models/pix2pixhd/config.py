"""Card and config of pix2pixHD: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.card import PAPER, ModelCard, register
from zoo.fields.ranges import PositiveInt
from zoo.models.image_translation.config import ImageTranslationConfig

CARD = ModelCard(
    name="pix2pixhd",
    title="High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs",
    paper="Wang et al., CVPR 2018, arXiv 1711.11585",
    year=2018,
    code_licence="Apache-2.0, written from the paper",
    weights_licence="none published here",
    tasks=frozenset({"translate"}),
    needs=(("labels", "condition"),),
    uses=frozenset({"instances"}),
    min_frames=1,
    adversarial=True,
    strategies=frozenset({"auto", "cpu", "ddp", "fsdp"}),
    streams=True,
    deterministic=True,
    options=frozenset({"appearance"}),
)

PRESETS = {
    PAPER: {
        "width": 64,
        "downsamplings": 4,
        "blocks": 9,
        "norm": "instance",
        "appearance_downsamplings": 4,
        "discriminator_width": 64,
        "discriminator_scales": 3,
        "pixel_weight": 0.0,
        "lr": 2e-4,
        "discriminator_lr": 2e-4,
        "frames_per_step": 1,
    }
}
"""The published networks, objective and rates; what is not here is published as in the defaults."""


@register(CARD, builds=".model:Pix2PixHD", presets=PRESETS)
@dataclass
class Pix2PixHDConfig(ImageTranslationConfig):
    """Settings of pix2pixHD, the per-frame baseline of vid2vid: every frame is generated independently."""

    name: str = "pix2pixhd"

    frames_per_step: PositiveInt = 2
    """Frames of a clip per optimizer step. Memory grows with it."""

    @property
    def max_scales(self) -> int:
        """2: the global generator and a local enhancer."""
        return 2

    @classmethod
    def tiny(cls) -> Pix2PixHDConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(
            width=8,
            downsamplings=1,
            blocks=2,
            scales=2,
            local_blocks=1,
            clips_per_scale=2,
            freeze_coarse_clips=2,
            given="labels",
            appearance_features=2,
            appearance_width=4,
            appearance_downsamplings=1,
            discriminator_width=8,
            discriminator_layers=2,
            region=["head"],
        )
