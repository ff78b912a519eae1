"""What the weights of a released model do not determine: asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from zoo.errors import ZooError, listed, nearest
from zoo.settings import ConvertSettings
from zoo.types import ClipSpec

ASKED = tuple(setting.name for setting in fields(ConvertSettings))
"""Names of the settings that `zoo.convert` understands."""


def refuse_unknown(settings: Mapping[str, Any]) -> None:
    """A ZooError for a setting that is not asked for."""
    for key in settings:
        if key not in ASKED:
            raise ZooError(f"zoo.convert has no setting `{key}`.{nearest(key, ASKED)} Known: {listed(ASKED)}.")


def clip_spec(channels: int, settings: Mapping[str, Any], foreground: bool, frames: int = 8) -> ClipSpec:
    """The form of the clips; a ZooError that asks by name for what is missing.

    channels: of the map of one frame. foreground: whether the weights have a branch for foreground classes.
    """
    for name in ("height", "width"):
        if name not in settings:
            raise ZooError(f"The {name} of a frame is not in the weights. Type height=<pixels> width=<pixels>.")
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
            f"The generator takes {channels} channels a frame. Type label_count={channels - 1} for {channels - 1} "
            f"classes and the borders of instances, label_count={channels} for classes alone, or condition=<kind>, "
            f"such as edges, for a drawing of {channels} channels."
        )
    names = tuple(str(number) for number in range(count))
    has_instances = count < channels
    return ClipSpec(
        ("video", "labels", *(("instances",) if has_instances else ()), "flow"),
        **common,
        label_names=names,
        foreground=_classes("foreground", settings, names) if foreground else (),
    )


def positive_number(settings: Mapping[str, Any], name: str, kind: type) -> Any:
    """A setting as a number of that kind; a ZooError for anything else."""
    value = settings[name]
    fits = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not fits or value <= 0:
        raise ZooError(f"{name}={value} is no positive {'whole ' if kind is int else ''}number. Type {name}=<number>.")
    return kind(value)


def _classes(asked: str, settings: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """Numbers of classes as their names."""
    if asked not in settings:
        raise ZooError(
            "The generator has a foreground branch, and which classes it paints is not in the weights. Type "
            "foreground=[26], the release's default (car of Cityscapes), or others."
        )
    chosen = settings[asked] if isinstance(settings[asked], list) else [settings[asked]]
    for number in chosen:
        if str(number) not in names:
            raise ZooError(f"{asked}={number} is no class: there are {len(names)}, 0 to {len(names) - 1}.")
    return tuple(str(number) for number in chosen)
