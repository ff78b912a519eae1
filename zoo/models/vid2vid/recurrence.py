"""The recurrence of vid2vid: every frame is painted from the maps and the frames before it, at every scale.

Shapes: B clips, T frames, C channels of a map, H x W pixels, L past frames. A ``Frame`` is one frame at every scale,
coarsest first, each (B, 3, H/2^s, W/2^s).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.models.vid2vid.networks import GeneratedFrame, SequentialGenerator

Frame = list[Tensor]


@dataclass(frozen=True)
class Rollout:
    """A generator that is asked for one frame after another."""

    generator: SequentialGenerator
    freeze_coarse: bool = False

    def __call__(
        self, maps: Sequence[Tensor], past: Sequence[Frame], t: int, warps: bool | None = None
    ) -> list[GeneratedFrame]:
        """Frame t at every scale.

        maps: per scale (B, T, C, H, W), coarsest first. past: the frames before, the latest last. warps: whether the
        frame before is warped; None is when there is one. Before the clip begins the first map is repeated and frames
        are zeros.
        """
        length = self.generator.past_frames
        given = [torch.cat([level[:, max(i, 0)] for i in range(t - length, t + 1)], 1) for level in maps]
        history = []
        for scale, level in enumerate(maps):
            frames = [frame[scale] for frame in past[-length:]]
            nothing = level.new_zeros(len(level), 3, *level.shape[-2:])
            history.append(torch.cat([nothing] * (length - len(frames)) + frames, 1))
        warps = len(past) > 0 if warps is None else warps
        return self.generator(given, history, warps, self.freeze_coarse)  # type: ignore[no-any-return]

    def paint(
        self,
        maps: Sequence[Tensor],
        past: Sequence[Frame],
        times: range,
        backprop_frames: int = 1,
        warps: bool | None = None,
    ) -> list[list[GeneratedFrame]]:
        """Frames ``times`` one after another, each at every scale; arguments as for one.

        backprop_frames: the gradient runs back through so many frames and no further (truncated backpropagation).
        """
        film, painted = list(past), []
        for n, t in enumerate(times):
            if n % backprop_frames == 0:
                film = [[level.detach() for level in frame] for frame in film]
            painted.append(self(maps, film, t, warps))
            film.append([scale.frame for scale in painted[-1]])
        return painted
