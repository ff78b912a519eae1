"""The exception for errors that a user can fix, and the one that stops a training after a signal."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Numbers of the OSErrors that say that a disk takes nothing more."""


class ZooError(Exception):
    """An error that a user can fix. The message says what was found, what was expected, and what to type.

    Commands print it without a stack trace.
    """


class Stopped(Exception):  # noqa: N818 - not an error
    """A signal has stopped a training. number: of the signal. saved: whether a checkpoint was saved for it."""

    def __init__(self, number: int, clips_seen: int, saved: bool = True) -> None:
        super().__init__(number, clips_seen, saved)
        self.number, self.clips_seen, self.saved = number, clips_seen, saved


def suggest(word: str, known: Iterable[str]) -> str:
    """Suggest the most similar known word: `` Did you mean `…`?``, or an empty string if none is similar."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean `{matches[0]}`?" if matches else ""


def joined(words: Iterable[str]) -> str:
    """Join words for a message: ``a, b, c``."""
    return ", ".join(words)


def check_choice(setting: str, value: str, choices: Iterable[str]) -> None:
    """Raise ZooError unless ``value`` is one of ``choices``. setting: as the user types it, such as `data.view`."""
    known = list(choices)
    if value not in known:
        raise ZooError(f"{setting}={value} is not a choice.{suggest(value, known)} Choices: {joined(known)}.")
