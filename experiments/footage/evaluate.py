"""How well does a run generate the held-out part of real footage from its edges?

    python experiments/footage/evaluate.py <run folder>

The whole held-out part is generated as one video, after one real frame. Two baselines are measured by the same
metrics on the same frames: (a) the mean training frame and (b) the same network untrained. Appends a line to
results.jsonl and writes a grid of frames beside it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
import yaml
from torch import Tensor
from torch.utils.data import default_collate

from zoo.data.base import DataConfig, build_set
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.choice import PAIRED_DEFAULTS
from zoo.evaluation.metric import Setup
from zoo.model import build
from zoo.runs.load import data_config, load
from zoo.runs.provenance import find_commit
from zoo.types import Sample, SampleRequest
from zoo.visualization.grids import sample_films, save_film, save_grid

HERE = Path(__file__).parent
CONTEXT = 1


def measure(video: Tensor, real: Tensor) -> dict[str, float]:
    """L1, PSNR and SSIM of a video (1, T, 3, H, W), without the context frames."""
    values: dict[str, float] = {}
    for name in PAIRED_DEFAULTS:
        metric = METRICS[name].load()(name, Setup(video.shape[1] - CONTEXT, clips=1))
        metric.update(video[:, CONTEXT:], real[:, CONTEXT:], draw=0)
        values[name] = round(metric.compute()[name], 4)
    return values


def mean_frame(config: DataConfig, fields: frozenset[str], reference: Tensor) -> Tensor:
    """The mean of the frames that the run was trained on, repeated to the shape of ``reference``."""
    clips = build_set(config, "train", fields, seed=0)
    frames = torch.cat([clips.clip(index, 0, config.frames)["video"] for index in range(len(clips))])
    return frames.mean(0).expand_as(reference)


def main(run: str) -> None:
    model, config = load(run), data_config(run)
    fields = model.card.wanted()
    validation = build_set(config, "val", fields, seed=0)
    length = validation.segments[0].length
    single_clip = build_set(replace(config, frames=length), "val", fields, seed=0)
    clip = default_collate([single_clip.clip(0, 0, length)])
    request = SampleRequest(length, clip, context=CONTEXT)
    torch.manual_seed(0)
    untrained = build(asdict(model.config), model.spec).eval()
    videos = {
        "trained": model.sample(request).video,
        "untrained": untrained.sample(request).video,
        "mean frame": mean_frame(config, fields, clip["video"]),
    }
    name = clip["key"][0].split("/")[1].rpartition(".")[0]
    line = {
        "video": name,
        "size": list(clip["video"].shape[-2:]),
        "fps": model.spec.fps,
        "held_out_frames": length,
        "context": CONTEXT,
        "clips_seen": model.clips_seen,
        "seed": yaml.safe_load((Path(run) / "config.yaml").read_text())["seed"],
        "commit": find_commit(),
        "results": {kind: measure(video, clip["video"]) for kind, video in videos.items()},
    }
    with (HERE / "results.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line, indent=2))
    rows = sample_films(clip, Sample(videos["trained"]), 0, model.spec, model.source)
    save_grid(HERE / f"{name}.png", [rows])
    save_film(Path(run) / f"{name}.mp4", [rows], model.spec.fps)


if __name__ == "__main__":
    main(sys.argv[1])
