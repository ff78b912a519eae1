"""The interface of a feature network, as the metrics of distributions see it.

Shapes: B clips, T frames, D features, K classes, N clips or frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch import Tensor, nn

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.evaluation.metric import Videos

View = Literal["clips", "frames", "probabilities"]
"""What a network gives: features of clips, features of frames, or class probabilities."""

NAMES = {
    "clips": "features of clips",
    "frames": "features of frames",
    "classes of clips": "class probabilities of clips",
    "classes of frames": "class probabilities of frames",
}
TRY = {
    "clips": "features=r3d_18",
    "frames": "features=lite0",
    "classes of clips": "features=c3d",
    "classes of frames": "features=lite0",
}


class Features(nn.Module):
    """A network in evaluation mode, without gradients, that takes videos (B, T, 3, H, W) in [-1, 1].

    It resizes and rescales by itself, always in the same way. A subclass implements one or more of the three views.

    name: part of a metric's key, letters and digits only: ``r3d18``. sha256: first 16 hex digits of the checksum of the
    weights. least_frames, most_frames: length of a clip that it takes; None is no limit. clip_size, frame_size,
    classes: size D or K of each view, 0 where it does not exist. classifies: what the probabilities are of.
    """

    name: str
    sha256: str
    least_frames: int = 1
    most_frames: int | None = None
    clip_size: int = 0
    frame_size: int = 0
    classes: int = 0
    classifies: Literal["clips", "frames"] = "frames"

    def clips(self, video: Tensor) -> Tensor:
        """Features of clips, (B, D)."""
        raise NotImplementedError

    def frames(self, video: Tensor) -> Tensor:
        """Features of frames, (B, T, D)."""
        raise NotImplementedError

    def probabilities(self, video: Tensor) -> Tensor:
        """Class probabilities, (N, K), of clips or frames."""
        raise NotImplementedError

    def size(self, view: View) -> int:
        """Return the size D or K of a view, 0 where it does not exist."""
        return {"clips": self.clip_size, "frames": self.frame_size, "probabilities": self.classes}[view]

    def check(self, metric: str, view: View, frames: int, of: Literal["clips", "frames"] | None = None) -> int:
        """Return the size of a view for a metric of clips of that many frames.

        of: for probabilities, what they must be of. Raises ZooError if the view does not exist or the clips are too
        short or too long for the network.
        """
        what = f"classes of {of}" if of else view
        if not self.size(view) or (of and of != self.classifies):
            raise ZooError(
                f"{metric} needs {NAMES[what]}, which the network {self.name} does not give. Try: {TRY[what]}"
            )
        if frames < self.least_frames or (self.most_frames and frames > self.most_frames):
            least, most = self.least_frames, self.most_frames
            required = f"exactly {least} frames" if least == most else f"at least {least} frames"
            raise ZooError(
                f"The network {self.name} takes clips of {required}, but {frames} are measured. "
                f"Try: frames={least}, plus the context frames."
            )
        return self.size(view)

    def extract(self, view: View, videos: Videos) -> Tensor:
        """Compute a view of clips, once for all metrics and in single precision whatever the precision of the model.

        This is where grey clips get three equal channels, since the networks were trained on RGB.

        Raises ZooError if a TorchScript file fails, and for values that are not finite.
        """
        try:
            with torch.autocast(videos.video.device.type, enabled=False):
                values = self._cached_view(view, videos.rgb)
        except torch.jit.Error as problem:
            raise ZooError(
                f"The network {self.name} does not take these clips, {tuple(videos.video.shape)}: {_reason(problem)}"
            ) from problem
        if not values.isfinite().all():
            raise ZooError(
                f"The network {self.name} gives values that are not finite for clips such as {videos.clip['key'][0]}, "
                "whose frames are finite. Try another network: features=r3d_18"
            )
        return values

    def _cached_view(self, view: View, videos: Videos) -> Tensor:
        function: Callable[[Tensor], Tensor] = getattr(self, view)
        return videos.cached(function)

    def freeze(self) -> None:
        """Switch to evaluation mode and turn gradients off, for good."""
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, even as part of a module that is trained."""
        return super().train(False)


def to_byte_range(video: Tensor) -> Tensor:
    """Map [-1, 1] to the integers 0 to 255, still float, as if the frames were read from a file."""
    return ((video.float().clamp(-1, 1) + 1) * 127.5).round()


def check_views(features: Features, shape: tuple[int, int, int]) -> None:
    """Run every view on a grey clip of this shape (frames, height, width).

    Raises ZooError for a view of another size, and for probabilities that do not sum to 1.
    """
    grey = torch.zeros(1, shape[0], 3, *shape[1:])
    views: tuple[View, ...] = ("clips", "frames", "probabilities")
    for view in views:
        if size := features.size(view):
            values = run_view(features, view, grey)
            if values.shape[-1] != size:
                raise ZooError(
                    f"The file of features={features.name} gives {values.shape[-1]} values for each of the {view}, but "
                    f"{features.name} has {size}. The file holds another network."
                )
            total = float(values.flatten(0, -2)[0].sum())
            if view == "probabilities" and (values.min() < 0 or abs(total - 1) > 1e-3):
                raise ZooError(
                    f"The file of features={features.name} should give class probabilities, but they sum to "
                    f"{total:.4g}. The file holds another network."
                )


@torch.no_grad()
def run_view(features: Features, view: View, video: Tensor) -> Tensor:
    """Compute a view of a clip. Raises ZooError, quoting the cause, if the network fails or gives no row per clip."""
    try:
        values: Any = getattr(features, view)(video)
    except (torch.jit.Error, RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as problem:
        raise ZooError(
            f"The file of features={features.name} does not take clips as it should: {_reason(problem)}"
        ) from problem
    if not isinstance(values, Tensor) or values.ndim < 2 or len(values) != len(video):
        found = f"tensor of shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ZooError(
            f"The file of features={features.name} gives a {found} for one clip, but one row of values is expected."
        )
    return values


def _reason(problem: Exception) -> str:
    """The last line of torch's message; those before it show the script."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1] if lines else type(problem).__name__
