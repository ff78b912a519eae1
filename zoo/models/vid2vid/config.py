"""Card and config of vid2vid: plain data, imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.card import ModelCard, register
from zoo.errors import one_of

CARD = ModelCard(
    name="vid2vid",
    title="Video-to-Video Synthesis",
    paper="Wang et al., NeurIPS 2018, arXiv 1808.06601",
    year=2018,
    code_licence="Apache-2.0, written from the paper",
    weights_licence="none published here",
    tasks=frozenset({"translate"}),
    needs=(("labels", "condition"), ("flow",)),
    uses=frozenset({"visibility"}),
    min_frames=3,
    size_multiple=4,
    adversarial=True,
    strategies=frozenset({"auto", "cpu", "ddp"}),
    streams=True,
)


@register(CARD, builds=".model:Vid2Vid")
@dataclass
class Vid2VidConfig:
    """Symbols are the paper's. Defaults are for a laptop; conf/experiment holds larger settings.

    given: which map of a clip is painted: labels, condition, or auto, which takes the condition where there is one.
    past_frames: L, frames and maps of the past that the generator sees. width, downsamplings, blocks: of the
    generator. norm: instance or batch. video_frames: K, frames that D_V sees. temporal_scales: scales of D_V.
    frames_per_step: generated frames per optimizer step. backprop_frames: frames through which the gradient runs
    back. generated_start: share of steps whose clip starts from nothing; the others start from 1 to L real frames.
    objective: ls, hinge or original. pixel_weight: of the L1 distance of pixels, which the paper does not have; it
    shortens a training of minutes, and 0 is the paper's objective. vgg19: a file of weights; without one torch's cache
    is searched. lr, discriminator_lr: of Adam; the paper has 2e-4 for both.
    """

    name: str = "vid2vid"
    given: str = "auto"
    past_frames: int = 2
    width: int = 16
    downsamplings: int = 2
    blocks: int = 4
    norm: str = "instance"
    discriminator_width: int = 16
    discriminator_layers: int = 3
    discriminator_scales: int = 2
    video_frames: int = 3
    temporal_scales: int = 2
    frames_per_step: int = 2
    backprop_frames: int = 1
    generated_start: float = 0.2
    objective: str = "ls"
    flow_weight: float = 10.0
    feature_weight: float = 10.0
    perceptual_weight: float = 10.0
    pixel_weight: float = 20.0
    vgg19: str | None = None
    lr: float = 1e-3
    discriminator_lr: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.999

    def __post_init__(self) -> None:
        one_of("model.given", self.given, ("auto", "labels", "condition"))
        one_of("model.norm", self.norm, ("instance", "batch"))
        one_of("model.objective", self.objective, ("ls", "hinge", "original"))

    @classmethod
    def tiny(cls) -> Vid2VidConfig:
        """The smallest one that has every part, for tests."""
        return cls(width=8, downsamplings=1, blocks=2, discriminator_width=8, discriminator_layers=2)
