"""Convert snapshots of the original release, which are NumPy archives of Chainer, one a network.

The release writes ``gen_iter_N.npz`` (temporal generator), ``vgen_iter_N.npz`` (image generator) and
``vdis_iter_N.npz`` (discriminator). Sizes come from the arrays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo.errors import ZooError, joined, suggest
from zoo.io.safe_arrays import read_arrays
from zoo.models.tgan.config import TGANConfig
from zoo.types import ClipSpec

if TYPE_CHECKING:
    from zoo.models.tgan.model import TGAN

States = Mapping[str, Mapping[str, Tensor]]
"""Network -> its arrays by released name."""

FILES = {"gen": "temporal_generator", "vgen": "image_generator", "vdis": "discriminator"}
"""Start of a file's name -> network."""
SETTINGS = ("fps",)
"""Settings of `zoo.convert` that apply."""
DEFAULT_FPS = 25.0
"""Frame rate of UCF-101."""
NORM_PARTS = {"gamma": "weight", "beta": "bias", "avg_mean": "running_mean", "avg_var": "running_var"}
DOUBLINGS = 4
"""Doublings of the resolution in the released image generator."""


def released_names(network: str, module: nn.Module) -> dict[str, str]:
    """Released name of every tensor of a network -> its name here, such as ``dc0/W`` -> ``convolutions.0.weight``."""
    return {released: f"{ours}.{part}" for ours, layer in module.named_modules() for released, part in
            _layer_names(network, ours, layer, module)}  # fmt: skip


def _layer_names(network: str, ours: str, layer: nn.Module, module: nn.Module) -> Iterator[tuple[str, str]]:
    """(released name, parameter) of the tensors of one layer."""
    last = len(getattr(module, "convolutions", ()))
    kind, _, number = ours.partition("s.")
    shifted = int(network == "image_generator")  # its convolutions are counted from 1
    if ours in ("slow_norm", "fast_norm"):
        name = "bn0s" if ours == "slow_norm" else "bn0f"
    elif kind == "norm" and isinstance(layer, nn.modules.batchnorm._BatchNorm):
        name = f"bn{int(number) + shifted}"
    elif ours in ("slow", "fast"):
        name = "l0s" if ours == "slow" else "l0f"
    elif kind == "convolution" or ours == "last":
        letter = "c" if network == "discriminator" else "dc"
        name = f"{letter}{(last if ours == 'last' else int(number)) + shifted}"
    else:
        return
    if name.startswith("bn"):
        yield from ((f"{name}/{theirs}", part) for theirs, part in NORM_PARTS.items())
    else:
        yield from ((f"{name}/{'W' if part == 'weight' else 'b'}", part) for part, _ in layer.named_parameters())


def load_released(network: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the arrays of a network of the release. Raises ZooError for unknown or missing ones, or other sizes.

    Ignored are the counters of norms and the discriminator's norm ``bn0``, which the release never uses. A norm without
    shift has none.
    """
    names, wanted = released_names(network, module), module.state_dict()
    if network == "discriminator":
        state = {key: value for key, value in state.items() if not key.startswith("bn0/")}
    found = {key: value for key, value in state.items() if not key.endswith("/N")}
    for key, value in found.items():
        if key in names and wanted[names[key]].ndim == value.ndim + 1:  # a convolution of images: one frame is left
            found[key] = value.unsqueeze(2)
    missing = [key for key in names if key not in found and not key.endswith("/beta")]
    unknown = [key for key in found if key not in names]
    misfits = [key for key in found if key in names and found[key].shape != wanted[names[key]].shape]
    if missing or unknown or misfits:
        raise ZooError(f"These arrays do not fit TGAN's {network}: {joined([*missing, *unknown, *misfits][:4])}.")
    module.load_state_dict(wanted | {names[key]: value for key, value in found.items()})


def describe(states: States) -> tuple[dict[str, Any], int, int]:
    """Sizes of the networks of a release as settings of the model, the side of its frames in pixels, and channels."""
    temporal, images = states["temporal_generator"], states["image_generator"]
    wide = len(images["dc1/W"])
    start = round((2 * len(images["l0s/W"]) / wide) ** 0.5)
    settings = {
        "slow": temporal["dc0/W"].shape[0],
        "fast": images["l0f/W"].shape[1],
        "temporal_width": temporal["dc0/W"].shape[1],
        "width": wide >> DOUBLINGS,
        "norm_shift": "bn0/beta" in temporal,
    }
    if "discriminator" in states:
        settings["discriminator_width"] = len(states["discriminator"]["c0/W"])
    return settings, start << DOUBLINGS, images[f"dc{DOUBLINGS + 1}/W"].shape[1]


def read_snapshot(file: Path) -> dict[str, dict[str, Tensor]]:
    """Arrays of the networks of a snapshot, given one of its files. Raises ZooError for any other file."""
    hint = "Expected a file such as vgen_iter_100000.npz, beside gen_iter_100000.npz."
    match = re.fullmatch(r"(?:v?gen|vdis)_iter_(\d+)\.npz", file.name)
    if not file.is_file() or match is None:
        raise ZooError(f"from={file} is not a file of a snapshot. {hint}")
    files = {network: file.with_name(f"{start}_iter_{match[1]}.npz") for start, network in FILES.items()}
    missing = [files[network].name for network in ("temporal_generator", "image_generator")
               if not files[network].is_file()]  # fmt: skip
    if missing:
        raise ZooError(f"from={file} is one file of a snapshot, but {joined(missing)} is not beside it. {hint}")
    return {network: read_arrays(each, "a snapshot of TGAN") for network, each in files.items() if each.is_file()}


def convert(model_class: type[TGAN], file: Path, settings: Mapping[str, Any]) -> TGAN:
    """Build a model from a snapshot, given one of its files.

    Without ``vdis_iter_N.npz``, its discriminator is untrained. settings: ``fps``. Raises ZooError for other settings
    and other files.
    """
    from zoo.runs.validate import build_on_meta

    for key in settings:
        if key not in SETTINGS:
            known = joined(SETTINGS)
            raise ZooError(f"{key}= does not apply to tgan.{suggest(key, SETTINGS)} Settings that do: {known}.")
    fps = settings.get("fps", DEFAULT_FPS)
    if not isinstance(fps, int | float) or isinstance(fps, bool) or fps <= 0:
        raise ZooError(f"fps={fps} is not a positive number. Try: fps={DEFAULT_FPS:g}")
    states = read_snapshot(file)
    sizes, side, channels = describe(states)
    config = TGANConfig(preset="paper", **sizes)
    spec = ClipSpec(("video",), frames=16, height=side, width=side, fps=float(fps), channels=channels)
    build_on_meta(lambda: model_class(config, spec), file, states)
    model = model_class(config, spec)
    for network, state in states.items():
        load_released(network, getattr(model, network), state)
    return model.eval()
