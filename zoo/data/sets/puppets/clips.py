"""Puppet clips by number: draw a scene, film it, and hand out the fields that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from zoo.data.base import ClipSet, spans
from zoo.data.sets.puppets import truth
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.data.sets.puppets.film import Frame, Picture, shoot
from zoo.data.sets.puppets.scene import Scene, Scripted, draw_scene
from zoo.types import Clip, Split

VALIDATION_CLIPS = 1000
DRAWN = {"edges": truth.edges, "distance": truth.edges_and_distance, "pose": truth.drawn_pose}


class PuppetClips(ClipSet):
    """One split. A clip depends on its split and number alone: neither on the seed nor on the epoch."""

    def __init__(self, config: PuppetsConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        self.config = config
        self.split = split
        self.fields = fields & frozenset(config.spec().fields)
        self.frame = Frame(config.height, config.pixel_width, config.shows_street)

    def __len__(self) -> int:
        return self.config.clips if self.split == "train" else VALIDATION_CLIPS

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """The clip of that number; a longer one begins with the shorter."""
        return self._film(draw_scene(self.config, self.split, index), self._key(index), range(frames))

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """The same, filmed piece by piece."""
        scene = draw_scene(self.config, self.split, index)
        return (self._film(scene, self._key(index), span) for span in spans(frames))

    def _key(self, index: int) -> str:
        return f"puppets/{self.split}-{index:06d}/0"

    def perform(self, index: int, actions: Sequence[int], identity: int | None = None) -> Clip:
        """The clip of that number with the lead's action chosen for every frame, and maybe its identity."""
        scene = draw_scene(self.config, self.split, index)
        chosen = scene.lead.identity if identity is None else identity
        timeline = Scripted(tuple(actions), self.config.fps)
        scene = replace(scene, lead=replace(scene.lead, identity=chosen, timeline=timeline))
        return self._film(scene, f"puppets/{self.split}-{index:06d}-performed/0", range(len(actions)))

    def _film(self, scene: Scene, key: str, span: range) -> Clip:
        times = np.asarray(span) / self.config.fps
        picture = shoot(scene, self.frame, times)
        clip: dict[str, Any] = {
            "video": torch.from_numpy(picture.canvas),
            "fps": torch.tensor(self.config.fps, dtype=torch.float32),
            "key": key,
        }
        clip.update(self._truth(picture))
        if "attributes" in self.fields:
            clip["attributes"] = {
                "identity": torch.full((len(span),), scene.lead.identity, dtype=torch.int64),
                "action": torch.from_numpy(scene.lead.timeline(times).astype(np.int64)),
            }
        return cast(Clip, clip)

    def _truth(self, picture: Picture) -> dict[str, Tensor]:
        wanted: dict[str, Any] = {}
        if "labels" in self.fields:
            wanted["labels"] = truth.labels(picture)
        if "instances" in self.fields:
            wanted["instances"] = truth.instances(picture)
        if "condition" in self.fields:
            wanted["condition"] = DRAWN[self.config.condition](picture)
        if "pose" in self.fields:
            wanted["pose"] = truth.joints(picture.poses[0], self.frame.height, self.frame.width)
        if self.fields & {"flow", "visibility"}:
            backward = truth.flow(picture)
            if "flow" in self.fields:
                wanted["flow"] = backward
            if "visibility" in self.fields:
                wanted["visibility"] = truth.visibility(picture, backward)
        return {name: torch.from_numpy(value) for name, value in wanted.items()}
