"""Do drawn shapes move as MoCoGAN's published ones do? Speed, size and path of both, as a table.

    python experiments/mocogan/shape_statistics.py root=<folder with the folders 0 and 1 of MoCoGAN's data/shapes>

Every published strip is described by its positions; as many paths are drawn, of the same motions and sizes. Reads no
frame but through `data=shapes`, and writes nothing. Two minutes on an idle core.

Shapes: N clips, T frames.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from zoo.data.sets.shapes.names import SHAPES, SIZES
from zoo.data.sets.shapes.paths import draw_path
from zoo.data.sets.shapes.published import find_strips, read_scene
from zoo.errors import ZooError
from zoo.types import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")
SEED = 5


def describe_paths(paths: NDArray[np.int64], motions: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Statistics of each clip by name, (N,). paths: (N, T, 2), row and column; motions: (N,), the axis that is
    crossed."""
    clips = np.arange(len(paths))
    across, sideways = paths[clips, :, motions], paths[clips, :, 1 - motions]
    forward, aside = -np.diff(across, axis=1), np.diff(sideways, axis=1)
    values = {
        "mean speed, px a frame": np.hypot(forward, aside).mean(1),
        "fastest step along an axis, px": np.maximum(np.abs(forward).max(1), np.abs(aside).max(1)),
        "clips that never turn back": (forward >= 0).all(1),
        "motion back, px a clip": np.maximum(-forward, 0).sum(1),
        "sideways motion, px a clip": np.abs(aside).sum(1),
        "sideways start, px": sideways[:, 0],
        "sideways end minus start, px": np.abs(sideways[:, -1] - sideways[:, 0]),
    }
    places = {f"place across the frame in frame {frame + 1}, px": across[:, frame] for frame in (0, 8, 16, 24, 31)}
    return {name: each.astype(np.float64) for name, each in (values | places).items()}


def main(root: str) -> None:
    """Print the statistics of published and of drawn clips."""
    scenes = [read_scene(path) for split in SPLITS for path in find_strips(root, split)]
    motions = np.array([scene.motion for scene in scenes])
    random = np.random.default_rng(SEED)
    drawn = np.stack([draw_path(random, scene.motion, scene.side, 64, 64) for scene in scenes])
    found = describe_paths(np.stack([scene.path for scene in scenes]), motions)
    print(f"{len(scenes)} clips, {(motions == 0).sum()} up")
    for value, count in zip(*np.unique([scene.side for scene in scenes], return_counts=True), strict=True):
        print(f"size {value} of {SIZES}: {count / len(scenes):.3f}")
    print(f"{SHAPES[1]}s: {np.mean([scene.shape for scene in scenes]):.3f}")
    print("| | published: mean, least, most | drawn | KS p |\n| --- | --- | --- | --- |")
    for name, drawn_values in describe_paths(drawn, motions).items():
        cells = [f"{each.mean():.3f}, {each.min():.3g}, {each.max():.3g}" for each in (found[name], drawn_values)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {ks_2samp(found[name], drawn_values).pvalue:.2f} |")


if __name__ == "__main__":
    typed = [word.removeprefix("root=") for word in sys.argv[1:] if word.startswith("root=")]
    if not typed or not Path(typed[0]).is_dir():
        raise SystemExit(str(ZooError("Type the folder of the strips: root=<folder with 0 and 1>")))
    main(typed[0])
