"""The recurrence of vid2vid: each frame is generated from its map, the maps and frames before it, at every scale.

Shapes: B clips, T frames, C channels of a map, H x W pixels, L past frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.models.vid2vid.networks import GeneratedFrame, SequentialGenerator

FramePyramid = list[Tensor]
"""One frame at every scale, coarsest first, each (B, 3, H/2^s, W/2^s)."""


@dataclass(frozen=True)
class Rollout:
    """Generates frames one after another with the sequential generator."""

    generator: SequentialGenerator
    freeze_coarse: bool = False

    def next_frame(
        self, maps: Sequence[Tensor], past: Sequence[FramePyramid], t: int, warps: bool | None = None
    ) -> list[GeneratedFrame]:
        """Generate frame t at every scale, coarsest first.

        maps: per scale (B, T, C, H, W), coarsest first. past: the previous frames, latest last. warps: warp the
        previous frame; None: if there is one. Before the start of the clip, the first map is repeated and frames are 0.
        """
        length = self.generator.past_frames
        given = [torch.cat([level[:, max(i, 0)] for i in range(t - length, t + 1)], 1) for level in maps]
        history = []
        for scale, level in enumerate(maps):
            frames = [frame[scale] for frame in past[-length:]]
            zeros = level.new_zeros(len(level), 3, *level.shape[-2:])
            history.append(torch.cat([zeros] * (length - len(frames)) + frames, 1))
        warps = len(past) > 0 if warps is None else warps
        return self.generator(given, history, warps, self.freeze_coarse)

    def generate(
        self,
        maps: Sequence[Tensor],
        past: Sequence[FramePyramid],
        times: range,
        backprop_frames: int = 1,
        warps: bool | None = None,
    ) -> list[list[GeneratedFrame]]:
        """Generate the frames ``times`` one after another, each at every scale; arguments as in ``next_frame``.

        backprop_frames: number of frames that gradients flow back through (truncated backpropagation through time).
        """
        frames, generated = list(past), []
        for n, t in enumerate(times):
            if n % backprop_frames == 0:
                frames = [[level.detach() for level in frame] for frame in frames]
            generated.append(self.next_frame(maps, frames, t, warps))
            frames.append([scale.frame for scale in generated[-1]])
        return generated
