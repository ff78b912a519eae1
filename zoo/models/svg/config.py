"""Card and config of SVG: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.blocks.halving import halving_problems
from zoo.card import PAPER, ModelCard, ModelConfig, register
from zoo.errors import check_choice
from zoo.fields.ranges import Layers, NonNegativeFloat, PositiveFloat, PositiveInt, ShareBelowOne, Units
from zoo.types import ClipSpec

CARD = ModelCard(
    name="svg",
    title="Stochastic Video Generation with a Learned Prior",
    paper="Denton and Fergus, ICML 2018, arXiv 1802.07687",
    year=2018,
    code_licence="Apache-2.0, written from the paper",
    weights_licence="none is stated for the published ones",
    tasks=frozenset({"predict", "reconstruct"}),
    needs=(("video",),),
    uses=frozenset({"actions"}),
    min_frames=2,
    strategies=frozenset({"auto", "cpu", "ddp"}),
    streams=True,
    channels=(1, 3),
    options=frozenset({"temperature", "truncation", "reconstruct"}),
    budget_clips=16_000,
)

PRIORS = ("learned", "fixed", "none")
SKIPS = ("second_to_last", "last", "previous")


PRESETS = {PAPER: {"width": 64, "hidden": 256}}
"""The published widths for moving digits; the training is published as in the defaults."""


@register(CARD, builds=".model:SVG", presets=PRESETS)
@dataclass
class SVGConfig(ModelConfig):
    """Settings of SVG."""

    name: str = "svg"

    prior: str = "learned"
    """Prior of z: learned (it depends on the frames so far, SVG-LP), fixed (the standard normal distribution, SVG-FP)
    or none (no z: a deterministic model)."""

    backbone: str = "dcgan"
    """Encoder and decoder: dcgan (one strided convolution per resolution) or vgg (two or three convolutions)."""

    width: Units = 16
    """Channels of the first stage of the encoder."""

    code: Units = 128
    """Size of the code of a frame."""

    latent: Units = 10
    """Dimensions of z: 10, as published for moving digits; KTH 24, BAIR 64."""

    hidden: Units = 128
    """Units of every LSTM layer."""

    predictor_layers: Layers = 2
    """LSTM layers of the frame predictor."""

    posterior_layers: Layers = 1
    """LSTM layers of the posterior."""

    prior_layers: Layers = 1
    """LSTM layers of the learned prior."""

    context: PositiveInt = 5
    """Given frames in training: the skips of the decoder are those of the frame before until then, and stay the same
    afterwards."""

    skips: str = "second_to_last"
    """The frame whose skips the decoder gets after the given frames: the second_to_last given one, as in the release,
    the last given one, or always the previous frame, given or generated."""

    uses_actions: bool = True
    """Condition predictor and prior on the actions, if the data set has them."""

    norm_over_time: bool = False
    """Compute the batch-norm statistics of a training batch over all frames. false: for every time step, as published.
    """

    norm_statistics: str = "running"
    """Statistics that batch norm uses in evaluation: running (averages over the training) or batch (those of the
    batch, as the release does with the learned prior)."""

    beta: NonNegativeFloat = 1e-4
    """Weight of the KL divergence, in squared error per pixel and nat."""

    lr: PositiveFloat = 2e-3
    """Learning rate of Adam."""

    beta1: ShareBelowOne = 0.9
    """β₁ of Adam."""

    def __post_init__(self) -> None:
        check_choice("model.prior", self.prior, PRIORS)
        check_choice("model.backbone", self.backbone, ("dcgan", "vgg"))
        check_choice("model.skips", self.skips, SKIPS)
        check_choice("model.norm_statistics", self.norm_statistics, ("running", "batch"))

    @property
    def context_frames(self) -> tuple[int, int | None]:
        """At least one frame is given."""
        return (1, None)

    @property
    def batch_statistics(self) -> bool:
        """Whether a sample depends on the other clips of its batch: a setting."""
        return self.norm_statistics == "batch"

    def problems(self, spec: ClipSpec) -> list[str]:
        """Messages about settings that do not fit the clips."""
        found = []
        if spec.frames <= self.context:
            found.append(
                f"model.context={self.context}, but clips have {spec.frames} frames, which leaves none to predict. "
                f"Try: model.context={max(spec.frames - 1, 1)} or data.frames={self.context + 10}"
            )
        return [*found, *halving_problems(spec)]

    @classmethod
    def tiny(cls) -> SVGConfig:
        """The smallest configuration that has every part, for tests."""
        return cls(width=4, code=16, latent=4, hidden=32, context=3, beta=1e-4)
