"""What a feature network is to the metrics that compare distributions.

Shapes: B clips, T frames, D features, K classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.errors import ZooError


class Features(nn.Module):
    """A network in evaluation mode, without gradients, that takes videos (B, T, 3, H, W) in [-1, 1].

    It resizes and rescales by itself, always in the same way. A subclass gives one or several of the three views.

    name: of a metric's key, short, without dashes: ``r3d18``. sha256: of the weights, 16 digits or more. least_frames: of
    a clip. clip_size, frame_size, classes: of what the views give, 0 where there is no such view.
    """

    name: str
    sha256: str
    least_frames: int = 1
    clip_size: int = 0
    frame_size: int = 0
    classes: int = 0

    def clips(self, video: Tensor) -> Tensor:
        """Features of clips, (B, D)."""
        raise ZooError(f"{self.name} has no features of clips. Try: features=r3d_18")

    def frames(self, video: Tensor) -> Tensor:
        """Features of frames, (B, T, D)."""
        raise ZooError(f"{self.name} has no features of single frames. Try: features=lite0")

    def probabilities(self, video: Tensor) -> Tensor:
        """Of classes, (N, K), N clips or frames."""
        raise ZooError(f"{self.name} names no classes. Try: features=lite0")
