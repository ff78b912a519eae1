"""Puppet clips by index: draw a scene, render it, and return the requested fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from zoo.data.base import ClipSet, piece_ranges
from zoo.data.sets.puppets import ground_truth
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.data.sets.puppets.render import Rendering, Viewport, render, scroll
from zoo.data.sets.puppets.scene import Scene, Scripted, draw_scene
from zoo.types import Clip, Split

HELD_OUT_CLIPS = 1000
"""Number of validation clips, and of test clips."""
CONDITIONS = {"edges": ground_truth.edges, "distance": ground_truth.edges_and_distance, "pose": ground_truth.draw_pose}


class PuppetClips(ClipSet):
    """One split. A clip depends on its split and index alone, neither on the seed nor on the epoch."""

    def __init__(self, config: PuppetsConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        self.config = config
        self.split = split
        self.fields = fields & frozenset(config.spec().fields)
        self.viewport = Viewport(config.height, config.pixel_width, config.shows_street)

    def __len__(self) -> int:
        return self.config.clips if self.split == "train" else HELD_OUT_CLIPS

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """Return a clip; a longer clip begins with the shorter one."""
        return self._render_clip(draw_scene(self.config, self.split, index), self._key(index), range(frames))

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """Yield the clip, rendered piece by piece."""
        scene = draw_scene(self.config, self.split, index)
        return (self._render_clip(scene, self._key(index), span) for span in piece_ranges(frames))

    def _key(self, index: int) -> str:
        return f"puppets/{self.split}-{index:06d}/0"

    def perform(self, index: int, actions: Sequence[int], identity: int | None = None) -> Clip:
        """Return a clip in which the actions of the lead are chosen, one per frame.

        actions: ids of `config.ACTIONS`; the clip has as many frames. identity: id of the lead, or None to keep it.
        """
        scene = draw_scene(self.config, self.split, index)
        chosen = scene.lead.identity if identity is None else identity
        timeline = Scripted(tuple(actions), self.config.fps)
        scene = replace(scene, lead=replace(scene.lead, identity=chosen, timeline=timeline))
        return self._render_clip(scene, f"puppets/{self.split}-{index:06d}-performed/0", range(len(actions)))

    def _render_clip(self, scene: Scene, key: str, span: range) -> Clip:
        times = np.asarray(span) / self.config.fps
        rendering = render(scene, self.viewport, times)
        clip: dict[str, Any] = {
            "video": torch.from_numpy(rendering.canvas),
            "fps": torch.tensor(self.config.fps, dtype=torch.float32),
            "key": key,
        }
        clip.update(self._compute_fields(rendering))
        if "attributes" in self.fields:
            clip["attributes"] = {
                "identity": torch.full((len(span),), scene.lead.identity, dtype=torch.int64),
                "action": torch.from_numpy(scene.lead.timeline(times).astype(np.int64)),
            }
        if "actions" in self.fields:
            moved = scroll(scene, self.viewport, np.arange(span.start, span.stop + 1) / self.config.fps)
            clip["actions"] = torch.from_numpy(moved.astype(np.float32)[:, None])
        return cast(Clip, clip)

    def _compute_fields(self, rendering: Rendering) -> dict[str, Tensor]:
        values: dict[str, Any] = {}
        if "labels" in self.fields:
            values["labels"] = ground_truth.labels(rendering)
        if "instances" in self.fields:
            values["instances"] = ground_truth.instances(rendering)
        if "condition" in self.fields:
            values["condition"] = CONDITIONS[self.config.condition](rendering)
        if "pose" in self.fields:
            values["pose"] = ground_truth.joints(rendering.poses[0], self.viewport.height, self.viewport.width)
        if self.fields & {"flow", "visibility"}:
            backward = ground_truth.flow(rendering)
            if "flow" in self.fields:
                values["flow"] = backward
            if "visibility" in self.fields:
                values["visibility"] = ground_truth.visibility(rendering, backward)
        return {name: torch.from_numpy(value) for name, value in values.items()}
