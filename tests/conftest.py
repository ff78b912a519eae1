import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # bits depend on the number of threads, and two cores are soon busy

import gc

import pytest
import torch

torch.set_num_threads(1)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker per core, up to 8 as each takes 1 GB. None for ``--trace`` (xdist knows ``--pdb``)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if config.option.trace else min(cores, 8)


def pytest_collection_finish() -> None:
    """Keep what the imports made out of garbage collection, which would go through all of it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a key and go online."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
