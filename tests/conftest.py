import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # bits depend on the number of threads, and two cores are soon busy

import fcntl
import gc
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

torch.set_num_threads(1)

STATE = TemporaryDirectory(prefix="zoo-tests-state-")
os.environ.setdefault("ZOO_STATE", STATE.name)  # workers and commands inherit it; no test uses the user's own secret

LOCKS = pytest.StashKey[str]()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker per core, up to 8 as each takes 1 GB. None for ``--trace`` (xdist knows ``--pdb``)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if config.option.trace else min(cores, 8)


def pytest_collection_finish() -> None:
    """Keep what the imports made out of garbage collection, which would go through all of it again and again."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """In a worker of xdist, let SIGTERM end forked processes; the handler they inherit ignores it."""
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_configure_node(node: Any) -> None:
    """Tell every worker of this run the same folder for locks."""
    config = node.config
    if LOCKS not in config.stash:
        folder = TemporaryDirectory(prefix="zoo-tests-")
        config.add_cleanup(folder.cleanup)
        config.stash[LOCKS] = folder.name
    node.workerinput["locks"] = config.stash[LOCKS]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Let the tests of other workers wait while one runs that is marked ``alone``, since it measures time."""
    folder = getattr(item.config, "workerinput", {}).get("locks")
    if folder is None:  # there is one process
        return (yield)
    with Path(folder, "gate").open("w") as gate, Path(folder, "lock").open("w") as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)  # held while waiting to be alone, so that no other test begins
        fcntl.flock(lock, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # closing is not enough where a forked process still has it open


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a key and go online."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Restore the handler of Ctrl-C afterwards, which the end of a training's process ignores."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
