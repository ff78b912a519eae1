"""Every setting has a meaning: the docstring after its field."""

import dataclasses

import pytest

import zoo.card
import zoo.data.base
import zoo.settings
import zoo.types
from zoo.card import MODELS
from zoo.data.base import DATA_SETS
from zoo.help.field_docs import field_docs


def dataclasses_of(module):
    classes = (value for value in vars(module).values() if isinstance(value, type))
    return [cls for cls in classes if cls.__module__ == module.__name__ and dataclasses.is_dataclass(cls)]


def fields_without_meaning(cls):
    return [field.name for field in dataclasses.fields(cls) if not field_docs(cls).get(field.name)]


@dataclasses.dataclass
class Half:
    told: int = 0
    """Number of
    things."""

    untold: int = 0
    other: int = 0
    """Another number."""


@dataclasses.dataclass
class Whole(Half):
    untold: int = 1
    """Found here."""

    other: int = 2


@pytest.mark.parametrize("cls", dataclasses_of(zoo.settings))
def test_every_setting_of_a_command_has_a_meaning(cls):
    assert fields_without_meaning(cls) == []


@pytest.mark.parametrize("entry", [*MODELS.entries(), *DATA_SETS.entries()], ids=lambda entry: entry.card.name)
def test_every_setting_of_a_model_and_data_set_has_a_meaning(entry):
    assert fields_without_meaning(entry.config) == []


@pytest.mark.parametrize("module", [zoo.card, zoo.data.base, zoo.types])
def test_every_field_of_cards_clips_and_requests_has_a_meaning(module):
    assert all(fields_without_meaning(cls) == [] for cls in dataclasses_of(module))
    assert field_docs(zoo.types.Clip).keys() == zoo.types.Clip.__annotations__.keys()


def test_a_field_without_docstring_is_noticed():
    assert fields_without_meaning(Half) == ["untold"]


def test_meanings_are_one_line_inherited_and_overridden():
    assert field_docs(Half)["told"] == "Number of things."
    assert field_docs(Whole) == {
        "told": "Number of things.",
        "untold": "Found here.",
        "other": "Another number.",
    }


def test_classes_inside_functions_are_found_and_classes_without_source_have_no_meanings():
    @dataclasses.dataclass
    class Local:
        inner: int = 0
        """Of a function."""

    assert field_docs(Local) == {"inner": "Of a function."}
    assert field_docs(dataclasses.make_dataclass("Made", [("x", int)])) == {}


def test_plain_sentences():
    """A meaning begins with a capital letter, a symbol or a choice, and ends with a full stop."""
    for cls in [entry.config for entry in [*MODELS.entries(), *DATA_SETS.entries()]] + dataclasses_of(zoo.settings):
        for name, meaning in field_docs(cls).items():
            assert meaning.endswith("."), f"{cls.__name__}.{name}: {meaning}"
