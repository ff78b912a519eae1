import numpy as np
import pytest

from zoo.data.transforms import cover, edges, to_signed, to_uint8


def test_cover_takes_the_middle_and_keeps_proportions():
    image = np.arange(4 * 8, dtype=np.uint8).reshape(4, 8)
    np.testing.assert_array_equal(cover(image, 4, 4), image[:, 2:6])
    np.testing.assert_array_equal(cover(image, 2, 8), image[1:3])
    np.testing.assert_array_equal(cover(image, 4, 8), image)


def test_cover_averages_when_it_shrinks():
    image = np.array([[0, 10, 100, 110], [20, 30, 120, 130]], np.uint8)
    np.testing.assert_array_equal(cover(image, 1, 2), [[15, 115]])


def test_cover_takes_one_of_the_ids():
    ids = np.kron(np.array([[3, 40], [500, 60000]], np.int32), np.ones((3, 3), np.int32))
    np.testing.assert_array_equal(cover(ids, 2, 2, ids=True), [[3, 40], [500, 60000]])
    np.testing.assert_array_equal(cover(cover(ids, 2, 2, ids=True), 6, 6, ids=True), ids)


@pytest.mark.parametrize("size", [(64, 48), (33, 77), (128, 224), (16, 16)])
def test_cover_always_gives_the_size_asked_for(size):
    assert cover(np.zeros((45, 81, 3), np.uint8), *size).shape == (*size, 3)


def test_range_and_axes():
    frames = np.zeros((2, 1, 3, 3), np.uint8)
    frames[1, 0, 2] = (0, 255, 51)
    video = to_signed(frames)
    assert (video.shape, video.dtype) == ((2, 3, 1, 3), np.float32)
    np.testing.assert_allclose(video[1, :, 0, 2], [-1, 1, -0.6], atol=1e-6)
    np.testing.assert_array_equal(to_uint8(video), frames)


def test_every_level_survives_and_overshoot_is_clipped():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(to_uint8(to_signed(levels)), levels)
    np.testing.assert_array_equal(to_uint8(np.array([-1.5, 1.5]).reshape(1, 1, 1, 2)).ravel(), [0, 255])


def test_edges_run_along_a_step_and_nowhere_else():
    frame = np.full((32, 32, 3), 60, np.uint8)
    frame[:, 16:] = 120
    drawn = edges(frame)
    assert (drawn.shape, drawn.dtype) == ((32, 32), np.float32)
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn[:, 14:18].sum(axis=1).tolist() == [1] * 32
    assert drawn[:, :14].sum() == drawn[:, 18:].sum() == 0


def test_edges_are_those_of_luma_with_red_first():
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, :16, 0] = 87  # luma 0.299 x 87 = 26.0
    frame[:, 16:, 2] = 228  # luma 0.114 x 228 = 26.0
    assert edges(frame).sum() == 0


def test_faint_noise_on_a_flat_frame_draws_nothing():
    noise = np.random.default_rng(0).integers(0, 4, (64, 64, 1))
    assert edges((100 + noise).repeat(3, axis=2).astype(np.uint8)).sum() == 0


def test_dim_footage_gives_the_drawing_of_the_bright():
    bright = np.zeros((32, 32, 3), np.uint8)
    bright[8:24, 8:24] = 200
    dim = bright // 4
    assert edges(dim).sum() == edges(bright).sum() > 4 * 12
