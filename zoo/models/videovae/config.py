"""Card and config of VideoVAE: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.blocks.halving import halving_problems
from zoo.card import PAPER, ModelCard, ModelConfig, register
from zoo.errors import ZooError, check_choice
from zoo.fields.ranges import AnyFloat, NonNegativeFloat, PositiveFloat, Share, ShareBelowOne, Units
from zoo.types import ClipSpec

CARD = ModelCard(
    name="videovae",
    title="Probabilistic Video Generation using Holistic Attribute Control",
    paper="He et al., ECCV 2018, arXiv 1803.08085",
    year=2018,
    code_licence="Apache-2.0, written from published descriptions",
    weights_licence="none were published",
    tasks=frozenset({"generate", "predict", "reconstruct"}),
    needs=(("video",),),
    uses=frozenset({"attributes"}),
    min_frames=2,
    strategies=frozenset({"auto", "cpu", "ddp", "fsdp"}),
    streams=True,
    channels=(1, 3),
    options=frozenset({"attributes", "temperature", "reconstruct"}),
    latent=True,
    budget_clips=16_000,
)


NETWORKS = ("dcgan", "filter_plan")

PRESETS = {PAPER: {"networks": "filter_plan", "code": 512, "hidden": 512, "features": 512, "units": 128}}
"""The published filter plan and sizes. The rest of the training is not known: see the card."""


@register(CARD, builds=".model:VideoVAE", presets=PRESETS)
@dataclass
class VideoVAEConfig(ModelConfig):
    """Settings of VideoVAE."""

    name: str = "videovae"

    networks: str = "dcgan"
    """Encoder and decoder of frames: dcgan (shared with other models) or filter_plan (the layers of the paper, 64 x 64
    pixels only)."""

    width: Units = 24
    """Only for networks=dcgan: channels of the first layer."""

    norm: str = "none"
    """Only for networks=dcgan: normalisation layers, none or batch."""

    colour_field: bool = True
    """Only for networks=dcgan: add a smooth image of 4 x 4 colours, a linear map of the code, to the decoder's output.
    Ours; without it, frames do not get the colour of the wall that the code contains."""

    code: Units = 64
    """Dimensions of the code z of a frame."""

    hidden: Units = 256
    """Units of the LSTM's state h."""

    features: Units = 256
    """Features that the encoder extracts from a frame."""

    units: Units = 256
    """Units of the one hidden layer of each small network in between."""

    attributes: str = "structured"
    """Use of the attributes: structured (they condition posterior and prior), decoder (concatenated to z, no more) or
    none."""

    recurrence: bool = True
    """Carry the past in an LSTM. false: frames are independent."""

    prior_sees_past: bool = True
    """Condition the prior on the past."""

    likelihood: str = "gaussian"
    """Likelihood of every pixel value: gaussian or laplace."""

    scale: PositiveFloat = 0.3
    """Scale of the likelihood: σ of the Gaussian, b of the Laplace distribution."""

    beta: NonNegativeFloat = 1.0
    """Final weight of the KL divergence."""

    beta_warmup: Share = 0.5
    """Share of the training over which the weight of the KL divergence grows from 0 to beta, 0 to 1."""

    free_bits: NonNegativeFloat = 0.0
    """Nats of KL divergence that each dimension of z may have at no cost."""

    min_log_variance: AnyFloat = -8.0
    """Lower bound of the log-variance of every Gaussian."""

    max_log_variance: AnyFloat = 8.0
    """Upper bound of the log-variance of every Gaussian."""

    classifier_weight: NonNegativeFloat = 100.0
    """Weight of the attribute heads' cross-entropy, in nats per frame."""

    lr: PositiveFloat = 1e-3
    """Learning rate of Adam; falls to zero along half a cosine over the training."""

    beta1: ShareBelowOne = 0.5
    """β₁ of Adam."""

    max_gradient: PositiveFloat = 1000.0
    """Gradient clipping: the largest norm of a gradient."""

    def __post_init__(self) -> None:
        check_choice("model.networks", self.networks, NETWORKS)
        check_choice("model.attributes", self.attributes, ("structured", "decoder", "none"))
        check_choice("model.norm", self.norm, ("none", "batch"))
        check_choice("model.likelihood", self.likelihood, ("gaussian", "laplace"))
        if self.min_log_variance >= self.max_log_variance:
            raise ZooError(
                f"model.min_log_variance={self.min_log_variance} must be below "
                f"model.max_log_variance={self.max_log_variance}. Try: model.min_log_variance=-8"
            )

    def problems(self, spec: ClipSpec) -> list[str]:
        """Messages about settings that do not fit the clips."""
        size = f"{spec.height}x{spec.width}"
        if self.networks == "filter_plan":
            if (spec.height, spec.width) != (64, 64):
                return [
                    f"model.networks=filter_plan, as in model.preset=paper, is for 64x64 pixels, but clips are {size}. "
                    "Try: data.height=64 data.width=64"
                ]
            return []
        return halving_problems(spec)

    @classmethod
    def tiny(cls) -> VideoVAEConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(width=8, code=16, hidden=32, features=32, units=32, free_bits=0.01, lr=3e-3)
