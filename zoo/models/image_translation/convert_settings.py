"""Settings of a conversion: properties of a released model that its weights do not determine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from zoo.errors import ZooError, joined, suggest
from zoo.settings import ConvertSettings
from zoo.types import ClipSpec

KNOWN = tuple(setting.name for setting in fields(ConvertSettings))
"""Names of the settings of `zoo.convert`."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ZooError for an unknown setting."""
    for key in settings:
        if key not in KNOWN:
            raise ZooError(f"zoo.convert has no setting `{key}`.{suggest(key, KNOWN)} Known: {joined(KNOWN)}.")


def build_clip_spec(channels: int, settings: Mapping[str, Any], foreground: bool, frames: int = 8) -> ClipSpec:
    """Describe the clips of a converted model.

    channels: of the map of one frame. foreground: whether the weights have a branch for foreground classes. frames:
    length of a clip. Raises ZooError for a missing or wrong setting.
    """
    for name in ("height", "width"):
        if name not in settings:
            raise ZooError(f"The weights do not determine the {name} of a frame. Type height=<pixels> width=<pixels>.")
    if not foreground and "foreground" in settings:
        raise ZooError("The generator has no foreground branch. Leave foreground= out.")
    height, width = (positive_number(settings, name, int) for name in ("height", "width"))
    fps = positive_number(settings, "fps", float) if "fps" in settings else ConvertSettings.fps
    common: dict[str, Any] = {"frames": frames, "height": height, "width": width, "fps": fps}
    if "condition" in settings:
        kind = str(settings["condition"])
        return ClipSpec(("video", "condition", "flow"), **common, condition_kind=kind, condition_channels=channels)
    count = positive_number(settings, "label_count", int) if "label_count" in settings else -1
    if count not in (channels, channels - 1):
        raise ZooError(
            f"The generator expects {channels} channels per frame. Type label_count={channels - 1} for {channels - 1} "
            f"classes and instance edges, label_count={channels} for classes only, or condition=<kind>, such as edges, "
            f"for a drawing with {channels} channels."
        )
    names = tuple(str(number) for number in range(count))
    has_instances = count < channels
    return ClipSpec(
        ("video", "labels", *(("instances",) if has_instances else ()), "flow"),
        **common,
        label_names=names,
        foreground=_foreground_classes(settings, names) if foreground else (),
    )


def positive_number(settings: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a setting as a number of type ``kind``. Raises ZooError if it is not one or not positive."""
    value = settings[name]
    fits = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not fits or value <= 0:
        raise ZooError(
            f"{name}={value} is not a positive {'integer' if kind is int else 'number'}. Type {name}=<number>."
        )
    return kind(value)


def _foreground_classes(settings: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the foreground classes; the setting has their ids."""
    if "foreground" not in settings:
        raise ZooError(
            "The generator has a foreground branch, but the weights do not determine which classes it generates. Type "
            "foreground=[26], the default of the release (car in Cityscapes), or others."
        )
    setting = settings["foreground"]
    ids = setting if isinstance(setting, list) else [setting]
    for number in ids:
        if str(number) not in names:
            raise ZooError(
                f"foreground={number} is not a class; the ids of the {len(names)} classes are 0 to {len(names) - 1}."
            )
    return tuple(str(number) for number in ids)
