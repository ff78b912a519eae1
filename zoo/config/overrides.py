"""Overrides of a sweep: which belong to its jobs, and which configure the sweep itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

SWEEP_SETTINGS = ("launcher", "slots", "sweep")
"""Settings that configure how a sweep runs, and not its jobs."""


def override_key(override: str) -> str:
    """The key of an override: ``+model.width=8`` -> ``model.width``."""
    return override.lstrip("+~").partition("=")[0]


def job_overrides(overrides: Iterable[str]) -> list[str]:
    """The overrides of a sweep that belong to its jobs."""
    return [override for override in overrides if override_key(override) not in SWEEP_SETTINGS]


def sweep_digest(overrides: Iterable[str]) -> str:
    """Hash of the overrides of the jobs, which names the sweep: the same command resumes in the same folder."""
    return hashlib.sha256("\n".join(job_overrides(overrides)).encode()).hexdigest()[:8]
