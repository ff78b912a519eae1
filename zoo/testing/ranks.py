"""Several processes on this machine, each as a launcher such as torchrun starts it, in half a second."""

import faulthandler
import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


def _one(
    rank: int, work: Callable[..., None], arguments: tuple[Any, ...], port: int, log: Path, patience: float
) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    stuck = (log / f"rank{rank}.txt").open("w")
    faulthandler.dump_traceback_later(patience - 5, file=stuck)
    try:
        work(*arguments)
    except BaseException:
        (log / f"rank{rank}.txt").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)  # what the tests' own process has open is not this one's to close


def on_ranks(log: Path, work: Callable[..., None], *arguments: Any, ranks: int = 2, patience: float = 150) -> None:
    """Call ``work`` in that many processes, forked from this one; one that fails, or waits for ever, fails the test."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    log.mkdir(parents=True, exist_ok=True)
    context = torch.multiprocessing.get_context("fork")
    started = [context.Process(target=_one, args=(r, work, arguments, port, log, patience)) for r in range(ranks)]
    for process in started:
        process.start()
    for process in started:
        process.join(patience)
    stuck = [rank for rank, process in enumerate(started) if process.is_alive()]
    for process in started:
        if process.is_alive():
            process.kill()
    problems = "\n".join(path.read_text() for path in sorted(log.glob("rank*.txt")))
    if stuck or any(process.exitcode for process in started):
        pytest.fail(f"ranks that did not end: {stuck}\n{problems}", pytrace=False)
