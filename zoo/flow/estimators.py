"""Estimators of optical flow for videos without ground truth, behind one interface.

Shapes: B clips, T frames, C channels (3 or 1), H x W pixels; N pairs of frames.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from zoo.errors import ZooError, check_choice, joined
from zoo.flow import ESTIMATORS
from zoo.flow.occlusion import forward_backward_visibility
from zoo.grey import to_grey, to_rgb
from zoo.io.safe_load import read_tensors
from zoo.types import Clip

RAFT_MULTIPLE = 8
RAFT_MIN_SIDE = 128  # the four correlation levels need 16 x 16 features of 8 x 8 pixels
RAFT_PAIRS = 4  # batch size; the correlation of one pair takes 4 (HW/64)² bytes, 270 MB at 512 x 1024


def build_estimator(name: str, weights: str | None = None) -> FlowEstimator:
    """Build an estimator: exact, dis, raft_small or raft_large.

    weights: weights file of RAFT; None: the file in torch's cache. Nothing is downloaded.
    Raises ZooError for an unknown name, for missing or wrong weights, and for weights of an estimator that has none.
    """
    check_choice("data.flow", name, ESTIMATORS)
    if name.startswith("raft"):
        return RaftFlow(name, weights)
    if weights is not None:
        raise ZooError(
            f"data.flow={name} has no weights, but data.flow_weights={weights} is set. "
            "Leave data.flow_weights out, or type data.flow=raft_small or data.flow=raft_large."
        )
    return ExactFlow() if name == "exact" else DisFlow()


class FlowEstimator(ABC):
    """Estimates backward flow (B, T-1, 2, H, W) and visibility (B, T-1, 1, H, W), as `zoo.types` defines them."""

    name: str
    sha256: str = ""
    """First 16 digits of the SHA-256 of the weights file; empty for an estimator without weights."""

    @abstractmethod
    def __call__(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Flow and visibility of a video (B, T, C, H, W) in [-1, 1]; float32, on the same device."""

    def of(self, clip: Clip) -> tuple[Tensor, Tensor]:
        """Flow and visibility of a clip."""
        return self(clip["video"])


class ExactFlow(FlowEstimator):
    """Flow and visibility that the data set provides."""

    name = "exact"

    def of(self, clip: Clip) -> tuple[Tensor, Tensor]:
        """Flow and visibility of a clip. Raises ZooError if it has none."""
        if "flow" not in clip or "visibility" not in clip:
            raise ZooError(
                "data.flow=exact needs a data set with `flow` and `visibility`; this one provides "
                f"{joined(clip)}. Try: data.flow=dis"
            )
        return clip["flow"], clip["visibility"]

    def __call__(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Raise ZooError: exact flow is not defined for a video alone, such as a generated one."""
        raise ZooError(
            "data.flow=exact cannot estimate the flow of a video, such as a generated one. Try: data.flow=dis"
        )


class PairwiseFlow(FlowEstimator):
    """Estimates flow between frames in both directions, and visibility from their consistency."""

    @abstractmethod
    def between(self, frames: Tensor, others: Tensor) -> Tensor:
        """Flow (N, 2, H, W) such that ``frames(x) ≈ others(x + flow(x))``; both (N, C, H, W) in [-1, 1]."""

    @torch.no_grad()
    def __call__(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Flow and visibility of a video (B, T, C, H, W) in [-1, 1]; float32, on the same device."""
        earlier = rearrange(video[:, :-1].float(), "b t c h w -> (b t) c h w")
        later = rearrange(video[:, 1:].float(), "b t c h w -> (b t) c h w")
        backward = self.between(later, earlier)
        visibility = forward_backward_visibility(backward, self.between(earlier, later))
        backward, visibility = (rearrange(x, "(b t) c h w -> b t c h w", b=len(video)) for x in (backward, visibility))
        return backward, visibility


class DisFlow(PairwiseFlow):
    """OpenCV's dense inverse search, medium preset: needs no weights, runs on the CPU.

    Source: Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016.
    """

    name = "dis"

    def between(self, frames: Tensor, others: Tensor) -> Tensor:
        """Flow (N, 2, H, W) such that ``frames(x) ≈ others(x + flow(x))``."""
        import cv2

        search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow = torch.empty(len(frames), *frames.shape[-2:], 2)
        for n, (frame, other) in enumerate(zip(_to_grey(frames), _to_grey(others), strict=True)):
            flow[n] = torch.from_numpy(search.calc(frame, other, None))
        return flow.movedim(-1, 1).contiguous().to(frames.device)


def _to_grey(frames: Tensor) -> Any:
    """Frames (N, C, H, W) in [-1, 1] to luma as a uint8 array (N, H, W)."""
    return ((to_grey(frames)[:, 0] + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


class RaftFlow(PairwiseFlow):
    """torchvision's RAFT with weights from a file.

    Source: Teed and Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, ECCV 2020.
    """

    def __init__(self, name: str, weights: str | None = None) -> None:
        from torchvision.models import optical_flow

        known = {
            "raft_small": (optical_flow.raft_small, optical_flow.Raft_Small_Weights.DEFAULT),
            "raft_large": (optical_flow.raft_large, optical_flow.Raft_Large_Weights.DEFAULT),
        }
        build, published = known[name]
        self.name = name
        path = _find_weights(name, weights, published.url)
        self.network = _load_network(build, name, path)
        with path.open("rb") as file:
            self.sha256 = file_digest(file, "sha256").hexdigest()[:16]

    def between(self, frames: Tensor, others: Tensor) -> Tensor:
        """Flow (N, 2, H, W) such that ``frames(x) ≈ others(x + flow(x))``."""
        self.network.to(frames.device)
        pairs = zip(*(torch.split(to_rgb(images), RAFT_PAIRS) for images in (frames, others)), strict=True)
        return torch.cat([self._estimate(*some) for some in pairs])

    def _estimate(self, frames: Tensor, others: Tensor) -> Tensor:
        """Flow of one batch of pairs. Small frames are upscaled, sides are padded to multiples of 8; both is undone."""
        H, W = frames.shape[-2:]
        upscale = max(1.0, RAFT_MIN_SIDE / min(H, W))
        size = (round(upscale * H), round(upscale * W))
        padding = (0, -size[1] % RAFT_MULTIPLE, 0, -size[0] % RAFT_MULTIPLE)
        padded = [F.pad(_resize(x, size), padding, mode="replicate") for x in (frames, others)]
        with torch.autocast(frames.device.type, enabled=False):
            flow: Tensor = self.network(*padded)[-1]
        flow = _resize(flow[..., : size[0], : size[1]], (H, W))
        return flow * flow.new_tensor([W / size[1], H / size[0]]).view(2, 1, 1)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)


def _find_weights(name: str, weights: str | None, url: str) -> Path:
    """Path of the weights: the given one, or the file of that URL in torch's cache."""
    path = Path(weights or Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2]))
    if path.is_file():
        return path
    raise ZooError(
        f"data.flow={name} needs weights, but there is no file {path}. Download {url} and put it there, or type "
        "data.flow_weights=<file>. To do without weights, type data.flow=dis."
    )


def _load_network(build: Callable[[], nn.Module], name: str, path: Path) -> nn.Module:
    """Build a frozen network with the weights of a file."""
    network = build()
    try:
        network.load_state_dict(read_tensors(path, "weights"))
    except (ZooError, RuntimeError, TypeError) as problem:
        raise ZooError(
            f"{path} does not contain torchvision's weights of {name}: {str(problem).splitlines()[0]} "
            "Type data.flow_weights=<another file>, or data.flow=dis."
        ) from problem
    return network.eval().requires_grad_(False)
