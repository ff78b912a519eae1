"""Networks that the field publishes as TorchScript, called as their authors call them.

Sources: StyleGAN-V (Skorokhodov et al., CVPR 2022) for I3D and C3D; StyleGAN3 (Karras et al., NeurIPS 2021) for
Inception.
TorchScript is code. It runs inside torch's own interpreter, without Python and without unpickling anything, but it may
compute and allocate what it likes, and map files. What can be checked is that the archive does not unfold, and its
checksum. Open only those of people whom you trust, or type features_sha256=<the checksum that they publish>.

Shapes: B clips, T frames, N pictures, H x W pixels.
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
from zoo.evaluation.features.base import Features, in_bytes, try_out
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_settings import check_unfolded

PICTURES_AT_ONCE = 64
SPARE_BYTES = 1 << 26  # of the code in a file, which is compressed, beyond twice the size of the file


def open_script(path: Path) -> nn.Module:
    """The network of a TorchScript file; a ZooError for any other file."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_unfolded(path, archive.infolist(), 2 * path.stat().st_size + SPARE_BYTES)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
            return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-any-return, no-untyped-call]
    except (RuntimeError, ValueError, zipfile.BadZipFile) as problem:
        reason = str(problem).splitlines()[0].partition(". ")[0]
        raise ZooError(
            f"{path} is no TorchScript file: {reason}. Weights alone do not say what their network is; write one with "
            "torch.jit.script(network).save(<file>), or with torch.jit.trace."
        ) from problem


class Scripted(Features):
    """A TorchScript file that is called in a known way, tried out on a grey clip when it is opened."""

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        self.name, self.sha256 = card.key, sha256[:16]
        self.network: Any = open_script(path)
        self.freeze()
        try_out(self, (self.least_frames, 64, 64))


class I3D(Scripted):
    """Logits of Kinetics-400 before the softmax, the features of FVD (Unterthiner et al. 2018). The file resizes frames
    to 224 x 224, without regard to their aspect."""

    least_frames = 10
    clip_size = 400

    def clips(self, video: Tensor) -> Tensor:
        """Logits, (B, 400)."""
        return self.network(_channels_first(video), rescale=True, resize=True, return_features=True)  # type: ignore[no-any-return]


class C3D(Scripted):
    """Probabilities of the classes of UCF-101, for the Inception score of clips (Saito et al. 2017 and 2020). The file
    resizes frames."""

    least_frames = 16
    most_frames = 16
    classes = 101
    classifies = "clips"

    def probabilities(self, video: Tensor) -> Tensor:
        """Of classes, (B, 101)."""
        return self.network(_channels_first(video))  # type: ignore[no-any-return]


class Inception(Scripted):
    """Inception-v3 as FID and the Inception score have it (Heusel et al. 2017, Salimans et al. 2016). The file resizes
    frames to 299 x 299; the score leaves the bias of the last layer out, as the original does."""

    frame_size = 2048
    classes = 1008

    def frames(self, video: Tensor) -> Tensor:
        """Features after the last pooling, (B, T, 2048)."""
        return by_pictures(lambda x: self.network(x, return_features=True), video).view(*video.shape[:2], -1)

    def probabilities(self, video: Tensor) -> Tensor:
        """Of classes, (B T, 1008)."""
        return by_pictures(lambda x: self.network(x, no_output_bias=True), video)


def by_pictures(network: Callable[[Tensor], Tensor], video: Tensor) -> Tensor:
    """What a network says of frames as uint8 pictures (N, 3, H, W), (B T, ...); some at a time."""
    pictures = in_bytes(video).flatten(0, 1).to(torch.uint8)
    return torch.cat([network(some) for some in torch.split(pictures, PICTURES_AT_ONCE)])


def _channels_first(video: Tensor) -> Tensor:
    """(B, T, 3, H, W) in [-1, 1] -> (B, 3, T, H, W) in 0..255."""
    return in_bytes(video).transpose(1, 2).contiguous()
