"""The words of a sweep's command line: which say what its jobs are, and which say how it is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

OF_SWEEPS = ("launcher", "slots", "sweep")
"""Settings that say how a sweep is run, and nothing about its jobs."""


def key_of(word: str) -> str:
    """What an override is about."""
    return word.lstrip("+~").partition("=")[0]


def of_job(words: Iterable[str]) -> list[str]:
    """A sweep's overrides without those that say how it is run."""
    return [word for word in words if key_of(word) not in OF_SWEEPS]


def digest(words: Iterable[str]) -> str:
    """A sweep's name, which follows from what its jobs are: the same command goes on in the same folder."""
    return hashlib.sha256("\n".join(of_job(words)).encode()).hexdigest()[:8]
