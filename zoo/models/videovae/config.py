"""Card and config of VideoVAE: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.blocks.halving import halvings
from zoo.card import ModelCard, ModelConfig, register
from zoo.errors import ZooError, one_of
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
    options=frozenset({"attributes", "temperature", "reconstruct"}),
    budget_clips=16_000,
)


@dataclass(frozen=True)
class Preset:
    """Sizes that belong together: of the code z, the LSTM's state h, the features of a frame, and the one hidden layer
    of each small network between them."""

    code: int
    hidden: int
    features: int
    units: int


PRESETS = {
    "dcgan": Preset(code=64, hidden=256, features=256, units=256),
    "paper": Preset(code=512, hidden=512, features=512, units=128),
}


@register(CARD, builds=".model:VideoVAE")
@dataclass
class VideoVAEConfig(ModelConfig):
    """Settings of VideoVAE.

    preset: dcgan (networks that other models share, sizes for a laptop) or paper (the filter plan and the sizes of the
    paper, 64 x 64 pixels only). width: channels of the first layer, norm: of the layers,
    none or batch, both of dcgan only.
    code, hidden, features, units: sizes, as ``Preset`` names them; None is the preset's.

    attributes: structured (they shape posterior and prior), decoder (they are laid beside z, no more) or none.
    recurrence: whether an LSTM carries the past; without it frames are independent. prior_sees_past: whether the prior
    is conditioned on it.

    likelihood: gaussian or laplace, of every value of a pixel, with ``scale``, its σ or b. beta: weight of the
    divergence, reached after the share ``beta_warmup`` of the training; free_bits: nats that each dimension of z may
    carry at no cost. min_log_variance, max_log_variance: bounds of every Gaussian. classifier_weight: of the attribute
    heads' cross-entropy, in nats a frame. lr, beta1: of Adam, the rate falling to zero over the training; max_gradient:
    the largest norm of a gradient.
    """

    name: str = "videovae"
    preset: str = "dcgan"
    width: int = 24
    norm: str = "none"
    code: int | None = None
    hidden: int | None = None
    features: int | None = None
    units: int | None = None
    attributes: str = "structured"
    recurrence: bool = True
    prior_sees_past: bool = True
    likelihood: str = "gaussian"
    scale: float = 0.3
    beta: float = 1.0
    beta_warmup: float = 0.5
    free_bits: float = 0.0
    min_log_variance: float = -8.0
    max_log_variance: float = 8.0
    classifier_weight: float = 100.0
    lr: float = 1e-3
    beta1: float = 0.5
    max_gradient: float = 1000.0

    def __post_init__(self) -> None:
        one_of("model.preset", self.preset, PRESETS)
        one_of("model.attributes", self.attributes, ("structured", "decoder", "none"))
        one_of("model.norm", self.norm, ("none", "batch"))
        one_of("model.likelihood", self.likelihood, ("gaussian", "laplace"))
        for name, least in (("code", 1), ("hidden", 1), ("features", 1), ("units", 1), ("beta", 0), ("free_bits", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ZooError(f"model.{name}={value} is too small. Try: model.{name}={least}")
        if self.scale <= 0:
            raise ZooError(f"model.scale={self.scale} is no width of a likelihood. Try: model.scale=0.3")
        if self.min_log_variance >= self.max_log_variance:
            raise ZooError(
                f"model.min_log_variance={self.min_log_variance} is not below "
                f"model.max_log_variance={self.max_log_variance}. Try: model.min_log_variance=-8"
            )
        if not 0 <= self.beta_warmup <= 1:
            raise ZooError(
                f"model.beta_warmup={self.beta_warmup} is no share of a training. Try: model.beta_warmup=0.5"
            )

    @property
    def sizes(self) -> Preset:
        """The sizes, every choice made."""
        preset = PRESETS[self.preset]
        return Preset(
            self.code or preset.code,
            self.hidden or preset.hidden,
            self.features or preset.features,
            self.units or preset.units,
        )

    def problems(self, spec: ClipSpec) -> list[str]:
        """Sentences about what does not fit the clips."""
        size = f"{spec.height}x{spec.width}"
        if self.preset == "paper":
            if (spec.height, spec.width) != (64, 64):
                return [f"model.preset=paper is for 64x64 pixels; clips are {size}. Try: data.height=64 data.width=64"]
            return []
        try:
            halvings(spec.height, spec.width)
        except ZooError as problem:
            return [str(problem)]
        return []

    @classmethod
    def tiny(cls) -> VideoVAEConfig:
        """The smallest one that has every part, for tests."""
        return cls(width=8, code=16, hidden=32, features=32, units=32, free_bits=0.01, lr=3e-3)
