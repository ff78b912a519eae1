"""Every registered model keeps the contract."""

import pytest

from zoo import list_models
from zoo.testing import ModelContract


class TestModels(ModelContract):
    @pytest.fixture(params=list_models())
    def name(self, request: pytest.FixtureRequest) -> str:
        return request.param
