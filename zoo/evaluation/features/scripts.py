"""Networks that are published as TorchScript files, called as their authors call them.

Sources: StyleGAN-V (Skorokhodov et al., CVPR 2022) for I3D and C3D; StyleGAN3 (Karras et al., NeurIPS 2021) for
Inception.
TorchScript is code. It runs inside torch's own interpreter, without Python and without unpickling anything, but it may
compute, allocate memory and map files without limit. Only the size of the unpacked archive and its checksum can be
checked. Open files of people whom you trust only, or type features_sha256=<the checksum that they publish>.

Shapes: B clips, T frames, N images, H x W pixels.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.evaluation.features.base import Features, check_views, to_byte_range
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_settings import check_decompressed_size

CHUNK = 64  # images in one forward pass
SPARE_BYTES = 1 << 26  # what the compressed code in a file may take beyond twice the size of the file


def open_script(path: Path) -> nn.Module:
    """Load the network of a TorchScript file, on the CPU. Raises ZooError for any other file."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_decompressed_size(path, archive.infolist(), 2 * path.stat().st_size + SPARE_BYTES)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
            return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, zipfile.BadZipFile) as problem:
        reason = str(problem).splitlines()[0].partition(". ")[0]
        raise ZooError(
            f"{path} is no TorchScript file: {reason}. Weights alone are not enough, since the network is needed as "
            "well. Write it with torch.jit.script(network).save(<file>), or with torch.jit.trace."
        ) from problem


class TorchScriptFeatures(Features):
    """A TorchScript file with a known interface, checked on a grey clip when it is loaded."""

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        self.name, self.sha256 = card.key, sha256[:16]
        self.network: Any = open_script(path)
        self.freeze()
        check_views(self, (self.least_frames, 64, 64))


class I3D(TorchScriptFeatures):
    """Logits of Kinetics-400 before the softmax, the features of FVD (Unterthiner et al. 2018).

    The file resizes frames to 224 x 224, without keeping their aspect ratio.
    """

    least_frames = 10
    clip_size = 400

    def clips(self, video: Tensor) -> Tensor:
        """Logits, (B, 400)."""
        return self.network(_channels_first(video), rescale=True, resize=True, return_features=True)


class C3D(TorchScriptFeatures):
    """Probabilities of the UCF-101 classes, for the Inception score of clips (Saito et al. 2017 and 2020).

    The file resizes frames.
    """

    least_frames = 16
    most_frames = 16
    classes = 101
    classifies = "clips"

    def probabilities(self, video: Tensor) -> Tensor:
        """Class probabilities of clips, (B, 101)."""
        return self.network(_channels_first(video))


class Inception(TorchScriptFeatures):
    """Inception-v3 for FID (Heusel et al. 2017) and the Inception score (Salimans et al. 2016).

    The file resizes frames to 299 x 299. The score omits the bias of the last layer, as the original does.
    """

    frame_size = 2048
    classes = 1008

    def frames(self, video: Tensor) -> Tensor:
        """Features after the last pooling, (B, T, 2048)."""
        return apply_to_frames(lambda x: self.network(x, return_features=True), video).view(*video.shape[:2], -1)

    def probabilities(self, video: Tensor) -> Tensor:
        """Class probabilities of frames, (B T, 1008)."""
        return apply_to_frames(lambda x: self.network(x, no_output_bias=True), video)


def apply_to_frames(network: Callable[[Tensor], Tensor], video: Tensor) -> Tensor:
    """Run a network on frames as uint8 images (N, 3, H, W), in chunks; returns (B T, ...)."""
    images = to_byte_range(video).flatten(0, 1).to(torch.uint8)
    return torch.cat([network(chunk) for chunk in torch.split(images, CHUNK)])


def _channels_first(video: Tensor) -> Tensor:
    """(B, T, 3, H, W) in [-1, 1] -> (B, 3, T, H, W) in 0..255."""
    return to_byte_range(video).transpose(1, 2).contiguous()
