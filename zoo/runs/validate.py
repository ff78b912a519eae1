"""Check the settings in a checkpoint against its tensors before a model of that size is built."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from torch.nn.modules import module as registration

from zoo.cli import explain
from zoo.data.base import CHANNELS, DATA_SETS, DataConfig
from zoo.errors import ZooError, joined
from zoo.io.safe_load import tensors_in
from zoo.io.safe_settings import check_plain
from zoo.model import VideoModel, build_for_sampling
from zoo.types import FIELDS, ClipSpec

M = TypeVar("M", bound=nn.Module)

MAX_SIZES = {"frames": 100_000, "height": 16_384, "width": 16_384, "condition_channels": 4_096}
"""Largest sizes of clips that a checkpoint may state."""
SPARE_BYTES, SPARE_PARTS = 1 << 31, 10_000
"""Memory and modules that a model may have beyond its file: unpublished discriminators, grids, classifiers."""


def check_model(file: Path, checkpoint: Any) -> None:
    """Raise ZooError unless the settings in a checkpoint build a model that its tensors fit. Allocates no memory.

    The settings may come from an untrusted source: the model is built on the meta device, and building stops as soon as
    the model is far larger than the file.
    """
    settings = checkpoint.get("hyper_parameters") if isinstance(checkpoint, dict) else None
    if not isinstance(settings, dict) or not {"model", "spec"} <= set(settings):
        raise ZooError(f"{file} is a PyTorch file, but not a checkpoint of the zoo: it contains no model and spec.")
    check_plain(settings, f"The settings in {file}")
    averages = checkpoint.get("ema", {})
    try:
        spec = _check_spec(ClipSpec(**settings["spec"]))
        model: VideoModel[Any] = build_on_meta(lambda: build_for_sampling(settings["model"], spec), file, checkpoint)
        model.load_state_dict(checkpoint["state_dict"], assign=True)
        for name, state in averages.items():
            model.ema_parts()[name].load_state_dict(state, assign=True)
        model.on_load_checkpoint(checkpoint)
        if not isinstance(model.clips_seen, int) or not all(isinstance(v, float) for v in model.accuracy.values()):
            raise ZooError("clips_seen is not an integer, or accuracy is not a mapping of names to numbers.")
    except ZooError as problem:
        raise ZooError(f"{file} contains settings from which no model can be built: {problem}") from problem
    except Exception as problem:  # constructors may raise anything for settings that no training wrote
        found = re.sub(r"\s+", " ", str(problem))[:300]
        raise ZooError(
            f"{file} contains settings and tensors that do not match: {type(problem).__name__}: {found}"
        ) from problem


def build_on_meta(make: Callable[[], M], file: Path, tensors: Any) -> M:
    """Build a module on the meta device, so its parameters have no memory. file, tensors: where the settings come from.

    Raises ZooError as soon as the module is far larger than ``tensors``.
    """
    in_file = list(tensors_in(tensors))
    max_size = SPARE_BYTES + 4 * sum(tensor.nbytes for tensor in in_file)
    parts_left, size = SPARE_PARTS + 4 * len(in_file), 0

    def count(_: nn.Module, name: str, part: Tensor | nn.Module | None) -> None:
        nonlocal parts_left, size
        parts_left -= 1
        size += part.nbytes if isinstance(part, Tensor) else 0
        if parts_left < 0 or size > max_size:
            raise ZooError(
                f"{file} describes a model far larger than its {len(in_file)} tensors; "
                f"building it was stopped at `{name}`."
            )

    hooks = [
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
        registration.register_module_module_registration_hook(count),
    ]
    try:
        with torch.device("meta"):
            return make()
    finally:
        for hook in hooks:
            hook.remove()


def parse_data_config(settings: Any, file: Path) -> DataConfig:
    """Parse the data settings in a run's ``file`` into their dataclass.

    Raises ZooError for an unknown name or setting, a wrong type, or a number out of its range.
    """
    if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
        raise ZooError(f"{file} cannot be used: its data settings do not name a data set.")
    kind = DATA_SETS.find(settings["name"]).config
    try:
        config: DataConfig = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), settings))  # type: ignore[assignment]
    except OmegaConfBaseException as problem:
        raise ZooError(f"{file} cannot be used: {explain(problem)}") from problem
    except ZooError as problem:
        raise ZooError(f"{file} cannot be used: {problem}") from problem
    return config


def _check_spec(spec: ClipSpec) -> ClipSpec:
    """Return the spec. Raises ZooError for sizes, rates or names that no clip can have."""
    for name, largest in MAX_SIZES.items():
        value, least = getattr(spec, name), 0 if name == "condition_channels" else 1
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= largest:
            raise ZooError(f"its clips have {name}={value!r:.60}; expected {least} to {largest}.")
    if type(spec.channels) is not int or spec.channels not in CHANNELS:
        raise ZooError(f"its clips have channels={spec.channels!r:.60}; expected 3 or 1.")
    if not isinstance(spec.fps, int | float) or not 0 < spec.fps <= 1000:
        raise ZooError(f"its clips have fps={spec.fps!r:.60}; expected 0 to 1000.")
    names = [*spec.fields, *spec.label_names, *spec.foreground, *spec.constant, *spec.action_names, spec.condition_kind]
    names += [word for name, values in spec.attributes.items() for word in (name, *values)]
    if not all(isinstance(word, str) for word in names) or not set(spec.fields) <= set(FIELDS):
        raise ZooError(f"its clips have the fields {joined(map(str, spec.fields))}; known: {joined(FIELDS)}.")
    return spec
