"""Interleave two worker processes: each stops itself, with all its child processes, at the end of its turn.

A stopped process uses no core, nor do its loading processes and threads, so it does not disturb the other one's
measurements. Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence


class TurnTaker:
    """Called by a worker before each repetition: stops the worker after every ``length`` of them.

    settle: waits until all queued work is done. A length of None never stops.
    """

    def __init__(self, length: int | None, settle: Callable[[], None]) -> None:
        self.length, self.settle = length, settle
        self.repetitions = 0
        self.parent = os.getppid()

    def __call__(self) -> None:
        """Continue, or first wait for the other worker."""
        if self.length and self.repetitions % self.length == 0:
            self.settle()
            os.kill(0, signal.SIGSTOP)  # the whole process group
            if os.getppid() != self.parent:
                sys.exit("The benchmark was ended early.")
        self.repetitions += 1


class WorkerProcess:
    """A worker as the command sees it, in its own process group. Its output is printed here."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.command, self.environment = command, environment
        self.process: subprocess.Popen[bytes] | None = None

    def run_turn(self) -> bool:
        """Start or continue the worker, and wait until it stops; False once it has ended.

        Raises SystemExit if it has failed; it has printed its error itself.
        """
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, process_group=0
            )
        else:
            os.killpg(self.process.pid, signal.SIGCONT)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self.process.returncode = code = os.waitstatus_to_exitcode(status)
        self.kill()  # child processes that are left
        if code:
            sys.exit(code if code > 0 else 128 - code)
        return False

    def kill(self) -> None:
        """Kill the worker and its child processes."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            if self.process.returncode is None:
                self.process.wait()


def run_interleaved(workers: Sequence[WorkerProcess]) -> None:
    """Run the workers in turn until all have ended. Whatever interrupts this kills them."""
    running = list(workers)
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        while running:
            running = [worker for worker in running if worker.run_turn()]
    finally:
        for worker in workers:
            worker.kill()
        signal.signal(signal.SIGTERM, before)
