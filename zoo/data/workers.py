"""Loading processes: how they begin, and that none is left, however the process ends that trains."""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any

import torch


def one_thread(worker: int) -> None:
    """Loading processes leave the cores to training, and signals to the process that trains: they end when it does."""
    Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        import cv2

        cv2.setNumThreads(0)
    except ImportError:
        pass


def end_with(parent: int) -> None:
    """End this process when its parent has ended: PyTorch's own watch would have it hand over first what it has made,
    and nobody takes that."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def ended(iterator: Any) -> Iterator[Any]:
    """The iterator of a loader, whose processes end with the block, and where somebody is still in it, with this one.

    PyTorch would send them a SIGTERM then, which they ignore (`one_thread`), and Python would wait for them for ever.
    """
    end = partial(end_workers, iterator, os.getpid())
    atexit.register(end)
    try:
        yield iterator
    finally:
        try:
            end()
        finally:
            atexit.unregister(end)


def end_workers(iterator: Any, owner: int) -> None:
    """End what processes the iterator of a loader has, by force where they do not; in a forked process, nothing."""
    if os.getpid() != owner or not hasattr(iterator, "_workers"):
        return
    with suppress(RuntimeError):  # at exit Python 3.12 starts no thread any more, which a queue may need
        iterator._shutdown_workers()
    for worker in iterator._workers:
        if worker.is_alive():
            worker.kill()
