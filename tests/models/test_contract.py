"""Contract tests for every registered model."""

import pytest

from zoo import list_models
from zoo.card import MODELS
from zoo.testing import ClassifierContract, ModelContract, SegmenterContract
from zoo.types import Task

SAMPLERS = [name for name in list_models() if MODELS.find(name).card.samples]


def models_with_only(task: Task) -> list[str]:
    return [name for name in list_models() if MODELS.find(name).card.tasks == {task}]


class TestModels(ModelContract):
    @pytest.fixture(params=SAMPLERS)
    def name(self, request: pytest.FixtureRequest) -> str:
        return request.param


class TestClassifiers(ClassifierContract):
    @pytest.fixture(params=models_with_only("classify"))
    def name(self, request: pytest.FixtureRequest) -> str:
        return request.param


class TestSegmenters(SegmenterContract):
    @pytest.fixture(params=models_with_only("segment"))
    def name(self, request: pytest.FixtureRequest) -> str:
        return request.param
