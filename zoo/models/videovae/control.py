"""Attributes of every frame of a sample: scheduled, labelled, inferred from given frames, or drawn.

Shapes: B clips, K values of an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

import torch
from torch import Tensor

from zoo.blocks.attribute_schedule import FREE, INFERRED, Schedule, parse_schedules
from zoo.blocks.attributes import UNKNOWN, Attributes
from zoo.errors import ZooError
from zoo.randomness import generator
from zoo.types import Clip, SampleRequest

Ids = dict[str, Tensor]
"""Attribute -> (B,) int64, UNKNOWN where it is to be inferred from the frame."""


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


class AttributeControl:
    """Determines the attributes of a sample frame by frame.

    Schedules of the request come first, then labels of the given clip, the last of which holds after its end. Any other
    attribute is inferred: the likeliest value by the logits of the given frames, averaged over them for constant
    attributes, else those of the last frame. Without given frames it is drawn uniformly, once per sample.

    keys: one per clip; random numbers depend on them. constant: attributes that never change within a clip. model: name
    of the model, for error messages. Raises ZooError for a schedule that does not fit the attributes, and for inference
    without given frames.
    """

    def __init__(
        self, request: SampleRequest, keys: list[str], attributes: Attributes, constant: tuple[str, ...], model: str
    ) -> None:
        self.schedules = parse_schedules(request.options.get("attributes", {}), attributes, model)
        self.request, self.keys, self.attributes, self.constant = request, keys, attributes, constant
        self.labels: Ids = {}
        self.drawn: Ids = {}
        self.sums: dict[str, Tensor] = {}
        self.frames_seen = 0
        sees_frames = request.context > 0 or request.options.get("reconstruct")
        for name, schedule in self.schedules.items():
            if schedule.mode == INFERRED and not sees_frames:
                raise ZooError(f"attributes.{name}={INFERRED} needs a frame to be inferred from. Try: context=1")

    def observe_labels(self, labels: Mapping[str, Tensor]) -> None:
        """Store the labels of the next given frame."""
        self.labels |= {name: labels[name].cpu() for name in self.attributes if name in labels}

    def observe_logits(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the logits of the next given frame, attribute -> (B, K); returns the logits of all frames so far."""
        self.frames_seen += 1
        for name, values in logits.items():
            earlier = self.sums.get(name) if name in self.constant else None
            self.sums[name] = values if earlier is None else earlier + values
        return {name: self._mean(name) for name in logits}

    def _mean(self, name: str) -> Tensor:
        return self.sums[name] / (self.frames_seen if name in self.constant else 1)

    def known_at(self, t: int) -> Ids:
        """Attributes of frame t, UNKNOWN where they are to be inferred."""
        return {name: self._known_ids(name, self.schedules.get(name, Schedule()), t) for name in self.attributes}

    def _known_ids(self, name: str, schedule: Schedule, t: int) -> Tensor:
        value = schedule.at(t)
        if value is not None:
            return torch.full((len(self.keys),), value)
        if schedule.mode == FREE:
            return self._draw(name)
        if schedule.mode is None and name in self.labels:
            return self.labels[name]
        return torch.full((len(self.keys),), UNKNOWN)

    def resolve(self, t: int) -> Ids:
        """Attributes of frame t; unknown ones are inferred or drawn."""
        return {name: self._resolve(name, ids) for name, ids in self.known_at(t).items()}

    def _resolve(self, name: str, ids: Tensor) -> Tensor:
        if (ids != UNKNOWN).all():
            return ids
        likeliest = self._mean(name).argmax(-1).cpu() if self.frames_seen else self._draw(name)
        return torch.where(ids == UNKNOWN, likeliest, ids)

    def _draw(self, name: str) -> Tensor:
        """Draw one value for all frames: a function of seed, draw, clip and attribute."""
        if name not in self.drawn:
            values = len(self.attributes[name])
            seeds = (self.request.seed, self.request.draw)
            sources = [generator(*seeds, *_hash_strings(key, name)) for key in self.keys]
            self.drawn[name] = torch.cat([torch.randint(values, (1,), generator=source) for source in sources])
        return self.drawn[name]


def _hash_strings(*strings: str) -> list[int]:
    """Hash strings for seeds; Python salts ``hash``."""
    return [crc32(string.encode()) for string in strings]


def draw_code_noise(request: SampleRequest, keys: list[str], t: int, size: int) -> Tensor:
    """Draw the noise of the code of frame t, (B, D): a function of seed, draw, clip and frame, not of the batch."""
    seeds = (request.seed, request.draw)
    return torch.stack([torch.randn(size, generator=generator(*seeds, *_hash_strings(key), t)) for key in keys])
