"""The puppets: the ground truth is exact, and a clip is a function of its index."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers.paths import ROOT
from zoo.data.sets.puppets.backdrop import BUILDING, GROUND, SKY, SPEEDS, Street
from zoo.data.sets.puppets.body import BONES, JOINTS
from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import ACTIONS, CARD, IDENTITIES, LABELS, PuppetsConfig
from zoo.data.sets.puppets.ground_truth import flow, visibility
from zoo.data.sets.puppets.layers import HalfPlane, Layer, Paint, composite
from zoo.data.sets.puppets.motion import ACTION_MOTIONS, compute_trajectory
from zoo.data.sets.puppets.render import Viewport, render
from zoo.data.sets.puppets.scene import Alternating, Scripted, draw_scene
from zoo.errors import ZooError
from zoo.types import FIELDS

ALL = frozenset(FIELDS)


def clips(split="train", fields=ALL, seed=0, **settings):
    settings = {"view": "street", "height": 64, "condition": "edges", **settings}
    return PuppetClips(PuppetsConfig(**settings), split, fields, seed)


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def warped(video, offsets):
    """Warp the earlier frames (T-1, 3, H, W), by the conventions of zoo/types.py written out."""
    height, width = video.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([(x + offsets[:, 0]) / (width - 1), (y + offsets[:, 1]) / (height - 1)], dim=-1) * 2 - 1
    return F.grid_sample(video[:-1], grid, mode="bilinear", padding_mode="border", align_corners=True)


def near_edge(clip, radius=2):
    """Pixels within ``radius`` of a border between parts, in the frame or at the source of the pixel."""
    edge = F.max_pool2d(clip["condition"], 2 * radius + 1, 1, radius)
    return (edge[1:] > 0) | (warped(edge, clip["flow"]) > 0)


# --- flow and visibility


@pytest.mark.parametrize("view", ["person", "street"])
@pytest.mark.parametrize("action", range(len(ACTIONS)), ids=ACTIONS)
def test_warping_the_earlier_frame_gives_the_later_frame(view, action):
    clip = clips(view=view, height=128, crowd=1.0).perform(action, [action] * 5)
    error = (warped(clip["video"], clip["flow"]) - clip["video"][1:]).abs().mean(1, keepdim=True)
    inside = (clip["visibility"] == 1) & ~near_edge(clip)
    assert inside.float().mean() > 0.5
    assert error[inside].mean() < 0.02 * 2
    puppet = inside & (clip["instances"][1:, None] > 0)
    assert puppet.sum() > 300
    assert error[puppet].mean() < 0.03 * 2  # interpolation blurs stripes of a few pixels


def test_wrong_sign_or_axis_of_the_flow_increases_the_error():
    clip = clips(height=96, crowd=0.0).perform(3, [ACTIONS.index("run")] * 6)
    inside = (clip["visibility"] == 1) & ~near_edge(clip)

    def error(offsets):
        return (warped(clip["video"], offsets) - clip["video"][1:]).abs().mean(1, keepdim=True)[inside].mean()

    right = error(clip["flow"])
    for wrong in (-clip["flow"], clip["flow"].flip(1), torch.zeros_like(clip["flow"])):
        assert error(wrong) > 3 * right


def test_visibility_agrees_with_warped_instances():
    """Labels at the nearest source pixel agree with visibility, except for pixels on a border."""
    clip = clips(height=128, crowd=1.0).clip(3, 0, 6)
    source = torch.nn.functional.one_hot(clip["instances"]).permute(0, 3, 1, 2).float()
    agrees = (warped(source, clip["flow"]).argmax(1) == clip["instances"][1:])[:, None]
    seen = clip["visibility"] == 1
    assert agrees[seen].float().mean() > 0.99
    assert 0 < (~seen).float().mean() < 0.3


def street(camera, width=32, seed=5):
    return Street(np.array(camera, float), height=32, width=width, horizon=24, unit=20.0, seed=seed)


def test_camera_moving_right_gives_flow_to_the_right():
    """The camera moves 5 pixels, so the ground was 5 pixels further right in the earlier frame."""
    backdrop = street([0.0, 5.0])
    canvas, plane = backdrop.paint()
    picture = render(draw_scene(PuppetsConfig(view="street"), "train", 0), Viewport(32, 32, True), np.array([0.0, 0.1]))
    offsets = flow(replace(picture, canvas=canvas, plane=plane, backdrop=backdrop))
    assert [offsets[0, 0][plane[1] == which].mean() for which in (SKY, BUILDING, GROUND)] == pytest.approx(
        [5 * speed for speed in SPEEDS]
    )
    assert (offsets[0, 1] == 0).all()
    np.testing.assert_array_equal(canvas[1, :, 24:, :-5], canvas[0, :, 24:, 5:])


@pytest.mark.parametrize("width", [None, 32])
def test_the_action_is_the_flow_of_the_ground(width):
    """Entry t is the flow from frame t to t + 1; the last entry leads to a frame that only a longer clip shows."""
    moved = []
    for index in range(6):
        dataset = clips(crowd=1.0, width=width)
        clip, longer = (dataset.clip(index, 0, frames) for frames in (6, 7))
        for t, (step,) in enumerate(clip["actions"].tolist()):
            street = longer["labels"][t + 1, -1] == LABELS.index("ground")  # the lowest row has no shadows
            assert street.any()
            assert (longer["flow"][t, 0, -1][street] == step).all()
            assert (longer["flow"][t, 1, -1][street] == 0).all()
            moved.append(step)
        assert dataset.config.spec().action_names == ("scroll",)
    assert min(moved) < -0.5  # to the left and to the right
    assert max(moved) > 0.5
    assert all(4 * step == round(4 * step) for step in moved)


def test_pieces_have_the_actions_of_the_clip(monkeypatch):
    """Also those that lead from one piece to the next."""
    monkeypatch.setattr("zoo.data.base.PIECE_FRAMES", 3)
    dataset = clips("val")
    pieces = [piece["actions"] for piece in dataset.pieces(2, 8)]
    assert [len(piece) for piece in pieces] == [3, 3, 2]
    assert torch.equal(torch.cat(pieces), dataset.clip(2, 0, 8)["actions"])
    assert torch.cat(pieces).unique().numel() > 1


def test_the_camera_of_the_person_view_stands_still():
    clip = clips(view="person").perform(0, [ACTIONS.index("run")] * 5)
    assert torch.equal(clip["actions"], torch.zeros(5, 1))


def bar(x):
    """An upright bar, 4 pixels wide and 8 high, at column x[t]."""
    origin = np.array([(column, 20.0) for column in x])
    up = np.broadcast_to([0.0, -1.0], origin.shape)
    return Layer(origin, up, 8.0, 2.0, 2.0, 1, 20.0, Paint((200, 0, 0)), LABELS.index("occluder"), 1)


def test_flow_and_visibility_of_a_bar_moving_in_front_of_a_still_one():
    backdrop = street([0.0, 0.0])
    canvas, plane = backdrop.paint()
    layers = [bar([8, 8]), bar([7, 10])]
    composite(canvas, plane, layers, 3)
    picture = render(draw_scene(PuppetsConfig(view="street"), "train", 0), Viewport(32, 32, True), np.array([0.0, 0.1]))
    picture = replace(picture, canvas=canvas, plane=plane, backdrop=backdrop, layers=layers)
    offsets = flow(picture)
    seen = visibility(picture, offsets)[0, 0]
    assert offsets[0, :, 16, 10].tolist() == pytest.approx([-3, 0], abs=1e-5)
    assert offsets[0, :, 16, 6].tolist() == [0, 0]
    row = {x: int(seen[16, x]) for x in range(3, 15)}
    # The moving bar covered columns 6 to 8 and now covers 9 to 11; the still one behind it covers 7 to 9.
    # So 6 (street) and 7 (still bar) were occluded before; 9 to 11 show the moving bar in both frames.
    assert [row[x] for x in (4, 6, 7, 9, 10, 11, 12, 13)] == [1, 0, 0, 1, 1, 1, 1, 1]


def test_source_outside_the_frame_is_not_visible():
    backdrop = street([5.0, 0.0])
    canvas, plane = backdrop.paint()
    picture = render(draw_scene(PuppetsConfig(view="street"), "train", 0), Viewport(32, 32, True), np.array([0.0, 0.1]))
    picture = replace(picture, canvas=canvas, plane=plane, backdrop=backdrop, layers=[bar([-50, -50])])
    seen = visibility(picture, flow(picture))[0, 0]
    assert seen[30].tolist() == [0.0] * 5 + [1.0] * 27  # the ground moves 5 pixels to the right


def test_limbs_move_rigidly():
    """Distances between pixels of a layer are the same before and after the flow."""
    config = PuppetsConfig(view="person", height=96)
    picture = render(draw_scene(config, "train", 5), Viewport(96, 96, False), np.arange(4) / 12.5)
    offsets = flow(picture)
    for number in range(3, 3 + len(picture.layers)):
        y, x = np.nonzero(picture.plane[2] == number)
        points = np.stack([x, y], axis=1).astype(float)
        sources = points + offsets[1][:, y, x].T
        between = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (points, sources)]
        np.testing.assert_allclose(*between, atol=1e-3)


# --- pose


@pytest.mark.parametrize("action", range(len(ACTIONS)), ids=ACTIONS)
def test_bones_keep_their_length_and_feet_stay_on_the_ground(action):
    frame = Viewport(128, 128, False)
    scene = draw_scene(PuppetsConfig(view="person", height=128), "train", 2)
    scene = replace(scene, lead=replace(scene.lead, timeline=Scripted((action,), 12.5)))
    body = render(scene, frame, np.arange(20) / 12.5).poses[0]
    for start, end in BONES:
        lengths = np.linalg.norm(body.joints[end] - body.joints[start], axis=1)
        assert np.ptp(lengths) < 1e-6, (start, end)
    lower = np.maximum(body.joints["near ankle"][:, 1], body.joints["far ankle"][:, 1])
    assert (lower < frame.ground).all()
    on_the_ground = lower > frame.ground - 0.06 * body.unit
    assert on_the_ground.any()
    assert on_the_ground.all() == (ACTIONS[action] in ("walk", "bend", "wave1", "wave2"))


def test_joints_lie_on_the_labels_of_their_limbs():
    """In a jumping jack nothing occludes the legs and the near arm."""
    limbs = {"near elbow": "near upper arm, near forearm", "near wrist": "near forearm"}
    for side in ("near", "far"):
        limbs |= {f"{side} knee": f"{side} thigh, {side} lower leg", f"{side} ankle": f"{side} lower leg"}
    for index in range(10):
        clip = clips(view="person", height=128).perform(index, [ACTIONS.index("jack")] * 8)
        for joint, parts in limbs.items():
            x, y, confidence = clip["pose"][:, JOINTS.index(joint)].T
            found = clip["labels"][torch.arange(8), y.round().long(), x.round().long()]
            assert (confidence == 1).all()
            assert all(LABELS[label] in parts for label in found), (index, joint)


def test_joint_outside_the_frame_has_no_confidence():
    clip = clips(view="person", height=64, width=16).perform(0, [ACTIONS.index("wave2")] * 8)
    x, y, confidence = clip["pose"].unbind(-1)
    inside = (x >= 0) & (x <= 15) & (y >= 0) & (y <= 63)
    assert torch.equal(confidence, inside.float())


# --- what a clip is a function of


def test_clip_depends_on_neither_order_seed_nor_epoch():
    first = clips(seed=1, crowd=1.0)
    others = [first.clip(i, 0, 4) for i in (3, 1, 2)]
    again = clips(seed=2, crowd=1.0)
    assert same(again.clip(2, 7, 4), others[2])
    assert same(again.clip(1, 0, 4), others[1])
    assert not torch.equal(others[0]["video"], others[1]["video"])


def fingerprint():
    clip = clips("val", height=32).clip(12, 0, 3)
    return hashlib.sha256(b"".join(clip[name].numpy().tobytes() for name in ("video", "flow"))).hexdigest()


def test_clip_is_the_same_in_another_process():
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    program += "; from tests.data.test_puppets import fingerprint; print(fingerprint())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == fingerprint()


@pytest.mark.parametrize("view", ["person", "street"])
def test_longer_clip_begins_with_the_shorter(view):
    for index in range(4):
        short, long = (clips(view=view, crowd=1.0, transitions=1.0).clip(index, 0, n) for n in (5, 23))
        for name in ("video", "labels", "instances", "condition", "pose", "actions"):
            assert torch.equal(short[name], long[name][:5]), name
        for name in ("flow", "visibility"):
            assert torch.equal(short[name], long[name][:4]), name
        assert torch.equal(short["attributes"]["action"], long["attributes"]["action"][:5])


def test_splits_have_different_clips():
    assert not torch.equal(clips("val").clip(0, 0, 1)["video"], clips("train").clip(0, 0, 1)["video"])
    assert len(clips("train", clips=17)) == 17
    assert len(clips("val", clips=17)) == 1000


def test_every_identity_and_action_occurs():
    scenes = [draw_scene(PuppetsConfig(), "train", index) for index in range(200)]
    assert {scene.lead.identity for scene in scenes} == set(range(len(IDENTITIES)))
    assert {scene.lead.timeline.first for scene in scenes} == set(range(len(ACTIONS)))


# --- attributes


def directions(clip):
    joints = {name: clip["pose"][:, i, :2] for i, name in enumerate(JOINTS)}
    return torch.stack([F.normalize(joints[end] - joints[start], dim=-1) for start, end in BONES])


def test_identity_changes_appearance_not_motion():
    walk = [ACTIONS.index("walk")] * 4
    looks = [clips(view="person").perform(0, walk, who) for who in range(len(IDENTITIES))]
    for other in looks[1:]:
        torch.testing.assert_close(directions(other), directions(looks[0]), atol=1e-4, rtol=0)
    for i, one in enumerate(looks):
        assert (one["attributes"]["identity"] == i).all()
        assert all((one["video"] - other["video"]).abs().mean() > 0.01 for other in looks[:i])


def test_action_changes_motion_not_identity():
    acts = [clips(view="person").perform(0, [action] * 8, 4) for action in range(len(ACTIONS))]
    for i, one in enumerate(acts):
        assert (one["attributes"]["action"] == i).all()
        assert all((directions(one) - directions(other)).abs().amax() > 0.2 for other in acts[:i])


def test_changing_action_affects_later_frames_only():
    walk, jack = ACTIONS.index("walk"), ACTIONS.index("jack")
    still, changed = (clips(view="person").perform(0, actions) for actions in ([walk] * 10, [walk] * 5 + [jack] * 5))
    torch.testing.assert_close(directions(changed)[:, :5], directions(still)[:, :5])
    assert (directions(changed)[:, 7:] - directions(still)[:, 7:]).abs().amax() > 0.2
    assert changed["attributes"]["action"].tolist() == [walk] * 5 + [jack] * 5


def test_transitions_alternate_within_eight_frames():
    times = np.arange(8) / 12.5
    for index in range(20):
        actions = draw_scene(PuppetsConfig(transitions=1.0), "train", index).lead.timeline(times)
        assert len(set(actions)) == 2
        constant = draw_scene(PuppetsConfig(transitions=0.0), "train", index).lead.timeline(times)
        assert set(constant) == {actions[0]}
    assert Alternating(1, 2, change=0.5, hold=1.0)(np.array([0.0, 0.4, 0.6, 1.4, 1.6, 2.6])).tolist() == [
        1,
        1,
        2,
        2,
        1,
        2,
    ]


def test_speed_is_per_second():
    walk = ACTIONS.index("walk")
    timeline = Scripted((walk,), 12.5)
    path = compute_trajectory(timeline, np.array([0.0, 0.5, 2.0]), 0.3).travelled
    assert path == pytest.approx([0, 0.5 * ACTION_MOTIONS[walk].speed, 2 * ACTION_MOTIONS[walk].speed])
    slow, fast = (clips(view="person", fps=fps).perform(0, [walk] * n) for fps, n in ((5.0, 3), (10.0, 5)))
    torch.testing.assert_close(slow["video"], fast["video"][::2])


# --- the interface


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 72), (48, 33), (64, None), (512, 512)])
@pytest.mark.parametrize("view", ["person", "street"])
def test_shapes_types_and_ranges(view, height, width):
    dataset = clips(view=view, height=height, width=width, condition="pose", crowd=1.0)
    spec, frames = dataset.config.spec(), 3
    clip = dataset.clip(1, 0, frames)
    H, W = spec.height, spec.width
    assert height == H
    assert (width or height * {"street": 2, "person": 1}[view]) == W
    assert set(clip) == {*spec.fields, "fps", "key"} == {*CARD.fields, "fps", "key"}
    expected = {
        "video": (torch.float32, (frames, 3, H, W)),
        "labels": (torch.int64, (frames, H, W)),
        "instances": (torch.int64, (frames, H, W)),
        "condition": (torch.float32, (frames, spec.condition_channels, H, W)),
        "flow": (torch.float32, (frames - 1, 2, H, W)),
        "visibility": (torch.float32, (frames - 1, 1, H, W)),
        "pose": (torch.float32, (frames, len(JOINTS), 3)),
        "actions": (torch.float32, (frames, 1)),
        "fps": (torch.float32, ()),
    }
    assert {name: (clip[name].dtype, tuple(clip[name].shape)) for name in expected} == expected
    assert clip["attributes"]["action"].dtype == torch.int64
    assert clip["attributes"]["identity"].shape == (frames,)
    for name in ("video", "condition"):
        assert clip[name].min() >= -1
        assert clip[name].max() <= 1
    assert clip["labels"].max() < len(spec.label_names)
    assert set(clip["visibility"].unique().tolist()) <= {0.0, 1.0}
    assert (clip["instances"] == 1).any()


def test_single_frame_has_no_flow():
    clip = clips().clip(0, 0, 1)
    assert clip["actions"].shape == (1, 1)  # it leads to the frame after the last one
    assert clip["flow"].shape == (0, 2, 64, 128)
    assert clip["visibility"].shape == (0, 1, 64, 128)


def test_only_requested_fields_are_provided():
    assert set(clips(fields=frozenset()).clip(0, 0, 2)) == {"video", "fps", "key"}
    assert set(clips(fields=frozenset({"visibility"})).clip(0, 0, 2)) == {"video", "fps", "key", "visibility"}
    assert "condition" not in clips(condition="none").clip(0, 0, 2)
    assert "condition" not in PuppetsConfig().spec().fields


def test_edges_are_where_the_labels_change():
    clip = clips(view="person").clip(0, 0, 1)
    labels, edge = clip["labels"][0], clip["condition"][0, 0]
    changes = labels[:, :-1] != labels[:, 1:]
    assert (edge[:, :-1][changes] == 1).all()
    assert 0.02 < edge.mean() < 0.3


def test_distance_is_to_the_exact_edges():
    edge = clips(view="person").clip(0, 0, 2)["condition"]
    clip = clips(view="person", condition="distance").clip(0, 0, 2)["condition"]
    assert clip.shape == (2, 2, 64, 64)
    assert torch.equal(clip[:, :1], edge)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    pixels = torch.stack([y, x], dim=-1).reshape(-1, 2).float()
    steps = torch.cdist(pixels, pixels[edge[1, 0].flatten() == 1], p=1).amin(1)
    torch.testing.assert_close(clip[1, 1].flatten(), (3 * steps).clamp(max=255) / 255)


def test_puppet_stays_inside_the_frame_and_crosses_the_street():
    config = PuppetsConfig(view="street", height=64, crowd=0.0)
    walked = []
    for index in range(30):
        body = render(draw_scene(config, "train", index), Viewport(64, 128, True), np.arange(100) / 12.5).poses[0]
        x = body.joints["pelvis"][:, 0]
        assert ((x > 8) & (x < 120)).all()
        walked.append(np.ptp(x[:16]))
    assert np.median(walked) > 20


def test_auto_follows_the_model():
    class Translates:
        tasks = frozenset({"translate", "generate"})

    class Generates:
        tasks = frozenset({"generate"})

    assert PuppetsConfig().suited_to(Translates()).view == "street"
    assert PuppetsConfig().suited_to(Generates()).view == "person"
    assert PuppetsConfig(view="person").suited_to(Translates()).view == "person"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"view": "stret"}, "Did you mean `street`"),
        ({"condition": "depth"}, "Choices: none, edges, distance, pose"),
        ({"crowd": 1.5}, "data.crowd is 1.5, but at most 1 is allowed"),
        ({"clips": 0}, "data.clips is 0, but at least 1 is required"),
        ({"fps": 0.0}, "data.fps is 0.0, but at least 0.001 is required"),
    ],
)
def test_invalid_settings_raise(settings, message):
    with pytest.raises(ZooError, match=message):
        PuppetsConfig(**settings)


def test_the_config_imports_neither_torch_nor_numpy():
    program = "import sys, zoo.data.sets.puppets.config; print({'torch', 'numpy'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"


def test_paint_blends_over_one_pixel_at_a_border():
    paint = Paint((0, 0, 0), ((HalfPlane(0.5), (255, 255, 255)),))
    u = np.array([0.3, 0.5, 0.525, 0.7])
    colours = paint(u, np.zeros(4), pixel=0.1)
    np.testing.assert_allclose(colours, np.tile([-1, 0, 0.5, 1], (3, 1)), atol=1e-6)
