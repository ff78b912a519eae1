"""Run a command that ends when the process that asked for it ends, however that ends: ``python -m zoo.sweep.keeper
<command>``. The asker holds the other end of this process's stdin and lets go of it by dying, or on purpose.

The command gets a group of its own, so that ranks and workers which it started end with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

GRACE = 60.0  # seconds to save in, after SIGTERM
PR_SET_PDEATHSIG = 1  # of Linux's sys/prctl.h


def keep(command: Sequence[str], grace: float = GRACE) -> int:
    """Run the command to its end, and return its exit code as a shell would."""
    job = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent)
    ended = threading.Event()

    def stop(*_: object) -> None:
        job.terminate()  # not its ranks and workers: it saves with their help
        if not ended.wait(grace):
            _kill(job.pid)

    def stop_when_left() -> None:
        while os.read(0, 1024):
            pass
        stop()

    watch = threading.Thread(target=stop_when_left, daemon=True)
    watch.start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop, daemon=True).start())
    code = job.wait()
    ended.set()
    _kill(job.pid)  # what it left behind
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    """In the command's process: ask Linux for a SIGTERM when this one is killed, as Ray kills all that it started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
