"""Conversion of frames: size, range, edges and distance."""

import numpy as np
import pytest

from zoo.data.transforms import cover, cover_points, distance_map, drawing, edges, quantile, to_signed, to_uint8


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_quantile_equals_numpys(share):
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 500):
        values = rng.integers(0, 2041, count).astype(np.int16)
        assert quantile(values, share) == np.quantile(values.astype(np.int64), share)


def test_cover_crops_the_centre_and_keeps_the_aspect_ratio():
    image = np.arange(4 * 8, dtype=np.uint8).reshape(4, 8)
    np.testing.assert_array_equal(cover(image, 4, 4), image[:, 2:6])
    np.testing.assert_array_equal(cover(image, 2, 8), image[1:3])
    np.testing.assert_array_equal(cover(image, 4, 8), image)


def test_cover_averages_when_it_shrinks():
    image = np.array([[0, 10, 100, 110], [20, 30, 120, 130]], np.uint8)
    np.testing.assert_array_equal(cover(image, 1, 2), [[15, 115]])


def test_cover_of_ids_takes_the_nearest():
    ids = np.kron(np.array([[3, 40], [500, 60000]], np.int32), np.ones((3, 3), np.int32))
    np.testing.assert_array_equal(cover(ids, 2, 2, ids=True), [[3, 40], [500, 60000]])
    np.testing.assert_array_equal(cover(cover(ids, 2, 2, ids=True), 6, 6, ids=True), ids)


@pytest.mark.parametrize("size", [(64, 48), (33, 77), (128, 224), (16, 16)])
def test_cover_returns_the_requested_size(size):
    assert cover(np.zeros((45, 81, 3), np.uint8), *size).shape == (*size, 3)


def test_range_and_axes():
    frames = np.zeros((2, 1, 3, 3), np.uint8)
    frames[1, 0, 2] = (0, 255, 51)
    video = to_signed(frames)
    assert (video.shape, video.dtype) == ((2, 3, 1, 3), np.float32)
    np.testing.assert_allclose(video[1, :, 0, 2], [-1, 1, -0.6], atol=1e-6)
    np.testing.assert_array_equal(to_uint8(video), frames)


def test_every_level_survives_and_out_of_range_values_are_clipped():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(to_uint8(to_signed(levels)), levels)
    np.testing.assert_array_equal(to_uint8(np.array([-1.5, 1.5]).reshape(1, 1, 1, 2)).ravel(), [0, 255])


def test_edges_are_along_a_step_only():
    frame = np.full((32, 32, 3), 60, np.uint8)
    frame[:, 16:] = 120
    drawn = edges(frame)
    assert (drawn.shape, drawn.dtype) == ((32, 32), np.float32)
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn[:, 14:18].sum(axis=1).tolist() == [1] * 32
    assert drawn[:, :14].sum() == drawn[:, 18:].sum() == 0


def test_edges_are_computed_from_rgb_luma():
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, :16, 0] = 87  # luma 0.299 x 87 = 26.0
    frame[:, 16:, 2] = 228  # luma 0.114 x 228 = 26.0
    assert edges(frame).sum() == 0


def test_faint_noise_has_no_edges():
    noise = np.random.default_rng(0).integers(0, 4, (64, 64, 1))
    assert edges((100 + noise).repeat(3, axis=2).astype(np.uint8)).sum() == 0


def test_dark_footage_has_the_same_edges():
    bright = np.zeros((32, 32, 3), np.uint8)
    bright[8:24, 8:24] = 200
    dim = bright // 4
    assert edges(dim).sum() == edges(bright).sum() > 4 * 12


def test_cover_points_matches_cover():
    """A white pixel of a 6x16 frame that is cropped to its middle 12 columns and scaled by 1/2."""
    frame = np.zeros((6, 16), np.uint8)
    frame[2, 5] = 255
    np.testing.assert_array_equal(np.argwhere(cover(frame, 3, 6)), [[1, 1]])
    # column 5 is column 3 of the window, whose middle is at 3.5 of 12, 1.75 of 6: the pixel 1.25
    np.testing.assert_allclose(cover_points(np.array([[5, 2]], np.float32), 6, 16, 3, 6), [[1.25, 0.75]])
    corners = np.array([[-0.5, -0.5], [15.5, 5.5]], np.float32)
    np.testing.assert_allclose(cover_points(corners, 6, 16, 12, 32), [[-0.5, -0.5], [31.5, 11.5]])


def test_distance_is_the_l1_distance():
    lines = np.zeros((3, 4), np.float32)
    lines[0, 0] = 1
    expected = np.array([[0, 3, 6, 9], [3, 6, 9, 12], [6, 9, 12, 15]]) / 255
    distance = distance_map(lines)
    assert distance.dtype == np.float32
    np.testing.assert_allclose(distance, expected, rtol=1e-6)


def test_distance_saturates_at_85_pixels_and_without_edges():
    lines = np.zeros((1, 200), np.float32)
    lines[0, 0] = 1
    distance = distance_map(lines)[0]
    np.testing.assert_allclose(distance[[84, 85, 86, 199]], [252 / 255, 1, 1, 1], rtol=1e-6)
    assert (distance_map(np.zeros((4, 5), np.float32)) == 1).all()


def test_drawings_are_edges_alone_or_with_their_distance():
    frame = np.full((16, 16, 3), 60, np.uint8)
    frame[:, 8:] = 160
    lines = edges(frame)
    np.testing.assert_array_equal(drawing(frame, "edges"), lines[None])
    np.testing.assert_array_equal(drawing(frame, "distance"), [lines, distance_map(lines)])
