"""zoo.flow against hand-worked numbers, F.grid_sample and textures with known motion."""

import math
from hashlib import sha256

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.optical_flow import raft_small

from zoo.errors import ZooError
from zoo.flow.colour import flow_to_rgb
from zoo.flow.estimators import RaftFlow, build_estimator
from zoo.flow.occlusion import end_point_error, forward_backward_visibility
from zoo.flow.warp import warp

RAFT_SMALL_FILE = "raft_small_C_T_V2-01064c6d.pth"


def noise(*shape, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype) * 2 - 1


def constant_flow(dx, dy, height, width):
    return torch.tensor([dx, dy]).view(2, 1, 1).expand(2, height, width)


# ---------------------------------------------------------------- warp


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 33, 47), (2, 4, 1, 96, 200), (1, 3, 12, 512), (1, 3, 1, 1)])
def test_zero_flow_returns_the_image_exactly(shape):
    image = noise(*shape)
    assert torch.equal(warp(image, torch.zeros(*shape[:-3], 2, *shape[-2:])), image)


def test_flow_points_to_the_source_in_x_then_y():
    image = torch.zeros(1, 4, 6)
    image[0, 1, 3] = 1.0
    moved = warp(image, constant_flow(2.0, -1.0, 4, 6))  # result(row, column) = image(row - 1, column + 2)
    assert moved.nonzero().tolist() == [[0, 2, 1]]


def test_warp_is_bilinear_inside_and_repeats_the_border_outside():
    row = torch.tensor([[[0.0, 1.0, 4.0]]])
    assert warp(row, constant_flow(0.25, 0.0, 1, 3)).flatten().tolist() == [0.25, 1.75, 4.0]
    assert warp(row, constant_flow(-9.0, 3.0, 1, 3)).flatten().tolist() == [0.0, 0.0, 0.0]
    square = torch.tensor([[[0.0, 8.0], [16.0, 32.0]]])
    middle = warp(square, constant_flow(0.25, 0.5, 2, 2))[0, 0, 0]
    assert middle == 0.5 * (0.75 * 0 + 0.25 * 8) + 0.5 * (0.75 * 16 + 0.25 * 32)


def test_warp_and_its_gradients_equal_grid_sample():
    image, flow = noise(2, 3, 9, 13).requires_grad_(), (8 * noise(2, 2, 9, 13)).requires_grad_()
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(13), indexing="ij")
    grid = torch.stack([(columns + flow[:, 0]) / 12, (rows + flow[:, 1]) / 8], -1) * 2 - 1
    expected = F.grid_sample(image, grid, padding_mode="border", align_corners=True)
    torch.testing.assert_close(warp(image, flow), expected, rtol=0, atol=1e-5)
    upstream = noise(2, 3, 9, 13)
    for got, want in zip(
        torch.autograd.grad(warp(image, flow), (image, flow), upstream),
        torch.autograd.grad(expected, (image, flow), upstream),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=0, atol=2e-5)


def test_warp_under_autocast_has_exact_positions_and_the_dtype_of_the_image():
    image = noise(1, 3, 4, 300).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        warped = warp(image, torch.full((1, 2, 4, 300), 0.0, dtype=torch.bfloat16))
        assert warp(image.float(), torch.zeros(1, 2, 4, 300, dtype=torch.bfloat16)).dtype == torch.float32
    assert torch.equal(warped, image)  # bfloat16 cannot represent odd numbers above 256


def test_nan_flow_gives_nan_pixels():
    flow = torch.zeros(1, 2, 4, 4)
    flow[0, 0, 1, 2] = torch.nan
    assert warp(noise(1, 1, 4, 4), flow).isnan().nonzero().tolist() == [[0, 0, 1, 2]]


# ---------------------------------------------------------------- occlusion and error


def test_pixels_with_a_source_outside_the_image_are_invisible():
    backward, forward = constant_flow(-3.0, 0.0, 2, 8), constant_flow(3.0, 0.0, 2, 8)
    visible = forward_backward_visibility(backward[None], forward[None])
    assert visible.tolist() == [[[[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]] * 2]]
    down = constant_flow(0.0, 1.0, 3, 2)
    assert forward_backward_visibility(down, -down)[0, :, 0].tolist() == [1.0, 1.0, 0.0]


def test_visibility_uses_the_forward_flow_at_the_source_pixel():
    backward = constant_flow(-2.0, 0.0, 1, 8)
    forward = torch.zeros(2, 1, 8)
    forward[0, 0, :4] = 2.0  # only the first four pixels of the earlier frame have a consistent flow
    assert forward_backward_visibility(backward, forward)[0, 0].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("backward", "forward", "visible"),
    [
        (0.70, 0.0, 1.0),  # 0.49 < 0.01 · 0.49 + 0.5
        (0.72, 0.0, 0.0),  # 0.5184 > 0.01 · 0.5184 + 0.5
        (10.0, -9.0, 1.0),  # 1 < 0.01 · (100 + 81) + 0.5
        (10.0, -8.5, 0.0),  # 2.25 > 0.01 · (100 + 72.25) + 0.5
    ],
)
def test_tolerance_of_the_forward_backward_check(backward, forward, visible):
    flows = (constant_flow(length, 0.0, 1, 32) for length in (backward, forward))
    assert forward_backward_visibility(*flows)[0, 0, 0] == visible


def test_end_point_error_is_a_weighted_mean_distance():
    truth = noise(2, 3, 2, 4, 4)
    flow = truth.clone()
    flow[..., :2, :] += torch.tensor([3.0, -4.0]).view(2, 1, 1)  # the upper half has an error of 5 pixels
    upper = torch.zeros(2, 3, 1, 4, 4)
    upper[..., :2, :] = 1.0
    assert end_point_error(flow, truth).item() == pytest.approx(2.5)
    assert end_point_error(flow, truth, upper).item() == pytest.approx(5.0)
    assert end_point_error(flow, truth, 1 - upper).item() == pytest.approx(0.0)


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize(
    ("flow", "rgb"),
    [
        ((0.0, 0.0), (1, 1, 1)),
        ((1.0, 0.0), (1, 0, 0)),  # right: hue 0
        ((0.0, 1.0), (1, 13.5 / 15, 0)),  # down: hue 13.5 of 54, from red to yellow
        ((-1.0, 0.0), (0, 9 / 11, 1)),  # left: hue 27, the third from cyan to blue
        ((0.0, -1.0), (4.5 / 13, 0, 1)),  # up: hue 40.5, from blue to magenta
        ((0.5, 0.0), (1, 0.5, 0.5)),
        ((2.0, 0.0), (0.75, 0, 0)),  # beyond the radius
        ((math.nan, 0.0), (0, 0, 0)),
    ],
)
def test_colour_of_each_direction(flow, rgb):
    colour = flow_to_rgb(torch.tensor(flow).view(1, 2, 1, 1), radius=1.0)
    assert ((colour + 1) / 2).flatten().tolist() == pytest.approx(rgb, abs=1e-6)


def test_largest_flow_of_a_video_has_full_saturation():
    flow = torch.zeros(1, 2, 2, 1, 1)
    flow[0, 0, 0], flow[0, 1, 0] = 8.0, 4.0
    colour = (flow_to_rgb(flow) + 1) / 2
    assert colour[0, :, :, 0, 0].tolist() == [[1, 0, 0], [1, 0.5, 0.5]]
    assert flow_to_rgb(torch.zeros(2, 4, 4)).min() == 1


# ---------------------------------------------------------------- estimators


def texture(dx, dy, height=64, width=96):
    """A smooth pattern evaluated at x + (dx, dy): (3, H, W) in [-1, 1]."""
    draw = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(torch.arange(height) + dy, torch.arange(width) + dx, indexing="ij")
    waves = torch.rand(12, 3, generator=draw) - 0.5
    grey = sum(torch.sin(fx * x + fy * y + 6.28 * phase) for fx, fy, phase in waves.tolist())
    return (grey / 8).clamp(-1, 1).expand(3, -1, -1)


def test_dis_estimates_known_motion_with_the_right_sign_and_axes():
    flows = torch.tensor([[[1.5, -0.75], [-0.5, 2.25]], [[-2.0, 0.5], [0.0, -1.0]]])  # (B, T-1, 2)
    # frame[t+1](x) = frame[t](x + flow[t]): the offsets add up along the clip
    offsets = torch.cat([torch.zeros(2, 1, 2), flows.cumsum(1)], 1)
    video = torch.stack([torch.stack([texture(*offset.tolist()) for offset in clip]) for clip in offsets])
    flow, visible = build_estimator("dis")(video)
    assert flow.shape == (2, 2, 2, 64, 96)
    assert visible.shape == (2, 2, 1, 64, 96)
    centre = flow[..., 16:-16, 16:-16]
    assert (centre - flows[..., None, None]).abs().mean() < 0.05
    assert visible[..., 16:-16, 16:-16].mean() > 0.99
    assert visible.mean() < 1  # the source of the margin lies outside the image


def test_dis_detects_occlusions():
    earlier, later = (texture(0, 0).clone() for _ in range(2))
    square = -texture(31, 17)[:, 16:48, 20:52]
    earlier[:, 16:48, 20:52] = square
    later[:, 16:48, 28:60] = square  # eight pixels to the right
    flow, visible = build_estimator("dis")(torch.stack([earlier, later])[None])
    assert flow[0, 0, 0, 24:40, 40:52].mean() == pytest.approx(-8, abs=0.5)
    assert visible[0, 0, 0, 20:44, 20:28].mean() < 0.3  # hidden behind the square in the earlier frame
    assert visible[0, 0, 0, 24:40, 40:52].mean() > 0.9  # on the square
    assert visible[0, 0, 0, :, :16].mean() > 0.9  # next to it


def clip_of(video, **fields):
    return {"video": video, "fps": torch.tensor([25.0]), "key": ["test/0"], **fields}


def test_exact_flow_is_that_of_the_clip():
    flow, visibility = noise(1, 2, 2, 8, 8), torch.ones(1, 2, 1, 8, 8)
    found = build_estimator("exact").of(clip_of(noise(1, 3, 3, 8, 8), flow=flow, visibility=visibility))
    assert found[0] is flow
    assert found[1] is visibility
    with pytest.raises(ZooError, match=r"provides video, fps, key, flow\. Try: data\.flow=dis"):
        build_estimator("exact").of(clip_of(noise(1, 3, 3, 8, 8), flow=flow))
    with pytest.raises(ZooError, match="cannot estimate the flow of a video"):
        build_estimator("exact")(noise(1, 3, 3, 8, 8))


def test_estimators_use_the_video_of_a_clip():
    video = torch.stack([texture(0, 0, 32, 32), texture(1, 0, 32, 32)])[None]
    estimator = build_estimator("dis")
    for got, want in zip(estimator.of(clip_of(video)), estimator(video), strict=True):
        assert torch.equal(got, want)


def test_unknown_estimators_and_unused_weights_are_rejected():
    with pytest.raises(ZooError, match=r"data\.flow=raft_smal is not a choice\. Did you mean `raft_small`"):
        build_estimator("raft_smal")
    with pytest.raises(ZooError, match=r"data\.flow=dis has no weights"):
        build_estimator("dis", "some.pth")


@pytest.fixture(scope="module")
def raft_weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("raft") / "small.pth"
    torch.save(raft_small().state_dict(), path)
    return path


def test_raft_accepts_any_frame_size_and_a_local_weights_file(raft_weights):
    estimator = build_estimator("raft_small", str(raft_weights))
    video = torch.stack([texture(t, 0, 36, 50) for t in range(3)])[None]
    flow, visible = estimator(video)
    assert estimator.name == "raft_small"
    assert estimator.sha256 == sha256(raft_weights.read_bytes()).hexdigest()[:16]
    assert flow.shape == (1, 2, 2, 36, 50)
    assert visible.shape == (1, 2, 1, 36, 50)
    assert flow.isfinite().all()
    assert set(visible.unique().tolist()) <= {0.0, 1.0}


def test_raft_rescales_the_flow_of_upscaled_frames(raft_weights):
    seen = []

    class Stub(torch.nn.Module):
        def forward(self, frames, others):
            seen.append(frames)
            return [
                constant_flow(9.0, 9.0, 1, 1),
                constant_flow(8.0, 17.1, *frames.shape[-2:]).repeat(2, 1, 1, 1),
            ]

    estimator = RaftFlow("raft_small", str(raft_weights))
    estimator.network = Stub()
    frames = texture(0, 0, 64, 48).repeat(2, 1, 1, 1)
    flow = estimator.between(frames, frames)
    assert seen[0].shape == (2, 3, 176, 128)  # 48 to 128, 64 to 171, and 171 padded to 176
    torch.testing.assert_close(seen[0][..., 172:, :], seen[0][..., 170:171, :].expand(-1, -1, 4, -1))
    torch.testing.assert_close(flow, constant_flow(3.0, 6.4, 64, 48).expand(2, -1, -1, -1))


def test_missing_raft_weights_are_reported_with_their_path(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ZooError) as problem:
        build_estimator("raft_small")
    for part in (str(tmp_path / "checkpoints" / RAFT_SMALL_FILE), "data.flow_weights=", "data.flow=dis"):
        assert part in str(problem.value)


def test_raft_finds_its_weights_in_the_torch_cache(tmp_path, monkeypatch, raft_weights):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / RAFT_SMALL_FILE).symlink_to(raft_weights)
    assert build_estimator("raft_small").name == "raft_small"


@pytest.mark.parametrize("content", [{"weight": torch.zeros(1)}, [1, 2], "not a checkpoint"])
def test_raft_rejects_a_weights_file_of_another_network(tmp_path, content):
    path = tmp_path / "other.pth"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    with pytest.raises(ZooError, match="does not contain torchvision's weights of raft_large"):
        build_estimator("raft_large", str(path))
