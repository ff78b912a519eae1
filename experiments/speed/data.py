"""Does training wait for clips? Clips per second from a folder of videos, compared with PyAV decoding alone.

    python experiments/speed/data.py               # nine minutes on two idle cores; adds lines to data.jsonl
    python experiments/speed/data.py loader        # only the first part, or: training
    python experiments/speed/data.py table         # prints the tables that README.md refers to

The script writes the videos: puppets in the street with film grain, 256 x 128, 25 frames per second. Two last a minute
and four ten seconds, with a keyframe every 250 frames; four more of ten seconds have a keyframe every 25. Clips are the
default: 8 frames at 12.5 per second, 128 x 64. Set PYTHONPATH to another clone to measure that one.
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
from typing import Any

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
from zoo.runs.provenance import find_commit

HERE = Path(__file__).parent
OUT = HERE / "data.jsonl"
FPS, SHOT, GRAIN = 25, 200, 6
VIDEOS = [("long", 2, 1500, 250), ("short", 4, 250, 250), ("keyed", 4, 250, 25)]
"""Name, number of videos, frames of each, frames between keyframes."""
BATCH, FRAMES = 4, 8
FIRST = 64  # first clips of a fresh folder, of which hardly any reuses what another has cached
WANTED = {"frames alone": frozenset[str](), "edges and flow": frozenset({"condition", "flow", "visibility"})}
WARM_ROUNDS = 2  # with a filled cache; the median counts

PUPPETS = ["data=puppets"]
FOLDER = ["data=folder", "data.root={videos}", "data.condition=edges"]
TRAININGS = [
    ("classifier", PUPPETS, 1600),
    ("segmenter", PUPPETS, 120),
    ("videovae", PUPPETS, 240),
    ("videovae", FOLDER, 240),
    ("pix2pixhd", FOLDER, 40),
    ("vid2vid", FOLDER, 24),
]
"""Model, overrides of the data, clips."""
ROUNDS = 3  # of each training; the medians count
QUIET = ["data.workers=2", "trainer.threads=2", "trainer.log_every=1", "trainer.progress=false"]
QUIET += ["logger.wandb=disabled", "evaluation.rounds=1", "evaluation.clips=1", "callbacks.gallery_clips=1"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def write_videos(folder: Path) -> None:
    """Write the videos that clips are read from."""
    shots = _shots()
    for name, copies, frames, interval in VIDEOS:
        for number in range(copies):
            with av.open(str(folder / f"{name}{number}.mp4"), "w") as container:
                stream = container.add_stream("libx264", rate=FPS, options={"g": str(interval), "sc_threshold": "0"})
                stream.width, stream.height, stream.pix_fmt = 256, 128, "yuv420p"
                for frame in islice(shots, frames):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(stream.encode())


def _shots() -> Iterator[NDArray[np.uint8]]:
    """An endless stream of frames (128, 256, 3); the street changes every SHOT frames."""
    street = PuppetClips(PuppetsConfig(view="street", height=128, width=256, fps=FPS), "train", frozenset(), 0)
    rng = np.random.default_rng(0)
    for number in count():
        for frame in to_uint8(street.clip(number, 0, SHOT)["video"].numpy()):
            grain = rng.integers(-GRAIN, GRAIN + 1, (128, 256, 1))
            yield np.clip(frame + grain, 0, 255).astype(np.uint8)


def empty_cache(videos: Path) -> None:
    """Delete cached frames and flow, but not the index of the files."""
    for path in (videos / ".zoo").glob("*/*.npy"):
        path.unlink()


def build_loader(videos: Path, wanted: frozenset[str], workers: int, **settings: str) -> ClipLoader:
    """A loader of one epoch of training clips."""
    config = DATA_SETS.config({"name": "folder", "root": str(videos), "condition": "edges", **settings})
    clips = KeyedClips(config, "train", wanted, 0)
    return ClipLoader(clips, Order(len(clips.full_size), len(clips.full_size), BATCH, FRAMES, 0), workers)


def time_epoch(clips: ClipLoader) -> tuple[float, float, list[str]]:
    """Clips per second over the first FIRST clips and over all, including process start; and the keys of the clips."""
    start, first, keys = time.perf_counter(), 0.0, []
    for batch in clips:
        keys += batch["key"]
        if len(keys) == FIRST:
            first = FIRST / (time.perf_counter() - start)
    return first, len(keys) / (time.perf_counter() - start), keys


def time_pyav(videos: Path, keys: Sequence[str]) -> float:
    """Clips per second of PyAV: open, seek to the keyframe, decode to the last frame, convert every other to RGB."""
    start = time.perf_counter()
    for key in keys:
        _, name, first_frame = key.split("/")
        wanted = range(2 * int(first_frame), 2 * (int(first_frame) + FRAMES), 2)
        with av.open(str(videos / name)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            tick = 1 / (FPS * stream.time_base)
            container.seek(round(wanted[0] * tick), stream=stream)
            for frame in container.decode(stream):
                number = round((frame.pts or 0) / tick)
                if number in wanted:
                    frame.to_ndarray(format="rgb24")
                if number >= wanted[-1]:
                    break
    return len(keys) / (time.perf_counter() - start)


def measure_loader(videos: Path) -> None:
    """Measure the loader for each combination of fields and workers, with and without its cache; a line for each."""
    for what, wanted in WANTED.items():
        for workers in (0, 2):
            empty_cache(videos)
            first, cold, keys = time_epoch(build_loader(videos, wanted, workers))
            warm = statistics.median(time_epoch(build_loader(videos, wanted, workers))[1] for _ in range(WARM_ROUNDS))
            uncached = time_epoch(build_loader(videos, wanted, workers, cache="none"))[1]
            line = {"what": what, "workers": workers, "first": first, "cold": cold, "warm": warm, "uncached": uncached}
            add_line(line | {"pyav": time_pyav(videos, keys)})


def measure_training(videos: Path) -> None:
    """Measure the share of time that each training waits for clips, in steps 2 to 10 and later; a line for each."""
    for model, data, clips in TRAININGS:
        overrides = [f"model={model}", *(part.format(videos=videos) for part in data), f"budget.clips={clips}", *QUIET]
        results: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
        for _ in range(ROUNDS):
            empty_cache(videos)
            for cache in ("cold", "warm") if data == FOLDER else ("warm",):
                results[cache].append(measure_waiting(overrides))
        for cache, rounds in results.items():
            if rounds:
                medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
                cache_state = cache if data == FOLDER else ""
                line = {"model": model, "data": data[0], "cache": cache_state, "rounds": ROUNDS, "clips": clips}
                add_line(line | medians)


def measure_waiting(overrides: Sequence[str]) -> dict[str, float]:
    """Run a training; return the mean seconds of a step after the first, and the shares of time waiting for clips."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "zoo.train", *overrides, f"hydra.run.dir={folder}/run"]
        subprocess.run(command, env=ENVIRONMENT, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        curves = read_curves(Path(folder, "run", "metrics.csv"))
    steps = [BATCH / rate for _, rate in curves["perf/clips_per_s"]]
    waited = [share * step for (_, share), step in zip(curves["perf/wait_share"], steps, strict=True)]
    parts = {"steps 2 to 10": slice(9), "later": slice(9, None), "whole": slice(None)}
    return {
        "step": statistics.mean(steps),
        **{name: sum(waited[part]) / sum(steps[part]) for name, part in parts.items() if steps[part]},
    }


def add_line(line: dict[str, Any]) -> None:
    """Append a line to data.jsonl and print it."""
    with OUT.open("a") as out:
        out.write(json.dumps(line | {"commit": find_commit()}) + "\n")
    print({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}, flush=True)


def tables() -> str:
    """Markdown tables of all lines in their order: the loader, then trainings."""
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
        cells = [f"`{line['model']}`", data, f"{1000 * line['step']:.0f} ms ({kind})", *shares]
        rows.append(f"| {' | '.join(cells)} | {line.get('rounds', 1)} | {line['commit'][:7]} |")
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
        write_videos(Path(folder))
        for part in parts or ("loader", "training"):
            {"loader": measure_loader, "training": measure_training}[part](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
