"""Run a command that ends when its parent process ends: ``python -m zoo.sweep.supervisor <command>``.

The parent holds the other end of this process's stdin. When it closes, because the parent died or on purpose, the
command is stopped. The command gets its own process group, so that its ranks and workers end with it.
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

GRACE = 60.0  # seconds between SIGTERM and SIGKILL, to save a checkpoint
PR_SET_PDEATHSIG = 1  # from Linux's sys/prctl.h


def supervise(command: Sequence[str], grace: float = GRACE) -> int:
    """Run the command to its end and return its exit code as a shell would."""
    job = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent)
    ended = threading.Event()

    def stop(*_: object) -> None:
        job.terminate()  # only the main process: it saves with the help of its ranks and workers
        if not ended.wait(grace):
            _kill_group(job.pid)

    def stop_when_stdin_closes() -> None:
        while os.read(0, 1024):
            pass
        stop()

    threading.Thread(target=stop_when_stdin_closes, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop, daemon=True).start())
    code = job.wait()
    ended.set()
    _kill_group(job.pid)  # whatever the command left running
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    """Runs in the command's process: ask Linux for a SIGTERM when the supervisor is killed, as Ray does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
