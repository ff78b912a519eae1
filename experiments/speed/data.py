"""Does training ever wait for clips? Clips a second out of a folder of videos, against PyAV decoding alone.

    python experiments/speed/data.py               # nine minutes on two idle cores; adds lines to data.jsonl
    python experiments/speed/data.py loader        # the first part of it, or: training
    python experiments/speed/data.py table         # prints the tables of README.md

The videos are made here: 256 x 128, 25 frames a second, puppets in the street under film grain; two of a minute and
four of ten seconds with a keyframe every 250 frames, four of ten seconds with one every 25. Clips are the default: 8
frames at 12.5 a second, 128 x 64. A PYTHONPATH of another clone measures that.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.base import DATA_SETS
from zoo.data.module import ClipLoader, KeyedClips, Order
from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.data.transforms import to_uint8
from zoo.runs.metrics_csv import read_curves
from zoo.runs.provenance import commit

HERE = Path(__file__).parent
OUT = HERE / "data.jsonl"
FPS, SHOT, GRAIN = 25, 200, 6
FILMS = [("long", 2, 1500, 250), ("short", 4, 250, 250), ("keyed", 4, 250, 25)]
"""Name, how many, frames, frames from keyframe to keyframe."""
BATCH, FRAMES = 4, 8
FIRST = 64  # clips of a fresh folder, of which hardly any finds what another has left
WANTED = {"frames alone": frozenset[str](), "edges and flow": frozenset({"condition", "flow", "visibility"})}
WARM = 2  # rounds of a filled cache; the median counts

PUPPETS = ["data=puppets"]
FOLDER = ["data=folder", "data.root={films}", "data.condition=edges"]
TRAININGS = [
    ("classifier", PUPPETS, 1600),
    ("segmenter", PUPPETS, 120),
    ("videovae", PUPPETS, 240),
    ("videovae", FOLDER, 240),
    ("pix2pixhd", FOLDER, 40),
    ("vid2vid", FOLDER, 24),
]
"""Model, data, clips."""
ROUNDS = 3  # of each; the medians count
QUIET = ["data.workers=2", "trainer.threads=2", "trainer.log_every=1", "trainer.progress=false"]
QUIET += ["logger.wandb=disabled", "evaluation.rounds=1", "evaluation.clips=1", "callbacks.gallery_clips=1"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def make_films(folder: Path) -> None:
    """Write the videos."""
    shots = _shots()
    for name, copies, frames, interval in FILMS:
        for number in range(copies):
            with av.open(str(folder / f"{name}{number}.mp4"), "w") as container:
                stream = container.add_stream("libx264", rate=FPS, options={"g": str(interval), "sc_threshold": "0"})
                stream.width, stream.height, stream.pix_fmt = 256, 128, "yuv420p"
                for frame in islice(shots, frames):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(stream.encode())


def _shots() -> Iterator[NDArray[np.uint8]]:
    """Frames (128, 256, 3) without end: another street after every SHOT."""
    street = PuppetClips(PuppetsConfig(view="street", height=128, width=256, fps=FPS), "train", frozenset(), 0)
    rng = np.random.default_rng(0)
    for number in count():
        for frame in to_uint8(street.clip(number, 0, SHOT)["video"].numpy()):
            grain = rng.integers(-GRAIN, GRAIN + 1, (128, 256, 1))
            yield np.clip(frame + grain, 0, 255).astype(np.uint8)


def empty_cache(films: Path) -> None:
    """Forget all frames and flow; what is known of the files stays."""
    for path in (films / ".zoo").glob("*/*.npy"):
        path.unlink()


def loader(films: Path, wanted: frozenset[str], workers: int, **settings: str) -> ClipLoader:
    """An epoch of training clips."""
    config = DATA_SETS.config({"name": "folder", "root": str(films), "condition": "edges", **settings})
    clips = KeyedClips(config, "train", wanted, 0)
    return ClipLoader(clips, Order(len(clips.full_size), len(clips.full_size), BATCH, FRAMES, 0), workers)


def one_pass(clips: ClipLoader) -> tuple[float, float, list[str]]:
    """Clips a second over the first FIRST and over all, from the start of the processes on; the clips' keys."""
    begin, first, keys = time.perf_counter(), 0.0, []
    for batch in clips:
        keys += batch["key"]
        if len(keys) == FIRST:
            first = FIRST / (time.perf_counter() - begin)
    return first, len(keys) / (time.perf_counter() - begin), keys


def pyav_alone(films: Path, keys: Sequence[str]) -> float:
    """Clips a second: open, seek to the keyframe, decode up to the last frame, RGB of every other one."""
    begin = time.perf_counter()
    for key in keys:
        _, name, start = key.split("/")
        shown = range(2 * int(start), 2 * (int(start) + FRAMES), 2)
        with av.open(str(films / name)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            tick = 1 / (FPS * stream.time_base)
            container.seek(round(shown[0] * tick), stream=stream)
            for frame in container.decode(stream):
                number = round((frame.pts or 0) / tick)
                if number in shown:
                    frame.to_ndarray(format="rgb24")
                if number >= shown[-1]:
                    break
    return len(keys) / (time.perf_counter() - begin)


def measure_loader(films: Path) -> None:
    """A line for each combination of fields and workers, with the cache and without."""
    for what, wanted in WANTED.items():
        for workers in (0, 2):
            empty_cache(films)
            first, cold, keys = one_pass(loader(films, wanted, workers))
            warm = statistics.median(one_pass(loader(films, wanted, workers))[1] for _ in range(WARM))
            uncached = one_pass(loader(films, wanted, workers, cache="none"))[1]
            line = {"what": what, "workers": workers, "first": first, "cold": cold, "warm": warm, "uncached": uncached}
            add(line | {"pyav": pyav_alone(films, keys)})


def measure_training(films: Path) -> None:
    """A line for each training: how much of its time it waits, over the first ten steps and after."""
    for model, data, clips in TRAININGS:
        words = [f"model={model}", *(word.format(films=films) for word in data), f"budget.clips={clips}", *QUIET]
        found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
        for _ in range(ROUNDS):
            empty_cache(films)
            for cache in ("cold", "warm") if data == FOLDER else ("warm",):
                found[cache].append(waits(words))
        for cache, rounds in found.items():
            if rounds:
                medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
                kept = cache if data == FOLDER else ""
                add({"model": model, "data": data[0], "cache": kept, "rounds": ROUNDS, "clips": clips, **medians})


def waits(words: Sequence[str]) -> dict[str, float]:
    """Of one training: the mean seconds of a step behind the first, and shares of them that it waits for clips."""
    with tempfile.TemporaryDirectory() as folder:
        typed = [sys.executable, "-m", "zoo.train", *words, f"hydra.run.dir={folder}/run"]
        subprocess.run(typed, env=ENVIRONMENT, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        curves = read_curves(Path(folder, "run", "metrics.csv"))
    steps = [BATCH / rate for _, rate in curves["perf/clips_per_s"]]
    waited = [share * step for (_, share), step in zip(curves["perf/wait_share"], steps, strict=True)]
    parts = {"steps 2 to 10": slice(9), "later": slice(9, None), "whole": slice(None)}
    return {
        "step": statistics.mean(steps),
        **{name: sum(waited[part]) / sum(steps[part]) for name, part in parts.items() if steps[part]},
    }


def add(line: dict[str, object]) -> None:
    """Write a line, and show it."""
    with OUT.open("a") as out:
        out.write(json.dumps(line | {"commit": commit()}) + "\n")
    print({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}, flush=True)


def tables() -> str:
    """Markdown: all lines in their order, those of the loader before those of trainings."""
    lines = [json.loads(line) for line in OUT.read_text().splitlines()]
    rows = ["| clips/s of | workers | PyAV alone | first 64 | first epoch | filled cache | `cache=none` | commit |"]
    rows += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
    for line in (line for line in lines if "what" in line):
        rates = [f"{line[key]:.0f}" if key in line else "" for key in ("pyav", "first", "cold", "warm", "uncached")]
        rows.append(f"| {line['what']} | {line['workers']} | {' | '.join(rates)} | {line['commit'][:7]} |")
    rows += ["", "| model | data | step | waits in steps 2 to 10 | later | runs | commit |"]
    rows += ["| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    for line in (line for line in lines if "model" in line):
        shares = [f"{line[key]:.1%}" if key in line else "" for key in ("steps 2 to 10", "later")]
        data = f"{line['data'].removeprefix('data=')} {line['cache']}".strip()
        kind = "mean" if "rounds" in line else "median"
        told = [f"`{line['model']}`", data, f"{1000 * line['step']:.0f} ms ({kind})", *shares]
        rows.append(f"| {' | '.join(told)} | {line.get('rounds', 1)} | {line['commit'][:7]} |")
    return "\n".join(rows)


def main(parts: Sequence[str]) -> None:
    """Measure the parts, or print the tables."""
    if parts == ["table"]:
        print(tables())
        return
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        make_films(Path(folder))
        for part in parts or ("loader", "training"):
            {"loader": measure_loader, "training": measure_training}[part](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
