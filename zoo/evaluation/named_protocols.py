"""Protocols with a name: every field at once, as a publication measured it. Imports no torch.

`zoo.evaluate protocol=<name>` sets all fields. A setting that differs from one of them is refused, unless the
measurement gets another name, ``protocol_name=<name>``: a name stands for the same numbers everywhere.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoo.cli import python_command
from zoo.data.selection import FIRST, RANDOM_CLIP
from zoo.data.sets.moving_mnist.files import CLIPS_NAME, MNIST, PACKAGED
from zoo.errors import ZooError, check_choice
from zoo.evaluation.protocol import COVARIANCE_BY_N
from zoo.settings import EvaluateSettings

if TYPE_CHECKING:
    from zoo.data.base import DataConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipSource:
    """A place that the clips of a protocol can come from. Clips of another source have another name."""

    title: str
    """What it is, for messages."""

    shaping: Mapping[str, Any]
    """Entries of `DataConfig.shaping` by which it is recognised."""

    clips: int | None
    """Number of clips; None: all there are."""

    ending: str = ""
    """What the name of the protocol ends with; "" for the published clips."""


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

    data: str = ""
    """Name of the data set; "" for any, and for two folders of videos."""

    data_settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the data set that are part of the protocol."""

    sources: tuple[ClipSource, ...] = ()
    """Where the clips can come from, the published source first; empty where there is only one."""

    lpips: str = ""
    """Backbone of LPIPS, which is measured as well where its weights are present; "" for none."""

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

    def check_data(self, run: str, data: DataConfig) -> None:
        """Raise ZooError for a run on other data, unless the measurement has a name of its own."""
        if self.renamed or not self.data:
            return
        for setting, expected in {"name": self.data, **self.data_settings}.items():
            if (found := getattr(data, setting, None)) != expected:
                typed = [f"data.{name}={value}" for name, value in self.data_settings.items()]
                raise self.refuse(
                    f"{run} was trained with data.{setting}={found}, but the protocol {self.name} is of "
                    f"data.{setting}={expected}. Train a run on it: "
                    f"{python_command('zoo.train', f'data={self.data}', *typed)}",
                    "",
                )

    def find_source(self, data: DataConfig) -> ClipSource | None:
        """Where the clips of a data set come from; None if the protocol does not tell sources apart."""
        shaping = data.shaping() if self.sources else {}
        return next((each for each in self.sources if each.shaping.items() <= shaping.items()), None)

    def from_source(self, source: ClipSource) -> NamedProtocol:
        """The protocol on the clips of this source: its name and number of clips; a name of the user's own stays."""
        name = self.name if self.renamed else self.name + source.ending
        return replace(self, name=name, settings={**self.settings, "clips": source.clips})


OWN_DIGITS = ClipSource("MNIST's own test digits", {"source": MNIST}, None)
ZOO_DIGITS = ClipSource("the digits that travel with the zoo", {"source": PACKAGED}, None, "-zoo-digits")


def moving_digits(name: str, source: str, sources: tuple[ClipSource, ...], **fields: Any) -> NamedProtocol:
    """A protocol of prediction on two grey moving digits, in frames of 64 pixels.

    fields: `data_settings` and `lpips` of the protocol, and the settings that differ between protocols.
    """
    settings = {
        "features": None,
        "split": "test",
        "clips": sources[0].clips,
        "samples": None,
        "fps": None,
        "seed": 0,
        "temperature": None,
        "truncation": None,
        "clips_per_video": 1,
    }
    return NamedProtocol(
        name,
        source,
        settings | {key: fields[key] for key in ("metrics", "frames", "context", "draws")},
        height=64,
        width=64,
        selection=FIRST,
        resize="of the data set",
        variant="",
        data="moving_mnist",
        data_settings={"variant": fields["variant"], "digits": 2, "channels": 1},
        sources=sources,
        lpips=fields.get("lpips", ""),
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
        moving_digits(
            "svg-smmnist",
            "generation script of SVG, Denton and Fergus, ICML 2018",
            (replace(OWN_DIGITS, clips=256), replace(ZOO_DIGITS, clips=256)),
            variant="svg",
            metrics=["psnr", "ssim_range2", "ssim", "sharpness"],
            lpips="alex",
            frames=30,
            context=5,
            draws=100,
        ),
        moving_digits(
            "srvp-smmnist",
            "test script of SRVP, Franceschi et al., ICML 2020",
            (replace(OWN_DIGITS, clips=5000), ZOO_DIGITS),
            variant="srvp",
            metrics=["psnr", "ssim", "sharpness"],
            lpips="alex",
            frames=25,
            context=5,
            draws=100,
        ),
        moving_digits(
            "predrnn-mmnist",
            "PredRNN, Wang et al., NeurIPS 2017, and OpenSTL, Tan et al., NeurIPS 2023",
            (
                ClipSource(f"the published file {CLIPS_NAME}", {"test_clips": CLIPS_NAME}, 10_000),
                replace(OWN_DIGITS, ending="-drawn"),
                ZOO_DIGITS,
            ),
            variant="predrnn",
            metrics=["mse_sum", "mae_sum", "psnr", "ssim_range2", "ssim"],
            frames=20,
            context=10,
            draws=1,
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


def choose_source(
    settings: EvaluateSettings, data: DataConfig, named: NamedProtocol
) -> tuple[NamedProtocol, int | None]:
    """The protocol on the clips that a data set has, and their number; None: all there are.

    settings: with the fields of the protocol. Says so if the clips are not the published ones.
    """
    source = named.find_source(data)
    if source is None:
        return named, settings.clips
    found = named.from_source(source)
    if source.ending:
        logger.info(
            f"The clips of protocol={settings.protocol} come from {named.sources[0].title}, but those of this run come "
            f"from {source.title}. The measurement is called {found.name}."
        )
    return found, source.clips if settings.clips == named.settings["clips"] else settings.clips


def _check_name(name: str) -> None:
    endings = {each.ending for named in NAMED_PROTOCOLS.values() for each in named.sources}
    if any(name.removesuffix(ending) in NAMED_PROTOCOLS for ending in {"", *endings}):
        raise ZooError(f"protocol_name={name} is the name of a published protocol. Type another one.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ZooError(f"protocol_name={name!r} must consist of letters, digits, dots, dashes and underscores.")
