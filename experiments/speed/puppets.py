"""How fast are puppets rendered? Clips per second of CPU time with all fields, median of ten rounds.

python experiments/speed/puppets.py
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.types import FIELDS

FRAMES, CLIPS, ROUNDS = 16, 20, 10


def clips_per_second(view: str, width: int, condition: str) -> float:
    """Median over ROUNDS, each of CLIPS new clips of FRAMES frames with 64 x ``width`` pixels."""
    config = PuppetsConfig(view=view, height=64, width=width, condition=condition)
    clips = PuppetClips(config, "train", frozenset(FIELDS), seed=0)
    rates = []
    for number in range(ROUNDS):
        start = time.process_time()
        for index in range(CLIPS):
            clips.clip(number * CLIPS + index, 0, FRAMES)
        rates.append(CLIPS / (time.process_time() - start))
    return statistics.median(rates)


if __name__ == "__main__":
    for view, width in (("person", 64), ("street", 64), ("street", 128)):
        for condition in ("edges", "pose"):
            rate = clips_per_second(view, width, condition)
            print(f"{view:>6} 64 x {width:<3} condition={condition:<5} {rate:6.1f} clips/s")
