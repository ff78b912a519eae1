"""Measures in every validation round whether an adversarial model has collapsed, beside the real clips, and warns.

Shapes: B clips, N clips of a round, T frames, C channels, H x W pixels, D entries of a clip of low resolution.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from lightning import Callback, Trainer
from torch import Tensor

from zoo.devices.collectives import gather_from_ranks
from zoo.model import VideoModel
from zoo.types import Clip, Sample

MOST = 64
"""Clips of a round that each process measures; more say little more."""
FEWEST = 16
"""Clips below which a round warns of nothing."""
POOLING = 4
"""Side in pixels of the squares that clips are averaged over before they are compared."""
ALIKE, STILL, FLICKERING, TOLD_APART = 0.05, 0.2, 2.0, 0.99
"""Limits of the warnings: pair distance and motion as shares of the real clips', and the share of pairs."""
STEP = 1.5
"""A share that has come closer to 1 by this factor since the last round is no reason to warn."""


class CollapseMonitor(Callback):
    """Logs ``collapse/pair_distance`` and ``collapse/motion`` of the samples, as shares of those of the real clips, and
    for each discriminator ``collapse/gap_<name>`` and ``collapse/told_apart_<name>``.

    pair_distance: root mean square difference of two samples at a quarter of the resolution, averaged over pairs.
    motion: mean absolute change from one frame to the next. gap: mean score of real clips minus that of samples.
    told_apart: share of pairs of a real clip and a sample in which the real one has the larger score; 0.5 is chance.
    """

    def __init__(self) -> None:
        self.previous: dict[str, float] = {}
        self._clear()

    def _clear(self) -> None:
        self.clips: list[dict[str, Tensor]] = []  # one entry per clip; every value is of real clip and sample

    def on_validation_epoch_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Forget the last round."""
        self._clear()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Sample] | None,
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure a batch; ``outputs`` is None on a rank without clips."""
        left = MOST - len(self.clips)
        if outputs is None or left <= 0:
            return
        clip, sample = outputs
        both = [measure_clips(model, video[:left]) for video in (clip["video"], sample.video)]
        for index in range(len(clip["video"][:left])):
            self.clips.append({name: torch.stack([part[name][index] for part in both]) for name in both[0]})

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the values of the round, and warn."""
        clips = gather_from_ranks(self.clips)
        if len(clips) < 2:
            return
        found = summarise({name: torch.stack([clip[name] for clip in clips], 1) for name in clips[0]})
        model.log_dict({f"collapse/{name}": value for name, value in found.items()})
        if trainer.is_global_zero and not trainer.sanity_checking and len(clips) >= FEWEST:
            for sentence in describe_collapse(found, self.previous):
                warnings.warn(sentence, stacklevel=2)
        self.previous = found

    def state_dict(self) -> dict[str, Any]:
        """Return the values of the last round."""
        return {"previous": dict(self.previous)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values of the last round."""
        self.previous = state["previous"]


@torch.no_grad()
def measure_clips(model: VideoModel[Any], video: Tensor) -> dict[str, Tensor]:
    """What is compared of every clip: (B, T, C, H, W) -> name -> (B, …), on the CPU."""
    images = video.flatten(0, 1).float()
    size = min(POOLING, *images.shape[2:])
    scores = model.discriminator_scores(video)
    changes = (video[:, 1:] - video[:, :-1]).float().abs().flatten(1)
    found = {"pooled": F.avg_pool2d(images, size).reshape(len(video), -1)}
    found |= {"motion": changes.mean(1)} if video.shape[1] > 1 else {}
    found |= {f"score_{name}": value.float() for name, value in scores.items()}
    return {name: value.cpu() for name, value in found.items()}


def summarise(measured: dict[str, Tensor]) -> dict[str, float]:
    """Values of a round from those of its clips, (2, N, …): first the real clips, then the samples."""
    found = {"pair_distance": ratio(*(pair_distance(each) for each in measured["pooled"]))}
    if "motion" in measured:
        found["motion"] = ratio(*(float(each.mean()) for each in measured["motion"]))
    for name, (real, generated) in measured.items():
        if name.startswith("score_"):
            discriminator = name.removeprefix("score_")
            found[f"gap_{discriminator}"] = float(real.mean() - generated.mean())
            larger, equal = (real[:, None] > generated).float(), (real[:, None] == generated).float()
            found[f"told_apart_{discriminator}"] = float((larger + equal / 2).mean())
    return found


def pair_distance(clips: Tensor) -> float:
    """Root mean square difference of two clips, averaged over all pairs; (N, D)."""
    return float(torch.pdist(clips).mean()) / math.sqrt(clips.shape[1])


def ratio(real: float, generated: float) -> float:
    """The value of samples as a share of that of real clips; infinite, or 1, where real clips have none."""
    if real == 0:
        return 1.0 if generated == 0 else math.inf
    return generated / real


def describe_collapse(found: dict[str, float], previous: dict[str, float]) -> list[str]:
    """Sentences about a round whose samples are alike, stand still, flicker, or are told from real clips every time.

    previous: values of the round before, if there was one.
    """
    sentences = []
    distance, motion = found["pair_distance"], found.get("motion", 1.0)
    if distance < ALIKE and not improves("pair_distance", found, previous):
        sentences.append(
            f"The generator has collapsed: samples differ from each other by {distance:.1%} of what real clips do. "
            "Try more clips in a batch (data.batch_size), a stronger penalty on the discriminator or a lower learning "
            "rate."
        )
    if not STILL <= motion <= FLICKERING and not improves("motion", found, previous):
        seen = "Samples hardly move" if motion < STILL else "Samples flicker"
        sentences.append(f"{seen}: from frame to frame they change {motion:.2g} times as much as real clips.")
    for name, share in found.items():
        if name.startswith("told_apart_") and share >= TOLD_APART:
            discriminator = name.removeprefix("told_apart_")
            sentences.append(
                f"The {discriminator} discriminator has won: in {share:.1%} of pairs of a held-out real clip and a "
                "sample, the real one has the larger score, so the generator learns little from it. Try a stronger "
                "penalty or noise on the discriminator, a narrower one, or more clips in a batch (data.batch_size)."
            )
    return sentences


def improves(name: str, found: dict[str, float], previous: dict[str, float]) -> bool:
    """Whether a share has come closer to 1 by STEP since the last round."""
    if name not in previous:
        return False
    now, then = (abs(math.log(max(values[name], 1e-9))) for values in (found, previous))
    return now < then - math.log(STEP)
