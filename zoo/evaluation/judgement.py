"""Generated clips before the judge, beside real ones that nobody trained on: the bound of every figure.

Shapes: N clips, T frames, K values of an attribute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from zoo.blocks.attributes import UNKNOWN, clip_label
from zoo.data.base import DataConfig, build_set
from zoo.errors import ZooError, listed
from zoo.evaluation.conditional import conditional_entropy, hits, inception_score, joint, marginal_entropy
from zoo.model import VideoModel
from zoo.types import Clip, Verdict

LEAST_ACCURACY = 0.99
"""What a judge must have reached on held-out real clips, for every attribute, before it judges anything."""
MODES = {"attributes": 0, "attributes + first frame": 1}
"""How clips are asked of a model, and the real frames that each shows it."""


def check_judge(judge: VideoModel[Any], model: VideoModel[Any]) -> None:
    """A ZooError if this judge cannot judge that model's clips."""
    if judge.card.tasks != {"classify"}:
        raise ZooError(f"judge= is a {judge.card.name}, which classifies nothing. Train one: model=judge")
    shares = {name: judge.accuracy.get(name, math.nan) for name in judge.spec.attributes}
    weak = [f"{name} {share:.1%}" for name, share in shares.items() if not share >= LEAST_ACCURACY]
    if weak:
        raise ZooError(
            f"The judge knows held-out real clips too badly to judge others: {listed(weak)}, where "
            f"{LEAST_ACCURACY:.0%} is needed of each attribute. Train it longer: budget.clips={4 * judge.clips_seen}"
        )
    for what in ("height", "width", "fps", "attributes"):
        seen, made = getattr(judge.spec, what), getattr(model.spec, what)
        if seen != made:
            raise ZooError(f"The judge was trained on clips of {what} {seen}; the model makes {made}. Train another.")


def check_bound(real: Mapping[str, float]) -> None:
    """A ZooError if the judge does not know the very clips that figures are compared with: it comes from elsewhere."""
    weak = [
        f"{name} {share:.1%}" for name, share in real.items() if name.startswith("accuracy") and share < LEAST_ACCURACY
    ]
    if weak:
        raise ZooError(
            f"The judge does not know the real clips of this run's data: {listed(weak)}, where {LEAST_ACCURACY:.0%} is "
            "needed. Train one on the same data set, with the same settings."
        )


def held_out(config: DataConfig, fields: frozenset[str], frames: int, clips: int, batch_size: int) -> Iterator[Clip]:
    """The first validation clips in which no attribute changes, as batches. A ZooError if there are too few."""
    real = build_set(replace(config, frames=frames), "val", fields | {"attributes"}, seed=0)
    candidates = (real.clip(index, 0, frames) for index in range(len(real)))
    steady = (clip for clip in candidates if is_steady(clip))
    found = 0
    while batch := list(islice(steady, min(batch_size, clips - found))):
        found += len(batch)
        yield default_collate(batch)
    if found < clips:
        raise ZooError(
            f"The data set `{config.name}` has {found} evaluation clips of {frames} frames whose attributes are known "
            f"and stay; {clips} were asked for. Try: clips={found}"
        )


def is_steady(clip: Clip) -> bool:
    """Whether every attribute of one clip, (T,), has one known value."""
    return all(int(clip_label(ids[None])) != UNKNOWN for ids in clip["attributes"].values())


def figures(verdict: Verdict, ids: Mapping[str, Tensor]) -> dict[str, float]:
    """Accuracy of each attribute, and score and entropies of all together, from probabilities (N, K) and ids (N, T)."""
    accuracy = {f"accuracy_{name}": float(hits(row, ids[name]).nanmean()) for name, row in verdict.items()}
    whole = joint(verdict)
    return accuracy | {
        "inception_score": inception_score(whole),
        "conditional_entropy": conditional_entropy(whole),
        "marginal_entropy": marginal_entropy(whole),
    }


@torch.no_grad()
def judged(judge: VideoModel[Any], videos: Iterable[tuple[Tensor, Clip]]) -> dict[str, float]:
    """The figures of clips (N, T, 3, H, W) beside those that say what they should show; a batch in memory at a time."""
    verdicts: dict[str, list[Tensor]] = {}
    truths: dict[str, list[Tensor]] = {}
    for video, clip in videos:
        for name, row in judge.classify(video).items():
            verdicts.setdefault(name, []).append(row)
            truths.setdefault(name, []).append(clip["attributes"][name])
    return figures(*({name: torch.cat(rows) for name, rows in each.items()} for each in (verdicts, truths)))
