"""What a network of features is to the metrics that compare distributions.

Shapes: B clips, T frames, D features, K classes.
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
TRY = {
    "clips": "features=r3d_18",
    "frames": "features=lite0",
    "classes of clips": "features=c3d",
    "classes of frames": "features=lite0",
}


class Features(nn.Module):
    """A network in evaluation mode, without gradients, that takes videos (B, T, 3, H, W) in [-1, 1].

    It resizes and rescales by itself, always in the same way. A subclass gives one or several of the three views.

    name: of a metric's key, short, letters and digits: ``r3d18``. sha256: of the weights, 16 digits. least_frames,
    most_frames: of a clip; None is no end. clip_size, frame_size, classes: of what the views give, 0 where there is no
    such view. classifies: what it gives probabilities of.
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
        """Of classes, (N, K), N clips or frames."""
        raise NotImplementedError

    def size(self, view: View) -> int:
        """How many numbers a view gives of a clip or frame, 0 where there is none."""
        return {"clips": self.clip_size, "frames": self.frame_size, "probabilities": self.classes}[view]

    def check(self, metric: str, view: View, frames: int, of: Literal["clips", "frames"] | None = None) -> int:
        """The size of a view for a metric of clips with so many frames; a ZooError where there is none.

        of: for probabilities, of what they must be.
        """
        what = f"classes of {of}" if of else view
        if not self.size(view) or (of and of != self.classifies):
            raise ZooError(f"{metric} looks at {what}, and the network {self.name} knows none. Try: {TRY[what]}")
        if frames < self.least_frames or (self.most_frames and frames > self.most_frames):
            least, most = self.least_frames, self.most_frames
            range_ = f"exactly {least} frames" if least == most else f"{least} frames at least"
            raise ZooError(
                f"The network {self.name} looks at {range_} of a clip, and {frames} are measured. "
                f"Try: frames={least}, and as many more as are given (context=)."
            )
        return self.size(view)

    def see(self, view: View, videos: Videos) -> Tensor:
        """A view of clips, computed once for all metrics, and in single precision whatever the model is in.

        Raises a ZooError where a TorchScript file fails, and for numbers that are not finite.
        """
        try:
            with torch.autocast(videos.video.device.type, enabled=False):
                seen = self._once(view, videos)
        except torch.jit.Error as problem:
            raise ZooError(
                f"The network {self.name} does not take these clips, {tuple(videos.video.shape)}: {_reason(problem)}"
            ) from problem
        if not seen.isfinite().all():
            raise ZooError(
                f"The network {self.name} gives numbers that are not finite for clips such as {videos.clip['key'][0]}, "
                "though their frames are. Take another: features=r3d_18"
            )
        return seen

    def _once(self, view: View, videos: Videos) -> Tensor:
        look: Callable[[Tensor], Tensor] = getattr(self, view)
        return videos.once(look)

    def freeze(self) -> None:
        """No gradients, and evaluation mode for good."""
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """It stays in evaluation mode, whoever holds it."""
        return super().train(False)


def in_bytes(video: Tensor) -> Tensor:
    """[-1, 1] to whole numbers from 0 to 255, still float: as they would be read from a file."""
    return ((video.float().clamp(-1, 1) + 1) * 127.5).round()


def try_out(features: Features, shape: tuple[int, int, int]) -> None:
    """Show a grey clip (frames, height, width) to every view; a ZooError for one that is not as it should be."""
    grey = torch.zeros(1, shape[0], 3, *shape[1:])
    views: tuple[View, ...] = ("clips", "frames", "probabilities")
    for view in views:
        if size := features.size(view):
            seen = tried(features, view, grey)
            if seen.shape[-1] != size:
                raise ZooError(
                    f"The file of features={features.name} gives {seen.shape[-1]} numbers of each of the {view} where "
                    f"{features.name} has {size}. It holds another network."
                )
            total = float(seen.flatten(0, -2)[0].sum())
            if view == "probabilities" and (seen.min() < 0 or abs(total - 1) > 1e-3):
                raise ZooError(
                    f"The file of features={features.name} should give probabilities of classes, and what it gives "
                    f"sums to {total:.4g}. It holds another network."
                )


@torch.no_grad()
def tried(features: Features, view: View, video: Tensor) -> Tensor:
    """A view of a clip; a ZooError that quotes what goes wrong inside."""
    try:
        seen: Any = getattr(features, view)(video)
    except (torch.jit.Error, RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as problem:
        raise ZooError(
            f"The file of features={features.name} does not take clips as it should: {_reason(problem)}"
        ) from problem
    if not isinstance(seen, Tensor) or seen.ndim < 2 or len(seen) != len(video):
        found = f"tensor of shape {tuple(seen.shape)}" if isinstance(seen, Tensor) else type(seen).__name__
        raise ZooError(
            f"The file of features={features.name} gives a {found} of one clip, where a row of numbers is due."
        )
    return seen


def _reason(problem: Exception) -> str:
    """The last line of what torch says; those before it show the script."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1] if lines else type(problem).__name__
