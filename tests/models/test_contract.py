"""Contract tests for every registered model: its card chooses the contract."""

from zoo import list_models
from zoo.testing import contract_for

for _name in list_models():
    globals()[f"Test_{_name}"] = contract_for(_name)
