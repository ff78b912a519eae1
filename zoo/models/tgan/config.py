"""Card and config of TGAN: plain data, imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from zoo.blocks.halving import halving_problems
from zoo.card import PAPER, ModelCard, ModelConfig, register
from zoo.errors import ZooError, check_choice
from zoo.fields.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, ShareBelowOne, Units
from zoo.types import ClipSpec

CARD = ModelCard(
    name="tgan",
    title="Temporal Generative Adversarial Nets with Singular Value Clipping",
    paper="Saito, Matsumoto, Saito, ICCV 2017, arXiv 1611.06624",
    year=2017,
    code_licence="Apache-2.0, written from the paper and from measurements of the released networks",
    weights_licence="none were published",
    tasks=frozenset({"generate"}),
    needs=(("video",),),
    min_frames=2,
    adversarial=True,
    strategies=frozenset({"auto", "cpu", "ddp"}),
    channels=(1, 3),
    options=frozenset({"truncation", "frames_between"}),
    latent=True,
    budget_clips=16_000,
    evaluation_clips=64,
)

NORMS = ("none", "batch")
OBJECTIVES = ("logistic", "wasserstein", "least_squares")
CLIPPINGS = ("none", "singular_values", "weights")
OPTIMIZERS = ("adam", "rmsprop")
INITS = ("uniform", "lecun", "orthogonal")

PRESETS = {
    PAPER: {
        "temporal_width": 512,
        "width": 32,
        "discriminator_width": 64,
        "discriminator_norm": "batch",
        "image_init": "uniform",
        "discriminator_init": "lecun",
        "objective": "wasserstein",
        "clipping": "singular_values",
        "r1": 0.0,
        "optimizer": "rmsprop",
        "lr": 5e-5,
    }
}
"""The published networks and training with singular value clipping."""


@register(CARD, builds=".model:TGAN", presets=PRESETS)
@dataclass
class TGANConfig(ModelConfig):
    """Settings of TGAN."""

    other_forms: ClassVar[tuple[Mapping[str, Any], ...]] = ({"clipping": "weights"},)

    name: str = "tgan"

    slow: Units = 100
    """Entries of the slow code, drawn once for each clip."""

    fast: Units = 100
    """Entries of the fast code of a frame, which the temporal generator makes of the slow code."""

    temporal_width: Units = 128
    """Channels of the first layer of the temporal generator; each of the next two halves them."""

    width: Units = 8
    """Channels of the image generator at the full resolution; each halving doubles them."""

    discriminator_width: Units = 16
    """Channels of the first layer of the discriminator."""

    discriminator_norm: str = "none"
    """Normalisation layers of the discriminator: none or batch."""

    norm_shift: bool = False
    """Whether batch norms of the temporal generator and the discriminator have a shift β. Those of the image generator
    always have one."""

    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise that the discriminator adds before each activation in training."""

    temporal_init: str = "lecun"
    """Initial weights of the temporal generator: uniform (in ±0.01), lecun (normal, variance 1 / fan-in) or
    orthogonal."""

    image_init: str = "lecun"
    """Initial weights of the image generator: uniform, lecun or orthogonal."""

    discriminator_init: str = "orthogonal"
    """Initial weights of the discriminator: uniform, lecun or orthogonal. A narrow discriminator with batch norm and
    singular value clipping dies when it starts from uniform ones."""

    objective: str = "logistic"
    """Adversarial losses: logistic, wasserstein or least_squares. wasserstein needs clipping or a penalty."""

    clipping: str = "none"
    """What is clipped in the discriminator after its steps: none, singular_values or weights."""

    clip_every: PositiveInt = 5
    """Steps from one clipping to the next."""

    weight_limit: PositiveFloat = 0.01
    """Only with clipping=weights: largest absolute value of a parameter."""

    r1: NonNegativeFloat = 0.1
    """Weight γ of the R1 penalty on the discriminator: γ/2 times the squared norm of the gradient of a real clip's
    score. 0: no penalty."""

    r1_every: PositiveInt = 4
    """Steps from one penalty to the next; each counts for all of them."""

    gradient_penalty: NonNegativeFloat = 0.0
    """Weight λ of WGAN-GP's penalty, in every step: the squared distance from 1 of the norm of a score's gradient, at
    clips between real and generated ones. 0: no penalty. Only with discriminator_norm=none."""

    optimizer: str = "adam"
    """Optimizer of both networks: adam or rmsprop."""

    lr: PositiveFloat = 1e-3
    """Learning rate of both optimizers."""

    beta1: ShareBelowOne = 0.0
    """β₁ of Adam."""

    beta2: ShareBelowOne = 0.99
    """β₂ of Adam, or the decay of RMSprop's mean square."""

    def __post_init__(self) -> None:
        for setting, choices in (
            ("discriminator_norm", NORMS),
            ("objective", OBJECTIVES),
            ("clipping", CLIPPINGS),
            ("optimizer", OPTIMIZERS),
            *((f"{network}_init", INITS) for network in ("temporal", "image", "discriminator")),
        ):
            check_choice(f"model.{setting}", getattr(self, setting), choices)
        if self.gradient_penalty and self.discriminator_norm == "batch":
            raise ZooError(
                "model.gradient_penalty needs the gradient of each clip, but model.discriminator_norm=batch mixes the "
                "clips of a batch. Try: model.discriminator_norm=none"
            )
        if self.objective == "wasserstein" and self.clipping == "none" and not self.r1 + self.gradient_penalty:
            raise ZooError(
                "model.objective=wasserstein needs a Lipschitz discriminator. Try: model.clipping=singular_values"
            )

    @property
    def context_frames(self) -> tuple[int, int | None]:
        """None: it generates from nothing."""
        return (0, 0)

    def most_frames(self, spec: ClipSpec) -> int | None:
        """The temporal generator makes the codes of all frames at once, as many as a training clip has."""
        return spec.frames

    def problems(self, spec: ClipSpec) -> list[str]:
        """Messages about settings that do not fit the clips."""
        return halving_problems(spec)

    @classmethod
    def tiny(cls) -> TGANConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(
            slow=8, fast=4, temporal_width=8, width=2, discriminator_width=4, noise=0.1, clipping="singular_values",
            clip_every=2, r1_every=2, gradient_penalty=0.1,
        )  # fmt: skip
