"""Every number of every setting has a range, and a number outside it is refused before anything is built."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_type_hints

import pytest

from zoo import settings
from zoo.card import MODELS
from zoo.config.compose import compose_settings
from zoo.data.base import DATA_SETS
from zoo.errors import ZooError
from zoo.evaluate import evaluate
from zoo.fields.ranges import PositiveFloat, PositiveInt, Range, Share, check_ranges, ranges_of
from zoo.sample import sample
from zoo.settings import EvaluateSettings, SampleSettings
from zoo.testing import tiny_data
from zoo.training.plan import plan

COMMANDS = [kind for kind in vars(settings).values() if getattr(kind, "__module__", "") == settings.__name__]
CONFIGS = [entry.config for registry in (MODELS, DATA_SETS) for entry in registry.entries()]


def numbers(kind: type[Any]) -> set[str]:
    """Fields that hold a number or a list of numbers."""
    hints = get_type_hints(kind)
    return {each.name for each in dataclasses.fields(kind) if holds_number(hints[each.name])}


def holds_number(hint: Any) -> bool:
    return hint in (int, float) or any(map(holds_number, get_args(hint)))


@pytest.mark.parametrize("kind", [*COMMANDS, *CONFIGS], ids=lambda kind: kind.__name__)
def test_every_number_has_a_range_with_its_default_in_it(kind):
    assert set(ranges_of(kind)) == numbers(kind)
    for each in dataclasses.fields(kind):
        if each.name in numbers(kind) and isinstance(each.default, int | float):
            assert ranges_of(kind)[each.name].problem(each.default) is None, each.name


def test_holds_number_sees_lists_and_choices():
    assert [holds_number(hint) for hint in (int, list[int] | None, str, dict[str, str], bool)] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("limits", "value", "required"),
    [
        (Range(1, 3), 0, "at least 1 is required"),
        (Range(1, 3), 1, None),
        (Range(1, 3), 3, None),
        (Range(1, 3), 4, "at most 3 is allowed"),
        (Range(above=0), 0.0, "more than 0 is required"),
        (Range(above=0), 1e-9, None),
        (Range(0, below=1), 1.0, "less than 1 is required"),
        (Range(0), -0.1, "at least 0 is required"),
        (Range(), math.nan, "a finite number is required"),
        (Range(), -math.inf, "a finite number is required"),
        (Range(0, 2**32 - 1), 2**32, "at most 4294967295 is allowed"),
    ],
)
def test_ranges(limits, value, required):
    assert limits.problem(value) == required


@dataclass
class Inner:
    share: Share = 0.5
    factor: PositiveFloat | None = None
    ids: list[PositiveInt] = field(default_factory=list)


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    count: PositiveInt | None = None
    level: Annotated[int, Range(2, 4)] = 3


def test_all_problems_are_told_at_once_with_what_to_type():
    with pytest.raises(ZooError) as mistake:
        check_ranges(Outer(Inner(1.5, -1.0, [1, 0]), 0, 9), "group")
    assert str(mistake.value).splitlines() == [
        "group.inner.share is 1.5, but at most 1 is allowed. Try: group.inner.share=0.5",
        "group.inner.factor is -1.0, but more than 0 is required. Leave it out.",
        "group.inner.ids is 0, but at least 1 is required. Try: group.inner.ids=1",
        "group.count is 0, but at least 1 is required. Try: group.count=1",
        "group.level is 9, but at most 4 is allowed. Try: group.level=3",
    ]
    check_ranges(Outer())


@pytest.mark.parametrize("name", MODELS.names())
@pytest.mark.parametrize("value", [-(10**12), 10**12, math.nan])
def test_no_model_and_no_data_is_made_with_a_number_out_of_range(name, value):
    for kind, make in ((MODELS.find(name).config, MODELS.find(name).config), (type(tiny_data(name)), None)):
        for setting, limits in ranges_of(kind).items():
            if limits.problem(value):
                with pytest.raises(ZooError, match=rf"\.{setting} is "):
                    make(**{setting: value}) if make else dataclasses.replace(tiny_data(name), **{setting: value})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.clips=0", "budget.clips is 0, but at least 1 is required. Try: budget.clips=1"),
        ("budget.clips=-8", "budget.clips is -8, but at least 1 is required. Try: budget.clips=1"),
        ("seed=4294967296", "seed is 4294967296, but at most 4294967295 is allowed. Try: seed=1"),
        ("trainer.threads=-1", "trainer.threads is -1, but at least 1 is required. Try: trainer.threads=1"),
        ("callbacks.save_minutes=nan", "callbacks.save_minutes is nan, but a finite number is required"),
        ("evaluation.rounds=0", "evaluation.rounds is 0, but at least 1 is required. Try: evaluation.rounds=4"),
        ("data.batch_size=0", "data.batch_size is 0, but at least 1 is required. Try: data.batch_size=4"),
        ("data.fps=1e-9", "data.fps is 1e-09, but at least 0.001 is required. Try: data.fps=12.5"),
        ("model.video_frames=1", "model.video_frames is 1, but at least 2 is required. Try: model.video_frames=3"),
        ("model.lr=nan", "model.lr is nan, but a finite number is required. Try: model.lr=0.0003"),
        ("model.beta1=1", "model.beta1 is 1.0, but less than 1 is required. Try: model.beta1=0.5"),
    ],
)
def test_a_training_is_refused_before_it_is_planned(override, message):
    with pytest.raises(ZooError) as mistake:
        plan(compose_settings("train", [override]))
    assert message in str(mistake.value)


def test_sampling_and_evaluating_check_ranges_before_they_look_for_the_run():
    with pytest.raises(ZooError, match=r"^clips is 0, but at least 1 is required\. Try: clips=2$"):
        sample(SampleSettings(run="/no/run", clips=0))
    with pytest.raises(ZooError, match=r"^draws is 0, but at least 1 is required\. Try: draws=1$"):
        evaluate(EvaluateSettings(run="/no/run", draws=0))
