"""Warping error: how much of a frame is not explained by moving the one before.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metric import Setup, SteadinessMetric, Videos
from zoo.flow.estimators import FlowEstimator
from zoo.flow.warp import warp


def warping_error(video: Tensor, flow: Tensor, visibility: Tensor) -> Tensor:
    """Mean |x_t − warp(x_{t-1}, flow)| over visible pixels and RGB, for each frame but the first: (B, T-1).

    video: (B, T, 3, H, W) in [-1, 1], so an error is in [0, 2]; flow: (B, T-1, 2, H, W), backward, pixels; visibility:
    (B, T-1, 1, H, W). A frame in which nothing is visible, as where a scene is cut, has NaN: nothing says how it
    follows the one before. Real videos have an error, too, by interpolation and changing light: the floor to compare
    with. The measure of Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018, with L1 for the squared L2.
    """
    miss = (video[:, 1:] - warp(video[:, :-1], flow)).abs().mean(2, keepdim=True)
    return (miss * visibility).sum((2, 3, 4)) / visibility.sum((2, 3, 4))


class WarpingError(SteadinessMetric):
    """``warping_error_<estimator>``. An estimator looks at each video by itself, samples and real clips alike; with
    `exact`, the flow and visibility of the real clip are those that its sample should have, too. A frame in which
    nothing is visible does not count, neither in the mean over frames nor in those of windows of time."""

    def __init__(self, name: str, setup: Setup) -> None:
        assert setup.flow is not None
        super().__init__(f"{name}_{setup.flow.name}", setup)
        self.estimator = setup.flow

    def values(self, videos: Videos, real: bool) -> Tensor:
        """For each frame but the first."""
        return warping_error(videos.video, *estimated(videos, self.estimator))


def estimated(videos: Videos, estimator: FlowEstimator) -> tuple[Tensor, Tensor]:
    """Flow and visibility of clips: their own where they come with exact ones, else estimated once."""
    if estimator.name == "exact":
        return estimator.of(videos.clip)
    return videos.once(estimator)
