"""Convert generators of the original release, which are NumPy archives of Chainer: ``generator_iter_N.npz``.

The release never saves a discriminator. Sizes come from the arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.errors import ZooError, joined, suggest
from zoo.io.safe_arrays import read_arrays
from zoo.models.tgan2.config import DOUBLINGS, TGAN2Config
from zoo.models.tgan2.released import load_released
from zoo.types import ClipSpec

if TYPE_CHECKING:
    from zoo.models.tgan2.model import TGAN2

SETTINGS = ("fps",)
"""Settings of `zoo.convert` that apply."""
DEFAULT_FPS = 25.0
"""Frame rate of UCF-101."""
FRAMES = 16
PARTS = {"start": ("fc/",), "recurrence": ("decoder",), "renderer": ("block", "b", "c")}
"""Network here -> starts of the released names of its arrays."""
NEEDED = ("fc/W", "decoder0/w_hifoc/W", "c6/W")


def describe(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], int, int]:
    """Sizes of a released generator as settings of the model, the side of its frames in pixels, and channels."""
    features = state["decoder0/w_hifoc/W"].shape[1]
    side = round((len(state["fc/W"]) / features) ** 0.5) << DOUBLINGS
    channels, width = state["c6/W"].shape[:2]
    settings = {
        "code": state["fc/W"].shape[1],
        "features": features,
        "layers": sum(key.endswith("w_hifoc/W") for key in state),
        "width": width,
    }
    return settings, side, channels


def convert(model_class: type[TGAN2], file: Path, settings: Mapping[str, Any]) -> TGAN2:
    """Build a model from a released generator, a file; its discriminators are untrained.

    settings: ``fps``. Raises ZooError for other settings and other files.
    """
    from zoo.runs.validate import build_on_meta

    for key in settings:
        if key not in SETTINGS:
            known = joined(SETTINGS)
            raise ZooError(f"{key}= does not apply to tgan2.{suggest(key, SETTINGS)} Settings that do: {known}.")
    fps = settings.get("fps", DEFAULT_FPS)
    if not isinstance(fps, int | float) or isinstance(fps, bool) or fps <= 0:
        raise ZooError(f"fps={fps} is not a positive number. Try: fps={DEFAULT_FPS:g}")
    hint = "Expected a file such as generator_iter_100000.npz."
    if not file.is_file():
        raise ZooError(f"from={file} is not a file. {hint}")
    state = read_arrays(file, "a generator of TGANv2's release")
    if missing := [key for key in NEEDED if key not in state]:
        raise ZooError(f"from={file} contains no array {joined(missing)}. {hint}")
    sizes, side, channels = describe(state)
    config = TGAN2Config(preset="paper", **sizes)
    spec = ClipSpec(("video",), frames=FRAMES, height=side, width=side, fps=float(fps), channels=channels)
    build_on_meta(lambda: model_class(config, spec), file, state)
    model = model_class(config, spec)
    remaining = dict(state)
    for part, starts in PARTS.items():
        own = {key: remaining.pop(key) for key in list(remaining) if key.startswith(starts)}
        load_released(getattr(model, part), own)
    if remaining:
        raise ZooError(f"These arrays do not fit a generator of TGANv2: {joined(list(remaining)[:4])}.")
    return model.eval()
