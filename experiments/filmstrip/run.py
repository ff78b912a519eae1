"""The film strip at the head of README: held-out clips, their label maps, and the samples of each model.

    python experiments/filmstrip/run.py

Trains the models that ``runs/filmstrip`` does not hold yet, on the leaderboard's data (seed 1, one thread
each; `BUDGETS` has the clips), and writes docs/images/filmstrip.png. Every model gets the first frame; vid2vid and
pix2pixHD also get the label map of every frame, VideoVAE the attributes identity and action.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import zoo
from zoo.model import VideoModel
from zoo.runs.files import CONFIG, OUTCOME
from zoo.visualization.grids import conditioning_film, save_grid, to_bytes

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "filmstrip.png"
RUNS = Path("runs/filmstrip")
MODELS = {"vid2vid": "vid2vid", "pix2pixhd": "pix2pixHD", "videovae": "VideoVAE"}
"""Registered name -> row label in the picture."""
DATA = {"view": "person", "height": 64, "width": 64, "crowd": 0.0}
TRAINING_FRAMES, FRAMES, CLIPS = 10, 8, 2
BUDGETS = {"vid2vid": 800, "pix2pixhd": 800, "videovae": 16_000}
"""Training clips, as the cards advise."""


def load_trained(name: str) -> VideoModel[Any]:
    """Load a model from its run; train or resume the run first unless it has finished."""
    run = RUNS / name
    settings = [f"data.{key}={value}" for key, value in DATA.items()]
    common = [f"data.frames={TRAINING_FRAMES}", "data.workers=0", "evaluation.rounds=1", "trainer.threads=1"]
    if not (run / OUTCOME).is_file():
        new = [f"model={name}", *settings, *common, "seed=1", f"budget.clips={BUDGETS[name]}"]
        new += [f"hydra.run.dir={run}"]
        zoo.fit(*([f"resume={run}"] if (run / CONFIG).is_file() else new))
    return zoo.load(str(run))


def main() -> None:
    """Train the models, sample the first held-out clips, and write the picture."""
    clip = zoo.clips("puppets", split="val", frames=FRAMES, batch=CLIPS, **DATA)
    models = {name: load_trained(name) for name in MODELS}
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
