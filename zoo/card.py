"""The model card as data: what preflight, the data module, the tests, the docs and `zoo.list` all read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, get_args

from zoo.errors import check_choice
from zoo.fields.ranges import check_values
from zoo.registry import Registry
from zoo.types import FIELDS, ClipSpec, Task

ConfigT = TypeVar("ConfigT")

STRATEGIES = ("auto", "cpu", "ddp", "fsdp", "deepspeed")
"""The options of conf/strategy."""
SMALL = "small"
"""Preset that every model has: the defaults of its config."""
PAPER = "paper"
"""Name of the preset with the published settings."""

Presets = Mapping[str, Mapping[str, Any]]
"""Name of a preset -> the settings whose defaults it changes."""


@dataclass(frozen=True)
class ModelCard:
    """What the zoo knows of a model without importing it."""

    name: str
    """Short name, typed as model=<name>."""

    title: str
    """Title of the paper, or one line on the model."""

    paper: str
    """Authors, venue, year and arXiv number."""

    year: int
    """Year of the publication."""

    code_licence: str
    """Licence of the code, and what it was written from."""

    weights_licence: str
    """Licence of published weights, or that there are none."""

    tasks: frozenset[Task]
    """What the model does; `zoo.types.Task` lists the choices."""

    needs: tuple[tuple[str, ...], ...]
    """Fields that every clip must have. Each entry is a group of alternatives, of which one field is enough."""

    uses: frozenset[str] = frozenset()
    """Optional fields of a clip: used where the data set provides them."""

    min_frames: int = 1
    """Shortest training clip, in frames."""

    size_multiple: int = 1
    """Height and width of a clip must be multiples of this, in pixels."""

    adversarial: bool = False
    """Trained by several optimizers in alternation."""

    strategies: frozenset[str] = frozenset({"auto", "cpu"})
    """Options of conf/strategy that the model is tested with."""

    streams: bool = False
    """Generates frame by frame at constant memory, so a sample may have any length."""

    options: frozenset[str] = frozenset()
    """Sampling options that the model understands: keys of `SampleRequest.options`, and truncation."""

    deterministic: bool = False
    """Every seed and draw gives the same sample: the model draws no noise, unless a setting adds some."""

    batch_statistics: bool = False
    """A sample depends on the other clips of its batch, whose statistics normalise it."""

    latent: bool = False
    """Has a code: `decode` makes a video of it, so `zoo.sample between=` can interpolate."""

    channels: tuple[int, ...] = (3,)
    """Channels of the videos that it can be trained on: 3 (RGB), 1 (grey) or both."""

    budget_clips: int = 800
    """Training clips of a first training: the default of budget.clips."""

    evaluation_clips: int = 8
    """Clips of a validation round: the default of evaluation.clips."""

    def __post_init__(self) -> None:
        for name in self.wanted():
            check_choice("needs or uses", name, FIELDS)
        for task in self.tasks:
            check_choice("tasks", task, get_args(Task))
        for strategy in self.strategies:
            check_choice("strategies", strategy, STRATEGIES)

    @property
    def samples(self) -> bool:
        """Whether it makes videos; a model that only classifies or segments them does not."""
        return not self.tasks <= {"classify", "segment"}

    @property
    def promises(self) -> tuple[str, ...]:
        """What holds for its samples, for tables; the contract tests check it. Empty if it makes no videos."""
        if not self.samples:
            return ()
        codes = ("has codes",) if self.latent else ()
        return (
            "any length" if self.streams else "bounded length",
            "deterministic" if self.deterministic else "seeds differ",
            "depends on its batch" if self.batch_statistics else "independent of its batch",
            *codes,
        )

    def fits(self, fields: Collection[str]) -> bool:
        """Whether a data set that can provide these fields, under some setting, has what the model needs."""
        return all(set(group) & set(fields) for group in self.needs)

    def missing(self, spec: ClipSpec) -> list[tuple[str, ...]]:
        """The needs that clips of this form do not meet."""
        return [group for group in self.needs if not set(group) & set(spec.fields)]

    def wanted(self) -> frozenset[str]:
        """Every field that a data set should provide if it can."""
        return frozenset(name for group in self.needs for name in group) | self.uses


@dataclass
class ModelConfig:
    """The settings of a model: plain data, so that a checkpoint holds them and OmegaConf checks them."""

    presets: ClassVar[Presets] = MappingProxyType({SMALL: {}})
    """The presets of the model, as it was registered with them."""

    other_forms: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Settings that give the tiny variant another form, each with its parts: for tests of settings that exclude each
    other."""

    training_only: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Settings that only a training needs, such as the network of a loss, with values that turn them off. A model that
    is loaded for samples opens no file that they name."""

    name: str
    """Name of the model."""

    preset: str = SMALL
    """Set of defaults: small (sized for a laptop) or, for models that have it, paper (the published settings). A
    setting that is typed wins over the preset."""

    @classmethod
    def preset_default(cls, preset: str, setting: str) -> Any:
        """Default of a setting under a preset; the small one under an unknown preset, which the constructor refuses."""
        if setting in cls.presets.get(preset, {}):
            return cls.presets[preset][setting]
        return next(field.default for field in fields(cls) if field.name == setting)

    @property
    def context_frames(self) -> tuple[int, int | None]:
        """How many real frames a sample may begin with: the least and the most; None is any number."""
        return (0, None)

    @property
    def batch_statistics(self) -> bool:
        """Whether a sample depends on the other clips of its batch; by default as the card says."""
        return MODELS.find(self.name).card.batch_statistics

    def clamp_context(self, frames: int) -> int:
        """The possible number of real frames that is nearest to ``frames``."""
        least, most = self.context_frames
        return max(least, frames if most is None else min(frames, most))

    def most_frames(self, spec: ClipSpec) -> int | None:
        """Longest sample in frames, context included; None is any length."""
        return None

    def count_problems(self, spec: ClipSpec, frames: int, context: int, prefix: str = "") -> list[str]:
        """Sentences about a sample of ``frames`` frames with ``context`` real ones, if there can be no such sample.

        prefix: of the settings' names, such as ``evaluation.``.
        """
        least, most = self.context_frames
        found = f"{prefix}context={context}, but {self.name} with these settings"
        if context < least:
            return [f"{found} needs at least {least} real frame{'s' * (least > 1)}. Try: {prefix}context={least}"]
        if most == 0 < context:
            return [f"{found} is given no real frames. Leave it out, or type {prefix}context=0"]
        if most is not None and context > most:
            return [f"{found} takes at most {most} real frame{'s' * (most > 1)}. Try: {prefix}context={most}"]
        longest = self.most_frames(spec)
        if longest is not None and frames > longest:
            return [
                f"{prefix}frames={frames}, but {self.name} with these settings generates at most {longest} frames. "
                f"Try: {prefix}frames={longest}"
            ]
        if frames <= context:
            return [
                f"{prefix}frames={frames} with {prefix}context={context} leaves no frame to generate. "
                f"Try: {prefix}frames={context + 8}"
            ]
        return []

    def problems(self, spec: ClipSpec) -> list[str]:
        """Sentences about what in these settings does not fit clips of that form; preflight prints them."""
        return []


class ModelRegistry(Registry[ModelCard]):
    """The registry of models, which may have presets."""

    def register(
        self, card: ModelCard, builds: str, presets: Presets | None = None
    ) -> Callable[[type[ConfigT]], type[ConfigT]]:
        """Class decorator for the config of a model. builds: ``".module:Class"``, relative to its package.

        presets: name -> the settings whose defaults it changes, such as ``{"paper": {"width": 64}}``. The config's own
        defaults are the preset `small`. Raises ZooError if another package has registered the name.
        """
        add = super().register(card, builds)

        def add_with_presets(config: type[ConfigT]) -> type[ConfigT]:
            if issubclass(config, ModelConfig):
                _give_presets(config, {SMALL: {}, **(presets or {})})
            return add(config)

        return add_with_presets


def _give_presets(config: type[ModelConfig], presets: Presets) -> None:
    """Let the constructor of a config take settings that it is not given from the preset."""
    plain = {field.name for field in fields(config) if field.default is not MISSING} - {"name", "preset"}
    for preset, values in presets.items():
        assert values.keys() <= plain, f"{preset} sets {values.keys() - plain}: no plain settings of {config.__name__}"
    config.presets = presets
    construct = config.__init__

    @functools.wraps(construct)
    def construct_with_preset(self: ModelConfig, *positional: Any, **typed: Any) -> None:
        typed |= dict(zip((field.name for field in fields(config)), positional, strict=False))
        preset = typed.get("preset", SMALL)
        check_choice("model.preset", preset, presets)
        settings = {**presets[preset], **typed}
        check_values(config, settings, "model")
        construct(self, **settings)

    setattr(config, "__init__", construct_with_preset)  # noqa: B010 - mypy refuses an assignment


MODELS = ModelRegistry("model", package="zoo.models", group="zoo.models")
register = MODELS.register
