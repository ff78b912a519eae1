"""C3D for the Inception score of clips on UCF-101, as the releases of TGAN and of TGANv2 measure with it.

Both use one network, released as NumPy archives: the weights, and beside them the mean clip that they were trained
with. They prepare clips differently, so their scores are not one metric.

Shapes: B clips, T = 16 frames, H x W pixels, K classes.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError, joined
from zoo.evaluation.features.base import Features
from zoo.evaluation.features.names import FeatureCard
from zoo.io.safe_arrays import read_arrays

FRAMES, SIDE = 16, 112
MEAN_FILE, MEAN_SHAPE = "mean2.npz", (3, FRAMES, 128, 171)
"""Name of the file of the mean clip, and its shape: blue, green, red; frames; rows; columns."""
STAGES = (("conv1a",), ("conv2a",), ("conv3a", "conv3b"), ("conv4a", "conv4b"), ("conv5a", "conv5b"))
LINEAR = ("fc6", "fc7", "fc8")


class C3D(nn.Module):
    """Eight convolutions of 3 x 3 x 3, five poolings and three linear layers (Tran et al. 2015); widths as in the file.

    Poolings round up, so 112 pixels become 56, 28, 14, 7 and 4. The first one keeps all frames.
    """

    def __init__(self, arrays: dict[str, Tensor]) -> None:
        super().__init__()
        self.convolutions, self.linear = nn.ModuleDict(), nn.ModuleDict()
        self.classes = len(arrays[f"{LINEAR[-1]}/W"])
        for name in (name for stage in STAGES for name in stage):
            weight = arrays[f"{name}/W"]
            self.convolutions[name] = nn.Conv3d(weight.shape[1], weight.shape[0], 3, padding=1)
        for name in LINEAR:
            weight = arrays[f"{name}/W"]
            self.linear[name] = nn.Linear(weight.shape[1], weight.shape[0])
        for name, layer in (*self.convolutions.items(), *self.linear.items()):
            layer.load_state_dict({"weight": arrays[f"{name}/W"], "bias": arrays[f"{name}/b"]})

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, 16, 112, 112) -> logits (B, K)."""
        for number, stage in enumerate(STAGES):
            for name in stage:
                x = F.relu(self.convolutions[name](x))
            x = F.max_pool3d(x, (2 if number else 1, 2, 2), ceil_mode=True)
        x = x.flatten(1)
        for name in LINEAR[:-1]:
            x = F.relu(self.linear[name](x))
        return self.linear[LINEAR[-1]](x)


class TGANC3D(Features):
    """Class probabilities of clips, prepared as in the release of TGAN (Saito et al. 2017).

    Frames become 128 x 128 with cubic interpolation, as OpenCV computes it; values beyond 0 to 255 stay. The mean clip
    is taken off, and the middle of 112 x 112 pixels is cut out. The release measures 9,984 clips in one split, adds
    1e-7 inside the logarithms, and reports the mean over four seeds.
    """

    least_frames = FRAMES
    most_frames = FRAMES
    classifies = "clips"
    mean: Tensor
    mean_columns: ClassVar[slice] = slice(21 + 8, 21 + 8 + SIDE)
    """Columns of the mean clip that belong to those that are cut out."""

    def __init__(self, card: FeatureCard, path: Path, sha256: str) -> None:
        super().__init__()
        self.name, self.sha256 = card.key, sha256[:16]
        self.network = _read_network(path)
        self.classes = self.network.classes
        self.register_buffer("mean", _read_mean(path)[..., 8 : 8 + SIDE, self.mean_columns])
        self.freeze()

    def probabilities(self, video: Tensor) -> Tensor:
        """Class probabilities of clips, (B, K)."""
        frames = self.prepare(video.float().flatten(0, 1)).view(*video.shape[:3], SIDE, SIDE)
        clips = (frames + 1).mul(127.5).flip(2).transpose(1, 2)  # blue first
        return self.network(clips - self.mean).softmax(-1)

    def prepare(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) in [-1, 1] -> (N, 3, 112, 112)."""
        resized = F.interpolate(frames, (128, 128), mode="bicubic", align_corners=False)
        return resized[..., 8 : 8 + SIDE, 8 : 8 + SIDE]


class TGAN2C3D(TGANC3D):
    """The same network, with clips prepared as in the release of TGANv2 (Saito et al. 2020).

    Frames become 112 x 112 with linear interpolation between the centres of the corner pixels, and another part of the
    mean clip is taken off. The release measures 2,048 clips, ten times.
    """

    mean_columns = slice(8, 8 + SIDE)

    def prepare(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) in [-1, 1] -> (N, 3, 112, 112)."""
        return F.interpolate(frames.clamp(-1, 1), (SIDE, SIDE), mode="bilinear", align_corners=True)


def _read_network(path: Path) -> C3D:
    """Build the network from its archive. Raises ZooError for another file."""
    arrays = read_arrays(path, "the weights of C3D")
    names = [*(name for stage in STAGES for name in stage), *LINEAR]
    missing = [f"{name}/{part}" for name in names for part in "Wb" if f"{name}/{part}" not in arrays]
    if missing:
        raise ZooError(
            f"{path} has no {joined(missing[:4])}, so it does not hold C3D as TGAN releases it. It holds "
            f"{joined(list(arrays)[:4]) or 'nothing'}."
        )
    try:
        network = C3D(arrays)
        deepcopy(network).to("meta")(torch.empty(1, 3, FRAMES, SIDE, SIDE, device="meta"))
    except (RuntimeError, IndexError, ValueError) as problem:
        raise ZooError(f"{path}: the layers do not fit together: {str(problem).splitlines()[0]}") from problem
    return network


def _read_mean(path: Path) -> Tensor:
    """The mean clip, MEAN_SHAPE, from the file beside the weights. Raises ZooError if it is missing or another one."""
    file = path.parent / MEAN_FILE
    if not file.is_file():
        raise ZooError(f"{file} is missing: put the mean clip of the same release beside {path.name}.")
    arrays = list(read_arrays(file, "the mean clip of C3D").values())
    count = torch.Size(MEAN_SHAPE).numel()
    if len(arrays) != 1 or arrays[0].numel() != count:
        found = joined(str(tuple(array.shape)) for array in arrays[:4]) or "nothing"
        raise ZooError(f"{file} holds {found}, but one mean clip of the shape {MEAN_SHAPE} is expected.")
    return arrays[0].float().reshape(MEAN_SHAPE)
