"""The film strip at the head of README: held-out clips, what is given of them, and what each model makes of that.

    python experiments/filmstrip/run.py

trains the models that ``runs/filmstrip`` does not hold yet, on the leaderboard's data and for as many clips as their
cards advise (seed 1, one thread each), and writes docs/images/filmstrip.png. Every model sees the first frame; vid2vid
and pix2pixHD also see the label map of every frame, VideoVAE the words for identity and action.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import zoo
from zoo.model import VideoModel
from zoo.runs.files import OUTCOME
from zoo.visualization.grids import conditioning_film, save_grid, to_bytes

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "filmstrip.png"
RUNS = Path("runs/filmstrip")
MODELS = {"vid2vid": "vid2vid", "pix2pixhd": "pix2pixHD", "videovae": "VideoVAE"}
"""Registered name -> name in the picture."""
DATA = {"view": "person", "height": 64, "width": 64, "crowd": 0.0}
TRAINING_FRAMES, FRAMES, CLIPS = 10, 8, 2


def trained(name: str) -> VideoModel[Any]:
    """The model from its run, which is trained or resumed first unless it has finished."""
    run = RUNS / name
    settings = [f"data.{key}={value}" for key, value in DATA.items()]
    common = [f"data.frames={TRAINING_FRAMES}", "data.workers=0", "evaluation.rounds=1", "trainer.threads=1"]
    if not (run / OUTCOME).is_file():
        resume = f"resume={run}" if (run / "config.yaml").is_file() else ""
        zoo.fit(*([resume] if resume else [f"model={name}", *settings, *common, "seed=1", f"hydra.run.dir={run}"]))
    return zoo.load(str(run))


def main() -> None:
    """Train, sample the first held-out clips, and write the picture."""
    clip = zoo.clips("puppets", split="val", frames=FRAMES, batch=CLIPS, **DATA)
    models = {name: trained(name) for name in MODELS}
    spec = models["vid2vid"].spec
    request = zoo.SampleRequest(frames=FRAMES, given=clip, context=1, seed=0)
    samples = {name: model.sample(request).video for name, model in models.items()}
    strips = [
        {"labels": conditioning_film(clip, index, spec, "labels"), "real": to_bytes(clip["video"][index])}
        | {MODELS[name]: to_bytes(video[index]) for name, video in samples.items()}
        for index in range(CLIPS)
    ]
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    save_grid(PICTURE, strips)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
