"""Curves over the frames of a clip."""

from matplotlib import pyplot
from matplotlib.figure import Figure

from zoo.visualization.frame_curves import draw_frame_curves, group_by_metric

MODEL = {"psnr": [20.0, 15.0], "psnr_best": [22.0, 18.0], "psnr_worst": [19.0, 12.0], "ssim": [0.9, 0.7]}
BLACK = {"psnr": [13.0, 13.0]}


def test_curves_are_grouped_by_metric():
    assert group_by_metric({"svg": MODEL, "black": BLACK}) == {
        "psnr": {"svg": {name: MODEL[name] for name in ("psnr", "psnr_best", "psnr_worst")}, "black": BLACK},
        "ssim": {"svg": {"ssim": [0.9, 0.7]}},
    }


def test_draws_are_a_band_around_their_mean(tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(pyplot, "close", drawn.append)
    draw_frame_curves({"svg": MODEL, "black": BLACK}, 5, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    [figure] = drawn
    psnr, ssim = figure.axes
    assert (psnr.get_title(), ssim.get_title()) == ("psnr", "ssim")
    mean, black = psnr.get_lines()
    assert mean.get_xydata().tolist() == [[6, 20], [7, 15]]  # five frames are given
    assert (black.get_linestyle(), black.get_ydata().tolist()) == ("--", [13, 13])
    [band] = psnr.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.tolist()}
    assert corners == {(6, 22), (7, 18), (6, 19), (7, 12)}
    assert not ssim.collections
    assert len(ssim.get_lines()) == 1
    monkeypatch.undo()
    pyplot.close(figure)
