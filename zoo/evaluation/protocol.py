"""A number carries its protocol: numbers of different protocols never stand under one key."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from zoo.types import Split

MOST = 1 << 53
"""What JSON can be trusted to keep of a whole number."""


@dataclass(frozen=True)
class Protocol:
    """How something was measured; the whole of it goes into results.jsonl.

    Which clips are evaluated follows from it alone: the first ``clips`` of the ``split`` of the data set ``data`` under
    the ``settings`` that shape its clips. ``clip_keys`` is a checksum of those that were seen, in any order: of their
    names and, where they are read from files, of the bytes of these (`zoo.data.sequences.files.content_checksum`), so
    that neither a decoder nor a machine matters; what is drawn, as puppets are, follows from its name and the settings.

    frames: of each. context: those of them that the model was given; they are left out of what is measured. fps: 0
    where nothing says it, as of folders of images. draws: samples for each clip. seed: of the samples. options: of the
    samples, such as a temperature. resize: how frames came to height x width. features: the network whose features or
    verdicts were compared, with the checksum of its weights; "" where there is none. flow_sha256: the same of an
    estimator of flow, which the metric's own name tells.
    """

    data: str
    split: Split
    clips: int
    frames: int
    context: int
    fps: float
    height: int
    width: int
    seed: int
    draws: int = 1
    resize: str = "of the data set"
    features: str = ""
    features_sha256: str = ""
    flow_sha256: str = ""
    clip_keys: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The part of a metric's key after the @: ``8x8f-c1-64x128px``, ``512x16f-c0-64x64px-d4-r3d18``."""
        draws = f"-d{self.draws}" if self.draws > 1 else ""
        options = "".join(f"-{name}{value}" for name, value in sorted(self.options.items()))
        features = f"-{self.features}" if self.features else ""
        return f"{self.clips}x{self.frames}f-c{self.context}-{self.height}x{self.width}px{draws}{options}{features}"

    def key(self, metric: str) -> str:
        """``val/l1@8x8f-c1-64x128px``."""
        return f"{self.split}/{metric}@{self.slug}"

    def differences(self, other: Protocol) -> dict[str, tuple[Any, Any]]:
        """Which fields differ, with both values; settings of the data set by name, ``settings.view``."""
        mine, others = self.flat(), other.flat()
        names = dict.fromkeys([*mine, *others])
        return {n: (mine.get(n), others.get(n)) for n in names if mine.get(n) != others.get(n)}

    def flat(self) -> dict[str, Any]:
        """Every field by name, the settings among them."""
        plain = asdict(self)
        nested = {f"{group}.{name}": v for group in ("settings", "options") for name, v in plain.pop(group).items()}
        return plain | nested

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Protocol:
        """From a line of results.jsonl. A ValueError says what is missing or unknown."""
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(plain) - known):
            raise ValueError(f"its protocol has the unknown {', '.join(unknown)}")
        if not all(isinstance(plain.get(name, {}), dict) for name in ("settings", "options")):
            raise ValueError("the settings of its protocol are no settings")
        try:
            read = cls(**plain)
        except TypeError as problem:
            raise ValueError(f"its protocol is not whole: {problem}") from problem
        for name in ("clips", "frames", "context", "height", "width", "seed", "draws"):
            if not isinstance(value := getattr(read, name), int) or abs(value) > MOST:
                raise ValueError(f"its protocol has {name}={value!r:.60}, which is no number of that kind")
        return read
