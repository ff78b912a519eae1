"""Attributes of every frame of a sample: scheduled, labelled, or drawn.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.blocks.attribute_schedule import FREE, INFERRED, Schedule, parse_schedules
from zoo.blocks.attributes import UNKNOWN, Attributes
from zoo.blocks.noise import sample_generators
from zoo.errors import ZooError
from zoo.types import Clip, SampleRequest

Ids = dict[str, Tensor]
"""Attribute -> (B,) int64, UNKNOWN where no value is known."""


class RequestedAttributes:
    """Determines the attributes of a sample frame by frame.

    Schedules of the request come first, then labels of the given clip, the last of which holds after its end. Any other
    attribute is drawn uniformly, once per sample.

    names: of the samples; random numbers depend on them. model: name of the model, for error messages. Raises ZooError
    for a schedule that does not fit the attributes, and for ``inferred``, which only some models can do.
    """

    def __init__(self, request: SampleRequest, names: list[str], attributes: Attributes, model: str) -> None:
        self.schedules = parse_schedules(request.options.get("attributes", {}), attributes, model)
        self.request, self.names, self.attributes, self.model = request, names, attributes, model
        self.labels: Ids = {}
        self.drawn: Ids = {}
        for name, schedule in self.schedules.items():
            if schedule.mode == INFERRED:
                self.check_inference(name)

    def check_inference(self, name: str) -> None:
        """Raise a ZooError, since this model infers no attributes."""
        raise ZooError(
            f"attributes.{name}={INFERRED}: {self.model} does not infer attributes. Try: attributes.{name}={FREE}"
        )

    def observe_labels(self, labels: Mapping[str, Tensor]) -> None:
        """Store the labels of the next given frame, attribute -> (B,)."""
        self.labels |= {name: labels[name].cpu() for name in self.attributes if name in labels}

    def known_at(self, t: int) -> Ids:
        """Attributes of frame t that are scheduled, labelled or drawn on request; UNKNOWN elsewhere."""
        return {name: self._known_ids(name, self.schedules.get(name, Schedule()), t) for name in self.attributes}

    def _known_ids(self, name: str, schedule: Schedule, t: int) -> Tensor:
        value = schedule.at(t)
        if value is not None:
            return torch.full((len(self.names),), value)
        if schedule.mode == FREE:
            return self._draw(name)
        if schedule.mode is None and name in self.labels:
            return self.labels[name]
        return torch.full((len(self.names),), UNKNOWN)

    def resolve(self, t: int) -> Ids:
        """Attributes of frame t; what is UNKNOWN gets its `likeliest` value."""
        return {name: self._resolve(name, ids) for name, ids in self.known_at(t).items()}

    def _resolve(self, name: str, ids: Tensor) -> Tensor:
        if (ids != UNKNOWN).all():
            return ids
        return torch.where(ids == UNKNOWN, self.likeliest(name), ids)

    def likeliest(self, name: str) -> Tensor:
        """Values of an attribute that nobody gave, (B,): drawn."""
        return self._draw(name)

    def _draw(self, name: str) -> Tensor:
        """Draw one value for all frames: a function of seed, draw, sample and attribute."""
        if name not in self.drawn:
            values = len(self.attributes[name])
            sources = sample_generators(self.request, self.names, name)
            self.drawn[name] = torch.cat([torch.randint(values, (1,), generator=source) for source in sources])
        return self.drawn[name]


def frame_labels(clips: Iterator[Clip]) -> Iterator[Ids]:
    """Labels of one frame after another: attribute -> (B,). clips: consecutive pieces of a clip."""
    for clip in clips:
        labels: Mapping[str, Any] = clip.get("attributes", {})
        for t in range(min((ids.shape[1] for ids in labels.values()), default=0)):
            yield {name: ids[:, t] for name, ids in labels.items()}
