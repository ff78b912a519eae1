"""Attributes of every frame of a sample of VideoVAE: as requested, or inferred from given frames.

Shapes: B clips, K values of an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from zoo.blocks.attribute_schedule import INFERRED
from zoo.blocks.attributes import Attributes
from zoo.blocks.requested_attributes import Ids, RequestedAttributes
from zoo.errors import ZooError
from zoo.types import Clip, SampleRequest


class GivenFrame(NamedTuple):
    """One frame that a sample is conditioned on."""

    image: Tensor | None
    """(B, C, H, W); None if only attributes are given."""

    labels: Ids


def given_frames(clips: Iterator[Clip]) -> Iterator[GivenFrame]:
    """Iterate over the frames of consecutive pieces of a clip."""
    for clip in clips:
        labels, video = clip.get("attributes", {}), clip.get("video")
        lengths = [values.shape[1] for values in (*labels.values(), video) if values is not None]
        for t in range(max(lengths, default=0)):
            yield GivenFrame(None if video is None else video[:, t], {name: ids[:, t] for name, ids in labels.items()})


class AttributeControl(RequestedAttributes):
    """The attributes of a sample, inferred from given frames where nobody gave them.

    An attribute without a schedule or label gets the likeliest value by the logits of the given frames, averaged over
    them for constant attributes, else those of the last frame. Without given frames it is drawn.

    constant: attributes that never change within a clip. Raises ZooError for a schedule that does not fit the
    attributes, and for inference without given frames.
    """

    def __init__(
        self, request: SampleRequest, names: list[str], attributes: Attributes, constant: tuple[str, ...], model: str
    ) -> None:
        super().__init__(request, names, attributes, model)
        self.constant = constant
        self.sums: dict[str, Tensor] = {}
        self.frames_seen = 0

    def check_inference(self, name: str) -> None:
        """Raise a ZooError if no frame is given that the attribute could be inferred from."""
        if not (self.request.context > 0 or self.request.options.get("reconstruct")):
            raise ZooError(f"attributes.{name}={INFERRED} needs a frame to be inferred from. Try: context=1")

    def observe_logits(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the logits of the next given frame, attribute -> (B, K); returns the logits of all frames so far."""
        self.frames_seen += 1
        for name, values in logits.items():
            earlier = self.sums.get(name) if name in self.constant else None
            self.sums[name] = values if earlier is None else earlier + values
        return {name: self._mean(name) for name in logits}

    def _mean(self, name: str) -> Tensor:
        return self.sums[name] / (self.frames_seen if name in self.constant else 1)

    def likeliest(self, name: str) -> Tensor:
        """Values inferred from the given frames, (B,), or drawn if there are none."""
        return self._mean(name).argmax(-1).cpu() if self.frames_seen else super().likeliest(name)
