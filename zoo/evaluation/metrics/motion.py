"""Amount of motion, and flicker. Neither direction is better: compare with the value of the real clips.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metric import Setup, TemporalMetric, Videos
from zoo.evaluation.metrics.warping import estimate_flow


class Flicker(TemporalMetric):
    """Mean |x_{t+1} − 2 x_t + x_{t−1}| over pixels and channels: small for steady motion of smooth images."""

    skipped = 2

    def values(self, videos: Videos, real: bool) -> Tensor:
        """One value for each frame but the first two, (B, T-2)."""
        video = videos.video
        return (video[:, 2:] - 2 * video[:, 1:-1] + video[:, :-2]).abs().mean((2, 3, 4))


class Motion(TemporalMetric):
    """``motion_<estimator>``: mean length of the flow from one frame to the next, in pixels."""

    def __init__(self, name: str, setup: Setup) -> None:
        assert setup.flow is not None
        super().__init__(f"{name}_{setup.flow.name}", setup)
        self.estimator = setup.flow

    def values(self, videos: Videos, real: bool) -> Tensor:
        """One value for each frame but the first, (B, T-1)."""
        flow, _ = estimate_flow(videos, self.estimator)
        return (flow * flow).sum(2).sqrt().mean((2, 3))
