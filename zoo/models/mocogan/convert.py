"""Convert generators of the original release, which are pickles of whole modules, without running code in them.

The release saves the generator alone. Sizes come from the tensors; how many entries of a code are a category stands
beside them in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.errors import ZooError, joined, suggest
from zoo.io.pickled_modules import LAYERS, state_of_module
from zoo.io.safe_load import read_tensors
from zoo.models.mocogan.config import MoCoGANConfig
from zoo.types import ClipSpec

if TYPE_CHECKING:
    from zoo.models.mocogan.model import MoCoGAN

MODULES = LAYERS | {"models.VideoGenerator"}
"""What a released generator mentions; none of it is imported."""
SETTINGS = ("fps",)
"""Settings of `zoo.convert` that apply."""
DEFAULT_FPS = 8.0
"""Frame rate at which the release writes its samples."""
FIRST, LAST = "main.0.weight", "main.12.weight"
"""First and last layer of the release's image generator, which has five."""
SIZE, DEFAULT_FRAMES = 64, 16
"""Height and width of the release's frames, and its length of a clip."""


def released_name(key: str) -> str:
    """Name of a tensor of the generator here -> its name in the release."""
    return key.replace("motion_network.cell.", "recurrent.").replace("image_generator.layers.", "main.")


def describe(state: Mapping[str, Tensor], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes of a released generator as settings of the model. attributes: plain ones of the pickled module."""
    code, motion = len(state[FIRST]), state["recurrent.weight_hh"].shape[1]
    categories = attributes.get("dim_z_category", 0)
    if type(categories) is not int or not 0 <= categories < code - motion:
        raise ZooError(f"dim_z_category is {categories!r:.60}, but a code has {code} entries, {motion} of them motion.")
    content = code - motion - categories
    return {"content": content, "categories": categories, "motion": motion, "width": len(state[LAST])}


def translate(state: Mapping[str, Tensor], model: MoCoGAN) -> dict[str, Tensor]:
    """The state dict of the model with the tensors of a release; the discriminators keep their weights.

    Raises ZooError for unknown or missing tensors.
    """
    wanted = model.state_dict()
    names = {released_name(key): key for part in model.ema_parts() for key in wanted if key.startswith(f"{part}.")}
    unknown = [key for key in state if key not in names]
    counters = [key for key in names if key.endswith("num_batches_tracked")]  # missing in files of torch 0.2
    misfits = [k for k, own in names.items() if k not in counters and not _fits(state.get(k), wanted[own])]
    if unknown or misfits:
        raise ZooError(f"These tensors do not fit a generator of MoCoGAN: {joined([*unknown, *misfits][:4])}.")
    return wanted | {names[key]: value for key, value in state.items()}


def _fits(found: Tensor | None, wanted: Tensor) -> bool:
    return found is not None and found.shape == wanted.shape


def read_generator(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State dict and plain attributes of a released generator. Raises ZooError for any other file."""
    hint = "Expected a file such as generator_100000.pytorch: a pickled VideoGenerator."
    if not file.is_file():
        raise ZooError(f"from={file} is not a file. {hint}")
    module = read_tensors(file, "a generator of MoCoGAN's release", MODULES)
    state = state_of_module(module, "MoCoGAN")
    missing = [key for key in (FIRST, LAST, "recurrent.weight_hh") if key not in state]
    if missing:
        raise ZooError(f"from={file} contains no tensor {joined(missing)}. {hint}")
    return state, {key: value for key, value in module.items() if isinstance(value, int)}


def convert(model_class: type[MoCoGAN], file: Path, settings: Mapping[str, Any]) -> MoCoGAN:
    """Build a model from a released generator, a file; its discriminators are untrained.

    settings: ``fps``. Raises ZooError for other settings and other files.
    """
    from zoo.runs.validate import build_on_meta

    for key in settings:
        if key not in SETTINGS:
            known = joined(SETTINGS)
            raise ZooError(f"{key}= does not apply to mocogan.{suggest(key, SETTINGS)} Settings that do: {known}.")
    fps = settings.get("fps", DEFAULT_FPS)
    if not isinstance(fps, int | float) or isinstance(fps, bool) or fps <= 0:
        raise ZooError(f"fps={fps} is not a positive number. Try: fps={DEFAULT_FPS:g}")
    state, attributes = read_generator(file)
    config = MoCoGANConfig(preset="paper", **describe(state, attributes))
    frames = attributes.get("video_length", DEFAULT_FRAMES)
    spec = ClipSpec(
        ("video",), frames=max(frames, 2), height=SIZE, width=SIZE, fps=float(fps), channels=state[LAST].shape[1]
    )
    translate(state, build_on_meta(lambda: model_class(config, spec), file, state))
    model = model_class(config, spec)
    model.load_state_dict(translate(state, model))
    return model.eval()
