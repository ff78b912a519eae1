"""Commands of the zoo in processes of their own that start with torch and Lightning imported.

Importing them takes 6 s, which is most of a short command. So the processes are forked from a server that has imported
these libraries, but nothing of the zoo.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

LIBRARIES = ["lightning", "torchmetrics", "torchvision"]

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(LIBRARIES)


def run_command(
    module: str,
    *words: str,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Do what ``subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True)`` does."""
    environment = dict(os.environ if env is None else env)
    with TemporaryDirectory() as folder:
        printed = Path(folder, "stdout"), Path(folder, "stderr")
        process = context.Process(target=_command, args=(module, words, str(cwd or Path.cwd()), environment, printed))
        process.start()
        process.join()
        return subprocess.CompletedProcess([module, *words], process.exitcode, *(path.read_text() for path in printed))


def _command(
    module: str, words: tuple[str, ...], cwd: str, environment: dict[str, str], printed: tuple[Path, Path]
) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in enumerate(printed, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))  # noqa: SIM115
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
