"""Protocols with a name: every field at once, as a publication measured it. Imports no torch.

`zoo.evaluate protocol=<name>` sets all fields. A setting that differs from one of them is refused, unless the
measurement gets another name, ``protocol_name=<name>``: a name stands for the same numbers everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.data.selection import RANDOM_CLIP
from zoo.errors import ZooError, check_choice
from zoo.evaluation.protocol import COVARIANCE_BY_N
from zoo.settings import EvaluateSettings


@dataclass(frozen=True)
class NamedProtocol:
    """Every field of a protocol."""

    name: str
    """Name, typed as protocol=<name>; that of the results, where it is another."""

    source: str
    """Where it was published."""

    settings: Mapping[str, Any]
    """Values of `EvaluateSettings` by name. A frame rate of None: frames are taken as stored, never resampled."""

    height: int
    """Height of the stored frames in pixels."""

    width: int
    """Width of the stored frames in pixels."""

    selection: str = RANDOM_CLIP
    """Rule by which real clips are chosen (`zoo.data.selection`). Generated videos are taken from their first frame."""

    resize: str = "none: as stored"
    """How frames are resized before the feature network sees them."""

    variant: str = COVARIANCE_BY_N
    """Variant of the metrics (`Protocol.variant`)."""

    renamed: bool = False
    """Whether the user gave the measurement a name of its own, so that fields may differ."""

    def refuse(self, problem: str, advice: str) -> ZooError:
        """Build the error for something that the protocol does not allow. advice: settings to type beside the name."""
        return ZooError(
            f"{problem} To measure it nevertheless, give it a name of its own: {advice}protocol_name=<name>"
        )

    def check_size(self, what: str, height: int, width: int) -> None:
        """Raise ZooError for frames of another size, unless the measurement has a name of its own."""
        if (height, width) != (self.height, self.width) and not self.renamed:
            raise self.refuse(
                f"{what} has frames of {height}x{width} pixels, but the protocol {self.name} is of frames that are "
                f"stored as {self.height}x{self.width}.",
                "",
            )


NAMED_PROTOCOLS = {
    named.name: named
    for named in (
        NamedProtocol(
            name="styleganv-fvd2048-16f",
            source="fvd2048_16f of the code of StyleGAN-V, Skorokhodov et al., CVPR 2022",
            settings={
                "metrics": ["fvd"],
                "features": "i3d",
                "split": "train",
                "clips": 2048,
                "samples": None,
                "frames": 16,
                "fps": None,
                "context": 0,
                "draws": 1,
                "seed": 0,
                "temperature": None,
                "truncation": None,
                "clips_per_video": 1,
                "baselines": False,
            },
            height=256,
            width=256,
        ),
    )
}
"""The named protocols by name."""


def apply_protocol(settings: EvaluateSettings) -> tuple[EvaluateSettings, NamedProtocol | None]:
    """Return the settings with the fields of ``settings.protocol``, and the protocol; None if none is named.

    Raises ZooError for an unknown protocol, for a setting that differs from it without another name, and for a name
    that is taken or cannot be part of a key.
    """
    if settings.protocol is None:
        if settings.protocol_name is not None:
            raise ZooError(
                f"protocol_name={settings.protocol_name} renames a protocol, but none is chosen. Type protocol=<name>: "
                f"{', '.join(NAMED_PROTOCOLS)}"
            )
        return settings, None
    check_choice("protocol", settings.protocol, NAMED_PROTOCOLS)
    named, default = NAMED_PROTOCOLS[settings.protocol], EvaluateSettings()
    fixed = {**named.settings, "height": named.height, "width": named.width}
    typed = {name: getattr(settings, name) for name in fixed if getattr(settings, name) != getattr(default, name)}
    differing = [name for name, value in typed.items() if value != fixed[name]]
    if differing and settings.protocol_name is None:
        name = differing[0]
        raise named.refuse(
            f"{name}={typed[name]}, but the protocol {named.name} has {name}={fixed[name]}. Leave it out.",
            f"{name}={typed[name]} ",
        )
    if settings.protocol_name is not None:
        _check_name(settings.protocol_name)
        size = {side: getattr(settings, side) or getattr(named, side) for side in ("height", "width")}
        named = replace(named, name=settings.protocol_name, renamed=True, **size)
    values = {name: value for name, value in named.settings.items() if name not in typed}
    return replace(settings, **values), named


def _check_name(name: str) -> None:
    if name in NAMED_PROTOCOLS:
        raise ZooError(f"protocol_name={name} is the name of a published protocol. Type another one.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ZooError(f"protocol_name={name!r} must consist of letters, digits, dots, dashes and underscores.")
