"""The one exception for mistakes that a user can mend, and the one for a wish to stop."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZooError(Exception):
    """What was asked, what was found, what to type: the commands print it without a stack trace."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """A training was asked to stop by a signal, and its state is saved."""

    def __init__(self, number: int, clips_seen: int) -> None:
        super().__init__(number, clips_seen)
        self.number, self.clips_seen = number, clips_seen


def nearest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean `…`?`` with the nearest known word; an empty string when none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean `{near[0]}`?" if near else ""


def listed(words: Iterable[str]) -> str:
    """Words for a sentence: ``a, b, c``."""
    return ", ".join(words)


def one_of(setting: str, value: str, choices: Iterable[str]) -> None:
    """Raise a ZooError unless ``value`` is one of ``choices``; ``setting`` is what a user types, `data.view`."""
    known = list(choices)
    if value not in known:
        raise ZooError(f"{setting}={value} is not a choice.{nearest(value, known)} Choices: {listed(known)}.")
