"""The protocol of a measurement. It is part of a value's key, so values of different protocols never share a key."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from zoo.types import Split

COVARIANCE_BY_N = "covariance by N"
"""Variant of Fréchet distances: covariances divide by N instead of N - 1."""
MAX_INTEGER = 1 << 53
"""Largest integer that every JSON reader keeps exactly."""


@dataclass(frozen=True)
class Protocol:
    """How something was measured; results.jsonl holds the whole of it.

    It alone determines which clips are evaluated: ``clips`` of the split, chosen by ``selection``, made under
    ``settings``.
    """

    data: str
    """Name of the data set, or of the folder of real videos."""

    split: Split
    """Split of the data set."""

    clips: int
    """Number of clips."""

    frames: int
    """Length of a clip in frames, context included."""

    context: int
    """Real frames that the model sees first; they are not measured."""

    fps: float
    """Frames per second; 0 where it is unknown, as for folders of images, and where frames are taken as stored."""

    height: int
    """Height in pixels."""

    width: int
    """Width in pixels."""

    seed: int
    """Random seed of the samples."""

    draws: int = 1
    """Samples for each clip."""

    samples: int = 0
    """Number of samples that are made from nothing, if it is not that of the clips; else 0."""

    selection: str = "first"
    """Rule by which the clips are chosen (`zoo.data.selection`); `first` in lines older than this entry."""

    resize: str = "of the data set"
    """How frames were resized to height and width."""

    features: str = ""
    """Network that the metric uses: the name of a feature network, classifier or segmenter; "" for none."""

    features_sha256: str = ""
    """First 16 hex digits of the checksum of that network's weights."""

    flow_sha256: str = ""
    """The same of a flow estimator, whose name is part of the metric's name."""

    clip_keys: str = ""
    """Checksum of the clips that were evaluated, in any order: of their names and, if they are read from files, of the
    bytes of these (`zoo.data.sequences.files.content_checksum`), so that it depends on neither decoder nor machine.
    Generated clips, such as puppets, are determined by their name and the settings."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the data set that shape its clips."""

    options: dict[str, Any] = field(default_factory=dict)
    """Options of the samples, such as a temperature."""

    name: str = ""
    """Name of the protocol as a whole (`zoo.evaluation.named_protocols`), or the user's name for one that differs from
    it; "" for none."""

    variant: str = ""
    """Variant of the metrics, such as COVARIANCE_BY_N; "" for that of the zoo."""

    @property
    def slug(self) -> str:
        """The part of a key after the @: ``8x8f-c1-64x128px``, ``512x16f-c0-64x64px-d4-r3d18``;
        ``64x64px-1ch`` for grey clips."""
        draws = f"-d{self.draws}" if self.draws > 1 else ""
        samples = f"-n{self.samples}" if self.samples else ""
        options = "".join(f"-{name}{value}" for name, value in sorted(self.options.items()))
        features = f"-{self.features}" if self.features else ""
        channels = f"-{self.settings['channels']}ch" if "channels" in self.settings else ""
        clips = f"{self.clips}x{self.frames}f-c{self.context}-{self.height}x{self.width}px{channels}"
        name = f"-{self.name}" if self.name else ""
        return f"{clips}{draws}{samples}{options}{features}{name}"

    def key(self, metric: str) -> str:
        """Return the key under which a value is logged: ``val/l1@8x8f-c1-64x128px``."""
        return f"{self.split}/{metric}@{self.slug}"

    def differing_fields(self, other: Protocol) -> dict[str, tuple[Any, Any]]:
        """Return the fields that differ, with both values; settings of the data set as ``settings.<name>``."""
        mine, others = self.flat(), other.flat()
        names = dict.fromkeys([*mine, *others])
        return {n: (mine.get(n), others.get(n)) for n in names if mine.get(n) != others.get(n)}

    def flat(self) -> dict[str, Any]:
        """Return every field by name, with ``settings.<name>`` and ``options.<name>``."""
        plain = asdict(self)
        nested = {f"{group}.{name}": v for group in ("settings", "options") for name, v in plain.pop(group).items()}
        return plain | nested

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Protocol:
        """Read a protocol from a line of results.jsonl.

        Raises ValueError for missing and unknown fields, and for values of the wrong type.
        """
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(plain) - known):
            raise ValueError(f"its protocol has unknown fields: {', '.join(unknown)}")
        if not all(isinstance(plain.get(name, {}), dict) for name in ("settings", "options")):
            raise ValueError("settings and options of its protocol must be dictionaries")
        try:
            read = cls(**plain)
        except TypeError as problem:
            raise ValueError(f"its protocol is incomplete: {problem}") from problem
        for name in ("clips", "frames", "context", "height", "width", "seed", "draws", "samples"):
            if not isinstance(value := getattr(read, name), int) or abs(value) > MAX_INTEGER:
                raise ValueError(f"its protocol has {name}={value!r:.60}, but an integer is expected")
        return read
