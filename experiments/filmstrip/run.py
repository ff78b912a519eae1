"""The film strip at the head of README: held-out clips, their label maps, and the samples of each model.

    python experiments/leaderboard/run.py    # trains the models
    python experiments/filmstrip/run.py      # writes docs/images/filmstrip.png

The models are the leaderboard's of seed 1. Every model gets the first frame;
vid2vid and pix2pixHD also get the label map of every frame, VideoVAE the attributes identity and action.
"""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo.visualization.grids import conditioning_film, save_grid, to_bytes

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "filmstrip.png"
RUNS = Path("runs/leaderboard")
MODELS = {"vid2vid": "vid2vid", "pix2pixhd": "pix2pixHD", "videovae": "VideoVAE"}
"""Registered name -> row label in the picture."""
DATA = {"view": "person", "height": 64, "width": 64, "crowd": 0.0}
FRAMES, CLIPS = 8, 2


def main() -> None:
    """Sample the first test clips with every model, and write the picture. Raises ZooError for a missing run."""
    clip = zoo.clips("puppets", split="test", frames=FRAMES, batch=CLIPS, **DATA)
    models = {name: zoo.load(str(RUNS / f"{name}-s1")) for name in MODELS}
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
