"""Every registered model keeps the contract."""

import pytest

from zoo import list_models
from zoo.card import MODELS
from zoo.testing import ClassifierContract, ModelContract

SAMPLERS = [name for name in list_models() if MODELS.find(name).card.samples]


class TestModels(ModelContract):
    @pytest.fixture(params=SAMPLERS)
    def name(self, request: pytest.FixtureRequest) -> str:
        return request.param


class TestClassifiers(ClassifierContract):
    @pytest.fixture(params=sorted(set(list_models()) - set(SAMPLERS)))
    def name(self, request: pytest.FixtureRequest) -> str:
        return request.param
