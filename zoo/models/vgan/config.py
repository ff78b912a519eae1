"""Card and config of VGAN: plain data, imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zoo.blocks.halving import halving_problems
from zoo.card import PAPER, ModelCard, ModelConfig, register
from zoo.errors import check_choice
from zoo.fields.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, ShareBelowOne, Units
from zoo.types import ClipSpec

CARD = ModelCard(
    name="vgan",
    title="Generating Videos with Scene Dynamics",
    paper="Vondrick, Pirsiavash, Torralba, NeurIPS 2016, arXiv 1609.02612",
    year=2016,
    code_licence="Apache-2.0, written from the paper",
    weights_licence="none published here",
    tasks=frozenset({"generate", "predict"}),
    needs=(("video",),),
    adversarial=True,
    strategies=frozenset({"auto", "cpu", "ddp"}),
    channels=(1, 3),
    options=frozenset({"truncation"}),
    latent=True,
    budget_clips=16_000,
    evaluation_clips=64,
)

NORMS = ("none", "batch")

PRESETS = {
    PAPER: {
        "width": 64,
        "discriminator_width": 64,
        "discriminator_norm": "batch",
        "r1": 0.0,
        "lr": 2e-4,
        "beta1": 0.5,
        "beta2": 0.999,
    }
}
"""The published networks and training, for 32 frames of 64 x 64 pixels."""


@register(CARD, builds=".model:VGAN", presets=PRESETS)
@dataclass
class VGANConfig(ModelConfig):
    """Settings of VGAN."""

    other_forms: ClassVar[tuple[Mapping[str, Any], ...]] = ({"first_frame": True},)

    name: str = "vgan"

    first_frame: bool = False
    """Continue a given first frame, without noise: there is one future for each frame. false: generate from noise."""

    two_streams: bool = True
    """Blend a moving foreground with a still background. false: one stream generates the whole clip."""

    noise: Units = 100
    """Entries of the noise that a clip is made from."""

    width: Units = 16
    """Channels of the generator at half the resolution; each halving doubles them. Twice as many with first_frame."""

    discriminator_width: Units = 16
    """Channels of the first layer of the discriminator. Twice as many with first_frame."""

    discriminator_norm: str = "none"
    """Normalisation layers of the discriminator: none or batch."""

    mask_weight: NonNegativeFloat = 0.1
    """λ: weight of the mean of the mask, so that most of a clip is background. Only without first_frame."""

    first_frame_weight: NonNegativeFloat = 10.0
    """Weight of the L1 distance of the first generated frame to the given one. Only with first_frame."""

    r1: NonNegativeFloat = 0.1
    """Weight γ of the R1 penalty on the discriminator: γ/2 times the squared norm of the gradient of a real clip's
    score. 0: no penalty."""

    r1_every: PositiveInt = 4
    """Steps from one penalty to the next; each counts for all of them."""

    lr: PositiveFloat = 1e-3
    """Learning rate of both Adams."""

    beta1: ShareBelowOne = 0.0
    """β₁ of Adam."""

    beta2: ShareBelowOne = 0.99
    """β₂ of Adam."""

    def __post_init__(self) -> None:
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)

    @property
    def context_frames(self) -> tuple[int, int | None]:
        """One with first_frame, else none."""
        return (int(self.first_frame), int(self.first_frame))

    def most_frames(self, spec: ClipSpec) -> int | None:
        """All frames are generated at once, as many as a training clip has."""
        return spec.frames

    def problems(self, spec: ClipSpec) -> list[str]:
        """Messages about settings that do not fit the clips."""
        return halving_problems(spec)

    @classmethod
    def tiny(cls) -> VGANConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(noise=8, width=4, discriminator_width=4, r1_every=2)
