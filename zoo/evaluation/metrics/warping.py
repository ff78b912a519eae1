"""Warping error: how well a frame is explained by warping the one before along the flow.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metric import Setup, TemporalMetric, Videos
from zoo.flow.estimators import FlowEstimator
from zoo.flow.warp import warp


def warping_error(video: Tensor, flow: Tensor, visibility: Tensor) -> Tensor:
    """Mean |x_t − warp(x_{t-1}, flow)| over visible pixels and channels, of each frame but the first: (B, T-1), 0 to 2.

    video: (B, T, C, H, W) in [-1, 1]. flow: (B, T-1, 2, H, W), backward, pixels. visibility: (B, T-1, 1, H, W). A frame
    without visible pixels, as after a cut, has NaN. Real videos have an error as well, due to interpolation and changes
    of light. Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018, with L1 instead of squared L2.
    """
    error = (video[:, 1:] - warp(video[:, :-1], flow)).abs().mean(2, keepdim=True)
    return (error * visibility).sum((2, 3, 4)) / visibility.sum((2, 3, 4))


class WarpingError(TemporalMetric):
    """``warping_error_<estimator>``. The flow is estimated for samples and for real clips separately, except `exact`:
    the data set's own flow and visibility of the real clip, which a translated sample should have as well. Frames
    without visible pixels do not count, neither in the mean nor in windows of time."""

    def __init__(self, name: str, setup: Setup) -> None:
        assert setup.flow is not None
        super().__init__(f"{name}_{setup.flow.name}", setup)
        self.estimator = setup.flow

    def values(self, videos: Videos, real: bool) -> Tensor:
        """One value for each frame but the first, (B, T-1)."""
        return warping_error(videos.video, *estimate_flow(videos, self.estimator))


def estimate_flow(videos: Videos, estimator: FlowEstimator) -> tuple[Tensor, Tensor]:
    """Flow (B, T-1, 2, H, W) and visibility (B, T-1, 1, H, W): those of the clips for `exact`, else estimated once."""
    if estimator.name == "exact":
        return estimator.of(videos.clip)
    return videos.cached(estimator)
