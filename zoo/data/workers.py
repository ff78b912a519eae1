"""Data-loading processes: how they start, and how they end together with the training process."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from typing import Any

import torch


def init_worker(worker: int) -> None:
    """Initialise a data-loading process: one thread, no signal handling, ends with its parent.

    Training needs the other cores, and the training process alone handles signals.
    """
    Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        import cv2

        cv2.setNumThreads(0)
    except ImportError:
        pass


def exit_with_parent(parent: int) -> None:
    """Exit when the parent process has ended.

    PyTorch's own watchdog first delivers the batches that are ready, which nobody receives.
    """
    while os.getppid() == parent:
        time.sleep(1)
    remove_temporary_folder()
    os._exit(1)


def remove_temporary_folder() -> None:
    """Remove multiprocessing's folder of this process, with its socket, as a process that ends by itself does."""
    if folder := getattr(multiprocessing.current_process(), "_config", {}).get("tempdir"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def closing_workers(iterator: Any) -> Iterator[Any]:
    """Use the iterator of a loader and stop its workers afterwards, also at exit of the interpreter.

    PyTorch would send SIGTERM at exit, which the workers ignore (`init_worker`), and Python would wait for them
    forever.
    """
    stop = partial(stop_workers, iterator, os.getpid())
    atexit.register(stop)
    try:
        yield iterator
    finally:
        try:
            stop()
        finally:
            atexit.unregister(stop)


def stop_workers(iterator: Any, owner: int) -> None:
    """Stop the workers of a loader's iterator, by SIGKILL if necessary. Does nothing in a forked process."""
    if os.getpid() != owner or not hasattr(iterator, "_workers"):
        return
    with suppress(RuntimeError):  # Python 3.12 starts no threads at exit; a queue may need one
        iterator._shutdown_workers()
    for worker in iterator._workers:
        if worker.is_alive():
            worker.kill()
