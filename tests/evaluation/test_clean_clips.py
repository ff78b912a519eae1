"""Which clips are clean: drawn shapes are, and each way to break one is found by the check that is for it."""

import cv2
import numpy as np
import pytest
import torch

from zoo.data.base import build_set
from zoo.data.sets.shapes.config import ShapesConfig
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.clean_clips import CHECKS, check_clip, find_components, moves_one_way

CLEAN = (True, True, True)


def drawn(index: int, frames: int = 16, **settings) -> np.ndarray:
    clips = build_set(ShapesConfig(frames=frames, **settings), "val", frozenset(), 0)
    return clips.clip(index, 0, frames)["video"].numpy()


def square(path: list[tuple[int, int]], sizes: list[int] | int = 10, level: float = 0.5) -> np.ndarray:
    """A square with its top-left corner at these rows and columns, (T, 3, 64, 64)."""
    sizes = [sizes] * len(path) if isinstance(sizes, int) else sizes
    video = np.full((len(path), 3, 64, 64), -1, np.float32)
    for frame, (row, column), size in zip(video, path, sizes, strict=True):
        frame[:, row : row + size, column : column + size] = level
    return video


UP = [(50 - 3 * t, 20) for t in range(16)]


@pytest.mark.parametrize(("frames", "step"), [(16, 2), (32, 1), (8, 4)])
def test_drawn_shapes_are_clean(frames, step):
    """At least 0.99 of them pass; those that do not are nearly black."""
    found = [check_clip(drawn(index, frames, step=step)) for index in range(40)]
    assert found.count(CLEAN) == 40


def test_other_sizes_are_clean():
    for size in (32, 128):
        assert [check_clip(drawn(index, height=size)) for index in range(8)].count(CLEAN) >= 7


def test_noise_and_blur_leave_a_clip_clean():
    random = np.random.default_rng(0)
    clip = square(UP)
    assert check_clip(clip + 0.15 * random.standard_normal(clip.shape)) == CLEAN
    blurred = np.stack([cv2.GaussianBlur(frame.transpose(1, 2, 0), (0, 0), 1.5).transpose(2, 0, 1) for frame in clip])
    assert check_clip(blurred) == CLEAN
    specks = clip.copy()
    specks[5, :, 3:5, 3:5] = specks[9, :, 40, 60] = 1
    assert check_clip(specks) == CLEAN
    assert check_clip(-clip) == CLEAN  # dark on white


def test_clean_motions():
    assert check_clip(square([(20, 50 - 3 * t) for t in range(16)])) == CLEAN
    wandering = [(50 - 3 * t, 20 + round(10 * np.sin(t / 15 * np.pi))) for t in range(16)]
    assert check_clip(square(wandering)) == CLEAN
    resting = [(50 - 3 * min(t, 12), 20) for t in range(16)]
    assert check_clip(square(resting)) == CLEAN


def test_empty_and_still_clips_are_not_clean():
    assert check_clip(np.full((16, 3, 64, 64), -1, np.float32)) == (False, False, False)
    assert check_clip(np.full((16, 3, 64, 64), 0.3, np.float32)) == (False, False, False)
    assert check_clip(square([(20, 20)] * 16)) == (True, True, False)
    vanishing = square(UP)
    vanishing[7] = -1
    assert check_clip(vanishing) == (False, False, False)


def test_a_second_thing_is_found():
    for size, clean in ((2, True), (3, True), (5, False), (10, False)):
        clip = square(UP)
        clip[6, :, 4 : 4 + size, 50 : 50 + size] = 0.5
        assert check_clip(clip)[0] is clean, size
    assert check_clip(np.maximum(square(UP), square([(row, 45) for row, _ in UP])))[0] is False


def test_another_size_or_shape_is_found():
    for sizes, same in (([10] * 15 + [11], True), ([8] * 8 + [12] * 8, False), ([10] * 15 + [14], False)):
        assert check_clip(square(UP, sizes))[:2] == (True, same)
    growing = check_clip(square(UP, [6 + t // 2 for t in range(16)]))
    assert growing[:2] == (True, False)
    bars = square(UP)
    bars[8:] = -1
    for t in range(8, 16):
        bars[t, :, 50 - 3 * t : 55 - 3 * t, 20:40] = 0.5  # of the same area
    assert check_clip(bars)[:2] == (True, False)


def test_jumps_and_turns_are_found():
    there_and_back = [*UP[:8], *UP[7::-1]]
    around_the_corner = [(50 - 4 * min(t, 8), 50 - 4 * max(t - 8, 0)) for t in range(16)]
    order = np.random.default_rng(0).permutation(16)
    cases = (there_and_back, around_the_corner, [UP[t] for t in order], [(50, 20)] * 8 + [(5, 20)] * 8)
    for path in cases:
        assert check_clip(square(path)) == (True, True, False)


def test_motion_by_hand():
    def along(*rows: int) -> np.ndarray:
        return np.array([[row, 0] for row in rows], float)

    assert moves_one_way(along(20, 14, 8, 4), 64)  # 16 of 64
    assert not moves_one_way(along(20, 14, 8, 5), 64)
    assert moves_one_way(along(20, 0, 4, 0), 64)  # 4 back of 20
    assert not moves_one_way(along(20, 0, 5, 0), 64)
    assert moves_one_way(along(0, 24), 64)
    assert not moves_one_way(along(0, 25), 64)
    assert moves_one_way(np.array([[0.0, 0], [20, 10]]), 64)
    assert not moves_one_way(np.array([[0.0, 0], [20, 11]]), 64)


def test_components_touch_diagonally():
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = mask[1, 1] = mask[5:7, 5:7] = True
    areas, largest = find_components(mask, 2)
    assert sorted(areas) == [2, 4]
    assert largest.sum() == 4
    assert find_components(mask, 3)[0] == [4]


def test_shares_are_over_all_clips():
    metric = METRICS["clean_clips"].load()("clean_clips", Setup(16, 4))
    two = np.maximum(square(UP), square([(row, 45) for row, _ in UP]))
    still = square([(20, 20)] * 16)
    for clips in ([square(UP), two], [still, square(UP)]):
        metric.update(Videos(torch.from_numpy(np.stack(clips)), {}), real=False)
    metric.update(Videos(torch.from_numpy(square(UP))[None], {}), real=True)
    found = metric.compute()
    assert found["clean_clips"] == 0.5
    assert [found[f"clean_clips_{check}"] for check in CHECKS] == [0.75, 1, 0.75]
    assert found["real/clean_clips"] == 1
