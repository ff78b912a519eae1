import math

import pytest
import torch

from zoo.callbacks.curves import read_curves
from zoo.evaluation.paired import paired_metrics
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.temporal import warping_error
from zoo.pictures import detail_rows, filmstrip, given_film, kept_frames, palette, side_by_side, to_bytes
from zoo.types import ClipSpec, Sample


def measured(made: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    metrics = paired_metrics()
    metrics.update(made, real)
    return {name: value.item() for name, value in metrics.compute().items()}


def test_paired_metrics_by_hand():
    real = torch.linspace(-1, 1, 32 * 32).view(1, 1, 32, 32).expand(2, 3, 32, 32).clamp(-0.5, 0.5)
    made = real.clone()
    made[0] += 0.5
    made[1] -= 0.1
    found = measured(made, real)
    assert found["l1"] == pytest.approx(0.3)
    # PSNR of each frame, then the mean: the range is 2, so 20·log10(2 / error)
    assert found["psnr"] == pytest.approx((20 * math.log10(2 / 0.5) + 20 * math.log10(2 / 0.1)) / 2, rel=1e-4)
    assert found["ssim"] < 1


def test_paired_metrics_of_equals():
    real = torch.rand(2, 3, 32, 32) * 2 - 1
    found = measured(real, real)
    assert found["l1"] == 0
    assert found["ssim"] == pytest.approx(1)


def test_ssim_knows_the_range():
    """By hand for constants: (2ab + c1) / (a² + b² + c1) with c1 = (0.01·2)²; contrast and structure are 1."""
    a, b, c1 = 0.3, 0.5, 0.02**2
    found = measured(torch.full((1, 3, 32, 32), a), torch.full((1, 3, 32, 32), b))
    assert found["ssim"] == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-3)


def test_in_parts_or_at_once():
    made, real = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16)
    parts = paired_metrics()
    for i in (2, 0, 3, 1):
        parts.update(made[i : i + 1], real[i : i + 1])
    for name, value in parts.compute().items():
        assert value.item() == pytest.approx(measured(made, real)[name], rel=1e-5)


def test_key_carries_the_protocol():
    protocol = Protocol("puppets", "val", 8, 16, 1, 12.5, 64, 128, 0)
    assert protocol.key("l1") == "val/l1@8x16f-c1-64x128px"


def test_curves_are_read_against_the_clock(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,seen/clips,train/loss/a,val/l1@x\n1,2.0,0.5,\n2,4.0,,0.25\n")
    assert read_curves(tmp_path / "metrics.csv") == {"train/loss/a": [(2.0, 0.5)], "val/l1@x": [(4.0, 0.25)]}


def test_bytes_of_a_video():
    assert to_bytes(torch.tensor([-1.0, 0.0, 1.0, 3.0])).tolist() == [0, 128, 255, 255]


def test_given_film_shows_drawings_and_lines():
    def film(*levels: float) -> list[float]:
        condition = torch.tensor(levels).view(1, 1, -1, 1, 1).expand(1, 2, -1, 4, 4)
        spec = ClipSpec(("condition",), 2, 4, 4, 12.5, condition_channels=len(levels))
        return given_film({"condition": condition}, 0, spec, "condition")[0, :, 0, 0].tolist()

    assert film(1.0) == [255, 255, 255]  # edges in [0, 1]
    assert film(1.0, 0.0) == [128, 128, 128]  # edges and distance
    assert film(-1.0, 0.0, 1.0) == [0, 128, 255]  # a drawing in [-1, 1]
    assert film(-1.0, 0.0, 1.0, 1.0, 0.0, 1.0) == [128, 128, 255]  # two, laid over each other


def test_details_show_flow_in_colours():
    flow = torch.zeros(1, 1, 2, 4, 4)
    flow[:, :, 0, :, :2], flow[:, :, 0, :, 2:] = 4.0, -4.0
    sample = Sample(torch.zeros(1, 1, 3, 4, 4), {"flow": flow, "mask": torch.ones(1, 1, 1, 4, 4)})
    films = detail_rows(sample, 0)
    assert films["mask"].unique().tolist() == [255]
    right, left = films["flow"][0, :, 0, 0].tolist(), films["flow"][0, :, 0, 3].tolist()
    assert right[0] == 255 > right[2]  # right is red
    assert left[2] == 255 > left[0]  # left is blue


def test_warping_error_by_hand():
    """Frame 2 is frame 1 moved right by one and brighter by 0.2; the first column has no source and is not seen."""
    first = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 3, 2, 4) / 10
    second = torch.cat([first[..., :1], first[..., :-1]], -1) + 0.2
    flow = torch.zeros(1, 1, 2, 2, 4)
    flow[:, :, 0] = -1.0
    seen = torch.ones(1, 1, 1, 2, 4)
    seen[..., 0] = 0
    video = torch.stack([first, second], 1)
    assert warping_error(video, flow, seen)[0].tolist() == pytest.approx([0.2])
    assert abs(warping_error(video, -flow, seen)[0, 0] - 0.2) > 0.1  # the other way round it does not fit
    assert warping_error(video, flow, 0 * seen)[0].tolist() == [0.0]


def test_kept_frames_are_spread_from_first_to_last():
    assert kept_frames(5) == {0, 1, 2, 3, 4}
    assert kept_frames(15) == {0, 2, 4, 6, 8, 10, 12, 14}
    assert kept_frames(1) == {0}


def test_classes_get_colours_of_their_own():
    colours = palette(35)
    assert len({tuple(colour) for colour in colours.tolist()}) == 35


def test_layouts():
    clip = {"real": torch.zeros(3, 3, 64, 32, dtype=torch.uint8), "made": torch.ones(3, 3, 64, 32, dtype=torch.uint8)}
    # 64 x 32 is doubled to 128 x 64; two pixels after each picture; 84 for the names
    assert filmstrip(clip).shape == (3, 2 * 130, 84 + 3 * 66)
    film = side_by_side([clip, clip])
    assert film.shape == (3, 3, 2 * 130, 84 + 2 * 66)
    assert film[0, 0, 130, 84] == 1
    assert film[0, 0, 0, 84] == 0
