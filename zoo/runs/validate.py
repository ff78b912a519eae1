"""What a checkpoint says of itself, checked against the tensors in it before anything of that size is built."""

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
from zoo.data.base import DATA_SETS, DataConfig
from zoo.errors import ZooError, listed
from zoo.io.safe_load import tensors_in
from zoo.io.safe_settings import check_plain
from zoo.model import VideoModel, build
from zoo.types import FIELDS, ClipSpec

M = TypeVar("M", bound=nn.Module)

MOST = {"frames": 100_000, "height": 16_384, "width": 16_384, "condition_channels": 4_096}
"""What a checkpoint may say of its clips."""
SPARE_BYTES, SPARE_PARTS = 1 << 31, 10_000
"""What a model may hold beyond the tensors of its file: discriminators that were not published, grids, classifiers."""


def check_model(file: Path, checkpoint: Any) -> None:
    """A ZooError unless the settings in a checkpoint build a model that its tensors fit; allocates nothing.

    Settings are somebody's claim: of a width of a billion only a sketch is made, and that stops where it outgrows the
    file.
    """
    settings = checkpoint.get("hyper_parameters") if isinstance(checkpoint, dict) else None
    if not isinstance(settings, dict) or not {"model", "spec"} <= set(settings):
        raise ZooError(f"{file} is a PyTorch file, but no checkpoint of the zoo: it has no model and spec in it.")
    check_plain(settings, f"The settings in {file}")
    averages = checkpoint.get("ema", {})
    try:
        spec = _checked(ClipSpec(**settings["spec"]))
        model: VideoModel[Any] = build_on_meta(lambda: build(settings["model"], spec), file, checkpoint)
        model.load_state_dict(checkpoint["state_dict"], assign=True)
        for name, state in averages.items():
            model.ema_parts()[name].load_state_dict(state, assign=True)
        model.on_load_checkpoint(checkpoint)
        if not isinstance(model.clips_seen, int) or not all(isinstance(v, float) for v in model.accuracy.values()):
            raise ZooError("clips_seen is no whole number, or accuracy is no number by name.")
    except ZooError as problem:
        raise ZooError(f"{file} holds settings that cannot be built: {problem}") from problem
    except Exception as problem:  # whatever a constructor makes of settings that no training wrote
        found = re.sub(r"\s+", " ", str(problem))[:300]
        raise ZooError(
            f"{file} holds settings and tensors that do not fit each other: {type(problem).__name__}: {found}"
        ) from problem


def build_on_meta(make: Callable[[], M], file: Path, tensors: Any) -> M:
    """A module whose parameters have shapes and no memory; a ZooError as soon as it is far larger than ``tensors``."""
    held = list(tensors_in(tensors))
    most = SPARE_BYTES + 4 * sum(tensor.nbytes for tensor in held)
    parts, size = SPARE_PARTS + 4 * len(held), 0

    def count(_: nn.Module, name: str, part: Tensor | nn.Module | None) -> None:
        nonlocal parts, size
        parts -= 1
        size += part.nbytes if isinstance(part, Tensor) else 0
        if parts < 0 or size > most:
            raise ZooError(
                f"{file} describes a model far larger than the {len(held)} tensors that it holds; "
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


def typed_data(settings: Any, file: Path) -> DataConfig:
    """The data settings in a run's ``file`` as their dataclass; a ZooError for a wrong type or an absurd size."""
    if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
        raise ZooError(f"{file} cannot be used: its data settings have no name of a data set.")
    kind = DATA_SETS.find(settings["name"]).config
    try:
        config: DataConfig = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), settings))  # type: ignore[assignment]
    except OmegaConfBaseException as problem:
        raise ZooError(f"{file} cannot be used: {explain(problem)}") from problem
    for name, most in MOST.items():
        if (getattr(config, name, None) or 1) > most:
            raise ZooError(
                f"{file} cannot be used: data.{name}={getattr(config, name)}, where at most {most} is expected."
            )
    return config


def _checked(spec: ClipSpec) -> ClipSpec:
    """A ZooError for clips that there cannot be."""
    for name, most in MOST.items():
        value, least = getattr(spec, name), 0 if name == "condition_channels" else 1
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ZooError(f"its clips have {name}={value!r:.60}, where {least} to {most} is expected.")
    if not isinstance(spec.fps, int | float) or not 0 < spec.fps <= 1000:
        raise ZooError(f"its clips have fps={spec.fps!r:.60}, where 0 to 1000 is expected.")
    names = [*spec.fields, *spec.label_names, *spec.foreground, *spec.constant, spec.condition_kind]
    names += [word for name, values in spec.attributes.items() for word in (name, *values)]
    if not all(isinstance(word, str) for word in names) or not set(spec.fields) <= set(FIELDS):
        raise ZooError(f"its clips have the fields {listed(map(str, spec.fields))}; known are {listed(FIELDS)}.")
    return spec
