"""Two processes that work in turn: one stops itself, with all that it has started, when its turn is over.

A stopped process takes no time of any core, nor do its loading processes and its threads, so what the other one
measures is not disturbed. Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence


class Turns:
    """In a measuring process: called before each repetition, it gives way after every ``length`` of them.

    settle: waits until all work is done that was asked for. A length of None never gives way.
    """

    def __init__(self, length: int | None, settle: Callable[[], None]) -> None:
        self.length, self.settle = length, settle
        self.taken = 0
        self.parent = os.getppid()

    def __call__(self) -> None:
        """Go on, or first wait for the other."""
        if self.length and self.taken % self.length == 0:
            self.settle()
            os.kill(0, signal.SIGSTOP)  # the whole group
            if os.getppid() != self.parent:
                sys.exit("The benchmark has ended early.")
        self.taken += 1


class Process:
    """In the command: a measuring process, in a group of its own. Its output is shown here."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.command, self.environment = command, environment
        self.process: subprocess.Popen[bytes] | None = None

    def go_on(self) -> bool:
        """Start it, or wake it, and wait until it stops; False once it has ended.

        Raises SystemExit where it has failed: it has said why itself.
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
        self.end()  # of what it has left behind
        if code:
            sys.exit(code if code > 0 else 128 - code)
        return False

    def end(self) -> None:
        """Whatever it is doing, and whatever it has started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            if self.process.returncode is None:
                self.process.wait()


def in_turn(processes: Sequence[Process]) -> None:
    """Let them work, one at a time, until all have ended; none outlives this."""
    going = list(processes)
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        while going:
            going = [process for process in going if process.go_on()]
    finally:
        for process in processes:
            process.end()
        signal.signal(signal.SIGTERM, before)
