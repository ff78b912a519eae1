"""Which attributes every frame of a sample has: asked for, labelled, read off the frames that are given, or drawn.

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
"""Attribute -> (B,) int64, UNKNOWN where it is to be read off the frame."""


class GivenFrame(NamedTuple):
    """One frame of what is given: (B, C, H, W), None where no video is; and what is known of its attributes."""

    image: Tensor | None
    labels: Ids


def given_frames(clips: Iterator[Clip]) -> Iterator[GivenFrame]:
    """Frame by frame, over consecutive pieces."""
    for clip in clips:
        labels, video = clip.get("attributes", {}), clip.get("video")
        lengths = [values.shape[1] for values in (*labels.values(), video) if values is not None]
        for t in range(max(lengths, default=0)):
            yield GivenFrame(None if video is None else video[:, t], {name: ids[:, t] for name, ids in labels.items()})


class Control:
    """The attributes of a sample, frame after frame.

    What was asked for comes first, then the labels of the given clip, of which the last holds where they end. Of the
    rest, the likeliest is taken by what the classifier says of the given frames (of their mean where an attribute is
    constant, of the last one where it may change); where no frame is given, one is drawn, evenly, once a sample.
    """

    def __init__(
        self, request: SampleRequest, keys: list[str], attributes: Attributes, constant: tuple[str, ...], model: str
    ) -> None:
        self.schedules = parse_schedules(request.options.get("attributes", {}), attributes, model)
        self.request, self.keys, self.attributes, self.constant = request, keys, attributes, constant
        self.labels: Ids = {}
        self.drawn: Ids = {}
        self.sums: dict[str, Tensor] = {}
        self.seen = 0
        if request.context == 0 and not request.options.get("reconstruct"):
            self._refuse_inference()

    def _refuse_inference(self) -> None:
        for name, schedule in self.schedules.items():
            if schedule.mode == INFERRED:
                raise ZooError(f"attributes.{name}={INFERRED} needs a frame to be inferred from. Try: context=1")

    def hear(self, labels: Mapping[str, Tensor]) -> None:
        """The labels of the next frame of what is given."""
        self.labels |= {name: labels[name].cpu() for name in self.attributes if name in labels}

    def see(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the classifier says of the next given frame, (B, K); returns what it says so far."""
        self.seen += 1
        for name, values in logits.items():
            kept = self.sums.get(name) if name in self.constant else None
            self.sums[name] = values if kept is None else kept + values
        return {name: self._mean(name) for name in logits}

    def _mean(self, name: str) -> Tensor:
        return self.sums[name] / (self.seen if name in self.constant else 1)

    def at(self, t: int) -> Ids:
        """The attributes of frame t as far as they are known."""
        return {name: self._known(name, self.schedules.get(name, Schedule()), t) for name in self.attributes}

    def _known(self, name: str, schedule: Schedule, t: int) -> Tensor:
        value = schedule.at(t)
        if value is not None:
            return torch.full((len(self.keys),), value)
        if schedule.mode == FREE:
            return self._drawn(name)
        if schedule.mode is None and name in self.labels:
            return self.labels[name]
        return torch.full((len(self.keys),), UNKNOWN)

    def settled(self, t: int) -> Ids:
        """The attributes of frame t, those that nobody told being inferred or drawn."""
        return {name: self._settle(name, ids) for name, ids in self.at(t).items()}

    def _settle(self, name: str, ids: Tensor) -> Tensor:
        if (ids != UNKNOWN).all():
            return ids
        likeliest = self._mean(name).argmax(-1).cpu() if self.seen else self._drawn(name)
        return torch.where(ids == UNKNOWN, likeliest, ids)

    def _drawn(self, name: str) -> Tensor:
        """One value for all frames: a function of seed, draw, clip and attribute."""
        if name not in self.drawn:
            values = len(self.attributes[name])
            numbers = (self.request.seed, self.request.draw)
            chances = [generator(*numbers, *_numbers(key, name)) for key in self.keys]
            self.drawn[name] = torch.cat([torch.randint(values, (1,), generator=chance) for chance in chances])
        return self.drawn[name]


def _numbers(*words: str) -> list[int]:
    return [crc32(word.encode()) for word in words]


def code_noise(request: SampleRequest, keys: list[str], t: int, size: int) -> Tensor:
    """What is drawn for the code of frame t, (B, D): a function of seed, draw, clip and frame, not of the batch."""
    numbers = (request.seed, request.draw)
    return torch.stack([torch.randn(size, generator=generator(*numbers, *_numbers(key), t)) for key in keys])
