"""Time several steps in turn in one process, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def time_in_turn(steps: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Milliseconds of every step in each of ``rounds`` rounds, after ``warm_up`` rounds that do not count."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(warm_up + rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repetition >= warm_up:
                times[name].append(1000 * (time.perf_counter() - start))
    return times
