"""The model card as data: what preflight, the data module, the tests, the docs and `zoo.list` all read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import get_args

from zoo.registry import Registry
from zoo.types import FIELDS, ClipSpec, Task


@dataclass(frozen=True)
class ModelCard:
    """What the zoo knows of a model before it imports it.

    needs: each entry is one field of a clip, or several of which one is enough. uses: fields that are taken along
    where a data set has them. min_frames: shortest training clip. size_multiple: height and width are multiples
    of it. adversarial: trained by several optimizers in turn. strategies: the conf/strategy options that are
    tested. streams: frames come one after another, at constant memory, for any length. options: the
    ``SampleRequest.options`` that the model understands. budget_clips, evaluation_clips: how many clips a first
    training and a round of its evaluation take, where the user does not say.
    """

    name: str
    title: str
    paper: str
    year: int
    code_licence: str
    weights_licence: str
    tasks: frozenset[Task]
    needs: tuple[tuple[str, ...], ...]
    uses: frozenset[str] = frozenset()
    min_frames: int = 1
    size_multiple: int = 1
    adversarial: bool = False
    strategies: frozenset[str] = frozenset({"auto", "cpu"})
    streams: bool = False
    options: frozenset[str] = frozenset()
    budget_clips: int = 800
    evaluation_clips: int = 8

    def __post_init__(self) -> None:
        named = {name for group in self.needs for name in group} | self.uses
        assert named <= set(FIELDS), f"not fields of a clip: {sorted(named - set(FIELDS))}"
        assert self.tasks <= set(get_args(Task)), f"not tasks: {sorted(self.tasks - set(get_args(Task)))}"

    @property
    def samples(self) -> bool:
        """Whether it makes videos; a model that only classifies or segments them does not."""
        return not self.tasks <= {"classify", "segment"}

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

    name: str

    @property
    def least_context(self) -> int:
        """How many real frames a sample must be given at least."""
        return 0

    def problems(self, spec: ClipSpec) -> list[str]:
        """Sentences about what in these settings does not fit clips of that form; preflight prints them."""
        return []


MODELS: Registry[ModelCard] = Registry("model", package="zoo.models", group="zoo.models")
register = MODELS.register
