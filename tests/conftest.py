import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # bits depend on the number of threads, and two cores are soon busy

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a key and go online."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
