"""What the commands share: errors printed without a stack trace, log messages in the terminal. Imports no torch."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import os
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from types import TracebackType
from typing import Any, TextIO

from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from zoo.errors import FULL_DISK, ZooError, joined, suggest
from zoo.io.printable import printable

ENGINES = {
    "hydra/launcher/submitit_slurm": ("hydra-submitit-launcher", "slurm"),
    "hydra/launcher/submitit_local": ("hydra-submitit-launcher", "slurm"),
    "hydra/launcher/ray": ("hydra-ray-launcher", "ray"),
    "hydra/sweeper/optuna": ("hydra-optuna-sweeper", "optuna"),
}
"""Launchers and sweepers of Hydra that are separate packages -> (package, extra of video-zoo that installs it)."""


def command(main: Callable[[], Any]) -> Callable[[], Any]:
    """Turn ``main`` into a command: a ZooError or a full disk is printed and exits with 1, other exceptions keep their
    trace."""

    @functools.wraps(main)
    def run() -> Any:
        log_to_terminal()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal may not show every character
        try:
            result = main()
            sys.stdout.flush()
        except ZooError as error:
            say(f"\n{error}", file=sys.stderr)
            sys.exit(1)
        except OSError as problem:
            if problem.errno not in FULL_DISK:
                raise
            where = problem.filename or "A file"
            say(
                f"\n{where} could not be written: {problem.strerror}. Make room, or choose another disk.",
                file=sys.stderr,
            )
            sys.exit(1)
        except BrokenPipeError:  # what reads the output, such as `head`, has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
            sys.exit(128 + signal.SIGPIPE)
        return result

    return run


class TerminalHandler(logging.Handler):
    """Prints log messages as they are: warnings to stderr, everything else to stdout."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        with contextlib.suppress(OSError):  # a terminal or a pipe that was closed ends no training
            say(self.format(record), file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


def say(text: object = "", end: str = "\n", file: TextIO | None = None) -> None:
    """Print text that may contain names from files, see `zoo.io.printable`. Every command prints through this."""
    print(printable(text), end=end, file=file, flush=True)


def log_to_terminal() -> None:
    """Print messages of the logger ``zoo`` from level INFO on, and warnings and stack traces without codes that a
    terminal obeys. Commands call it; library users configure logging."""
    warnings.formatwarning = _format_warning
    sys.excepthook = _print_exception
    logger = logging.getLogger("zoo")
    if not any(isinstance(handler, TerminalHandler) for handler in logger.handlers):
        logger.addHandler(TerminalHandler())
        logger.setLevel(logging.INFO)


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return printable(f"{filename}:{lineno}: {category.__name__}: {message}\n")


def _print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    say("".join(traceback.format_exception(kind, error, trace)), end="", file=sys.stderr)


HARMLESS = (
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning 2.6 with torch 2.14, in every fit
    ".*exists and is not empty.*",  # the run folder contains the config before the trainer starts
    ".*does not have many workers.*",  # there are few validation clips
    "`broadcast_buffers` is deprecated.*",  # the replacement behaves differently
    ".*You have overridden `on_before_batch_transfer`.*",  # the model checks batches of every data module
    ".*no pre-optimization state was saved.*",  # with manual optimization, the state after the step is right
)


def hush_libraries() -> None:
    """Silence Lightning's tips, and warnings of libraries that no user needs to act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message=message)


def python_command(module: str, *words: str) -> str:
    """A command to print for copying, quoted for a shell: ``python -m zoo.sample 'run=My Drive/run'``."""
    return shlex.join(["python", "-m", module, *words])


def import_lightning() -> None:
    """Import torch and lightning without garbage collection, which finds nothing in them and takes 0.6 of 4 s.

    Their objects are frozen, so that later collections skip them, too.
    """
    gc.disable()
    importlib.import_module("lightning")
    gc.freeze()
    gc.enable()


def plain(config: Any) -> Any:
    """Convert a composed config to plain data, with interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)


def explain(problem: BaseException) -> str:
    """Turn an error of Hydra or OmegaConf into a message with a suggestion."""
    if isinstance(problem, MissingConfigException) and problem.missing_cfg_file:
        return _explain_option(str(problem.missing_cfg_file), problem.options or [])
    cause = problem.__cause__ if isinstance(problem, ConfigCompositionException) else problem
    if isinstance(cause, MissingMandatoryValue):
        return f"`{cause.full_key}` has no value. Type {cause.full_key}=<value>."
    if isinstance(cause, ConfigKeyError | AttributeError) and isinstance(cause, OmegaConfBaseException):
        return _explain_key(cause)
    if isinstance(cause, OmegaConfBaseException):
        return f"`{cause.full_key}`: {str(cause.msg).splitlines()[0].rstrip('.')}."
    return str(problem)


def _explain_option(path: str, options: Iterable[str]) -> str:
    if hint := install_hint(path):
        return hint
    group, _, option = path.rpartition("/")
    options = list(options)
    return f"There is no {group} `{option}`.{suggest(option, options)} Known: {joined(options)}."


def _explain_key(cause: OmegaConfBaseException) -> str:
    known = [str(key) for key in cause.parent_node] if isinstance(cause.parent_node, DictConfig) else []
    where = f"`{cause.full_key}`" if cause.full_key else f"`{cause.key}`"
    return f"There is no setting {where}.{suggest(str(cause.key), known)} Known: {joined(known)}."


def install_hint(option: str) -> str | None:
    """How to install a launcher or sweeper of Hydra; None if the option is not one of ENGINES."""
    if option not in ENGINES:
        return None
    package, extra = ENGINES[option]
    return f"{option.rpartition('/')[2]} needs {package}, which is not installed: pip install 'video-zoo[{extra}]'"
