"""How much moves, and how much shakes. Neither is better or worse by itself: compare with the real clips' number.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metric import Setup, SteadinessMetric, Videos
from zoo.evaluation.metrics.warping import estimated


class Flicker(SteadinessMetric):
    """Mean |x_{t+1} − 2 x_t + x_{t−1}| over pixels and RGB: what steady motion of smooth pictures has little of."""

    skipped = 2

    def values(self, videos: Videos, real: bool) -> Tensor:
        """For each frame but the first two."""
        video = videos.video
        return (video[:, 2:] - 2 * video[:, 1:-1] + video[:, :-2]).abs().mean((2, 3, 4))


class Motion(SteadinessMetric):
    """``motion_<estimator>``: mean length of the flow from one frame to the next, in pixels."""

    def __init__(self, name: str, setup: Setup) -> None:
        assert setup.flow is not None
        super().__init__(f"{name}_{setup.flow.name}", setup)
        self.estimator = setup.flow

    def values(self, videos: Videos, real: bool) -> Tensor:
        """For each frame but the first."""
        flow, _ = estimated(videos, self.estimator)
        return (flow * flow).sum(2).sqrt().mean((2, 3))
