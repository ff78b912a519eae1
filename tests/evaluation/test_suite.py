import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from zoo.data.module import rank_share
from zoo.errors import ZooError
from zoo.evaluation.catalogue import METRICS, better, current_name, versioned
from zoo.evaluation.metric import PairedMetric, Setup, Videos, choose_draw
from zoo.evaluation.metrics.warping import warping_error
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, add_result, read_results
from zoo.evaluation.suite import Suite, without_context
from zoo.flow.estimators import build_estimator
from zoo.runs.metrics_csv import read_curves
from zoo.testing import tiny_model
from zoo.types import ClipSpec, Sample
from zoo.visualization.grids import (
    conditioning_film,
    detail_rows,
    filmstrip,
    filmstrip_frames,
    palette,
    side_by_side,
    to_bytes,
)


def paired_value(name: str, generated: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    """A paired metric of frames (N, 3, H, W), as N clips of one frame and one draw."""
    metric = METRICS[name].load()(name, Setup(frames=1, clips=len(generated)))
    metric.update(generated[:, None], real[:, None], draw=0)
    return metric.compute()


def paired_metric(name: str, generated: torch.Tensor, real: torch.Tensor, batch: int = 2) -> PairedMetric:
    """A paired metric of clips (B, T, C, H, W) and their draws (B, D, T, C, H, W), one draw after another."""
    _, draws, frames = generated.shape[:3]
    metric = METRICS[name].load()(name, Setup(frames, len(real), draws))
    for samples, clips in zip(generated.split(batch), real.split(batch), strict=True):
        for draw in range(draws):
            metric.update(samples[:, draw], clips, draw)
    return metric


def test_paired_metrics_match_values_by_hand():
    real = torch.linspace(-1, 1, 32 * 32).view(1, 1, 32, 32).expand(2, 3, 32, 32).clamp(-0.5, 0.5)
    generated = real.clone()
    generated[0] += 0.5
    generated[1] -= 0.1
    assert paired_value("l1", generated, real) == {"l1": pytest.approx(0.3)}
    # PSNR of each frame, then the mean: the range is 2, so 20·log10(2 / error)
    psnr = (20 * math.log10(2 / 0.5) + 20 * math.log10(2 / 0.1)) / 2
    assert paired_value("psnr", generated, real) == {"psnr": pytest.approx(psnr, rel=1e-4)}
    assert paired_value("psnr", real, real) == {"psnr": 100}


def test_sums_of_errors_match_values_by_hand():
    """Errors of 0.5 and 0.2 on [-1, 1] are 0.25 and 0.1 on [0, 1], at each of 3 · 8 · 6 values of a frame."""
    real = torch.zeros(2, 3, 8, 6)
    generated = torch.tensor([0.5, -0.2]).view(2, 1, 1, 1).expand_as(real)
    assert paired_value("mse_sum", generated, real)["mse_sum"] == pytest.approx(144 * (0.25**2 + 0.1**2) / 2)
    assert paired_value("mae_sum", generated, real)["mae_sum"] == pytest.approx(144 * (0.25 + 0.1) / 2)


def flat_ssim(a: float, b: float) -> float:
    """SSIM of two flat frames with values in [0, 1], by hand: without variance only the luminance is left."""
    return (2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2)


def test_ssim_is_computed_on_the_range_from_0_to_1():
    """Frames of 0.3 and 0.5 in [-1, 1] are 0.65 and 0.75 in [0, 1]; values beyond -1 and 1 are cut off."""
    for one, other, expected in ((0.3, 0.5, flat_ssim(0.65, 0.75)), (-1.5, 1.5, flat_ssim(0, 1))):
        found = paired_value("ssim", torch.full((1, 3, 32, 32), one), torch.full((1, 3, 32, 32), other))
        assert found["ssim"] == pytest.approx(expected, abs=1e-7)


def test_ssim_of_one_window_by_hand():
    """A frame of 11 px holds one window. One frame is 1 in its left five columns and 0 elsewhere, the other is 0."""
    weights = [math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)]
    mean = sum(weights[:5]) / sum(weights)
    variance = mean - mean**2  # of a frame of zeros and ones
    expected = 0.01**2 / (mean**2 + 0.01**2) * 0.03**2 / (variance + 0.03**2)
    stripe = torch.full((1, 1, 11, 11), -1.0)
    stripe[..., :5] = 1
    assert paired_value("ssim", stripe, torch.full((1, 1, 11, 11), -1.0))["ssim"] == pytest.approx(expected, rel=1e-7)


def test_ssim_range2_of_one_window_by_hand():
    """A frame of 7 px holds one window of 49 pixels, 21 of which are 1 in one frame; the other is 0.

    Its variance is 21 · 28 / (49 · 48), and the constants are 0.02² and 0.06².
    """
    stripe = torch.full((1, 1, 7, 7), -1.0)
    stripe[..., :3] = 1
    expected = 0.02**2 / ((3 / 7) ** 2 + 0.02**2) * 0.06**2 / (21 * 28 / (49 * 48) + 0.06**2)
    found = paired_value("ssim_range2", stripe, torch.full((1, 1, 7, 7), -1.0))
    assert found["ssim_range2"] == pytest.approx(expected, rel=1e-7)


def test_slightly_darker_frames_are_similar():
    """5 % of the range darker all over: the luminance term of means 0.5 and 0.45 is 0.9945."""
    real = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(0)) - 0.5
    assert paired_value("ssim", real - 0.1, real)["ssim"] == pytest.approx(flat_ssim(0.5, 0.45), abs=2e-3)
    assert paired_value("ms_ssim", real - 0.1, real)["ms_ssim"] == pytest.approx(
        flat_ssim(0.5, 0.45) ** 0.1333, abs=1e-3
    )


def test_ms_ssim_of_flat_frames_by_hand():
    """Contrast and structure are 1 at every scale; luminance counts at the coarsest, with the exponent 0.1333."""
    flat = [torch.full((1, 3, 176, 176), value) for value in (0.3, 0.5)]
    assert paired_value("ms_ssim", *flat)["ms_ssim"] == pytest.approx(flat_ssim(0.65, 0.75) ** 0.1333, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "side", "least"), [("ssim", 10, "11 px"), ("ssim_range2", 6, "7 px"), ("ms_ssim", 175, "176 px")]
)
def test_frames_without_a_whole_window_are_refused(name, side, least):
    frames = torch.zeros(1, 3, side, 200)
    with pytest.raises(ZooError, match=f"{name} uses .* needs frames of at least {least}, but these are {side} x 200"):
        paired_value(name, frames, frames)


def test_best_draw_is_chosen_per_clip_and_metric():
    """Two clips of two frames; the L1 of the draws is 0.2 and 0.4 for the first, 0.6 and 0.1 for the second."""
    real = torch.zeros(2, 2, 3, 8, 8)
    generated = torch.tensor([[0.2, -0.4], [-0.6, 0.1]]).view(2, 2, 1, 1, 1, 1).expand(2, 2, 2, 3, 8, 8)
    l1 = paired_metric("l1", generated, real)
    assert l1.compute() == pytest.approx({"l1": 0.325, "l1_best": 0.15, "l1_worst": 0.5})
    psnr = paired_metric("psnr", generated, real).compute()
    assert psnr["psnr_best"] == pytest.approx((20 * math.log10(2 / 0.2) + 20 * math.log10(2 / 0.1)) / 2)
    assert psnr["psnr_worst"] == pytest.approx((20 * math.log10(2 / 0.4) + 20 * math.log10(2 / 0.6)) / 2)


def test_curves_follow_one_draw_over_all_frames():
    """The L1 of the draws is (0.1, 0.5), (0.4, 0.0) and (0.3, 0.5) for the first clip: the second draw has the lowest
    mean, although the first begins better, and the third the highest. For the second clip it is (0.0, 0.2), (0.6, 0.4)
    and (0.2, 0.0): the first and the third are equally good, so the first counts, and the second is the worst."""
    errors = torch.tensor([[[0.1, 0.5], [0.4, 0.0], [0.3, 0.5]], [[0.0, 0.2], [0.6, 0.4], [0.2, 0.0]]])
    generated = errors.double().view(2, 3, 2, 1, 1, 1).expand(2, 3, 2, 1, 4, 4)
    for batch in (1, 2):
        metric = paired_metric("l1", generated, torch.zeros(2, 2, 1, 4, 4).double(), batch)
        curves = metric.curves()
        assert curves.keys() == {"l1", "l1_best", "l1_worst"}
        assert curves["l1"] == pytest.approx([1.6 / 6, 1.6 / 6])
        assert curves["l1_best"] == pytest.approx([0.2, 0.1])
        assert curves["l1_worst"] == pytest.approx([0.45, 0.45])
        for name, value in metric.compute().items():
            assert value == pytest.approx(sum(curves[name]) / 2, rel=1e-12)
    assert METRICS["l1"].load()("l1", Setup(frames=2, clips=2)).curves() == {}  # no clips yet


def test_choosing_a_draw_keeps_the_first_of_equal_ones():
    first, second = (
        torch.tensor([[0.0, 2.0], [1.0, 1.0], [5.0, 5.0]]),
        torch.tensor([[2.0, 0.0], [3.0, 0.0], [4.0, 5.0]]),
    )
    assert choose_draw(first, second, highest=True).tolist() == [[0.0, 2.0], [3.0, 0.0], [5.0, 5.0]]
    assert choose_draw(first, second, highest=False).tolist() == [[0.0, 2.0], [1.0, 1.0], [4.0, 5.0]]


@pytest.mark.parametrize("name", ["l1", "psnr", "ssim"])
@pytest.mark.parametrize("draws", [1, 2, 7])
def test_draws_in_turn_match_all_draws_at_once(name, draws):
    """Against plain loops over clips, with every draw at hand. Curves of more than 300 frames keep every frame."""
    numbers = torch.Generator().manual_seed(draws)
    frames = 301 if name == "l1" else 20
    real = torch.rand(5, frames, 1, 16, 16, generator=numbers).double() * 2 - 1
    generated = real[:, None] + 0.3 * torch.randn(5, draws, frames, 1, 16, 16, generator=numbers).double()
    metric = paired_metric(name, generated, real)
    best, worst = [], []
    mean_curve = torch.zeros(frames).double()
    for samples, clip in zip(generated, real, strict=True):
        curves = sorted((metric.compare(sample, clip) for sample in samples), key=lambda curve: float(curve.mean()))
        best.append(curves[0 if name == "l1" else -1])
        worst.append(curves[-1 if name == "l1" else 0])
        mean_curve += torch.stack(curves).mean(0) / 5
    expected = {name: mean_curve}
    if draws > 1:
        expected |= {f"{name}_best": torch.stack(best).mean(0), f"{name}_worst": torch.stack(worst).mean(0)}
    found, values = metric.curves(), metric.compute()
    assert found.keys() == expected.keys()
    for each, curve in expected.items():
        assert found[each] == pytest.approx(curve.tolist(), rel=1e-12)
        assert values[each] == pytest.approx(float(curve.mean()), rel=1e-12)


def test_long_clips_have_values_for_windows_of_time():
    """The error of frame t (from 1) is t / 1000; the means of 1 … 16, 17 … 64, 65 … 70 are 8.5, 40.5 and 67.5."""
    wrong = torch.arange(1, 71).view(1, 1, 70, 1, 1, 1) / 1000
    metric = METRICS["l1"].load()("l1", Setup(frames=70, clips=1))
    metric.update(wrong.expand(1, 1, 70, 3, 2, 2)[:, 0], torch.zeros(1, 70, 3, 2, 2), draw=0)
    expected = {"l1": 0.0355, "l1/1-16": 0.0085, "l1/17-64": 0.0405, "l1/65-70": 0.0675}
    assert metric.compute() == pytest.approx(expected)
    # Flicker has no value at the first two frames, so its windows are 3 … 16 and 17 … 18.
    jumps = torch.zeros(1, 18, 3, 2, 2)
    jumps[:, 16:] = 0.5  # frame 17 is brighter and so is 18: |second difference| is 0.5 at 17 and at 18
    flicker = METRICS["flicker"].load()("flicker", Setup(frames=18, clips=1))
    flicker.update(Videos(jumps, {}), real=False)
    expected = {"flicker": 1.0 / 16, "flicker/1-16": 0.0, "flicker/17-18": 0.5}
    assert flicker.compute() == pytest.approx(expected)


def test_motion_matches_values_by_hand():
    """A flow of (3, 4) is 5 pixels long; real clips have values of their own."""
    flow = torch.tensor([3.0, 4.0]).view(1, 1, 2, 1, 1).expand(1, 2, 2, 4, 4)
    metric = METRICS["motion"].load()("motion", Setup(frames=3, clips=1, flow=build_estimator("exact")))
    clip = {"flow": flow, "visibility": torch.ones(1, 2, 1, 4, 4)}
    metric.update(Videos(torch.zeros(1, 3, 3, 4, 4), clip), real=False)
    metric.update(Videos(torch.zeros(1, 3, 3, 4, 4), clip | {"flow": 2 * flow}), real=True)
    assert metric.compute() == pytest.approx({"motion_exact": 5.0, "real/motion_exact": 10.0})


PROTOCOL = Protocol("puppets", "val", 2, 4, 1, 12.5, 16, 16, 0)


def suite_of(*names: str, draws: int = 1) -> Suite:
    return Suite(names, replace(PROTOCOL, draws=draws), Setup(3, 2, draws, flow=build_estimator("exact")))


def some_clip(keys: tuple[str, ...] = ("a/0", "b/0")) -> dict:
    generator = torch.Generator().manual_seed(0)
    video = torch.rand(len(keys), 4, 3, 16, 16, generator=generator) * 2 - 1
    flow, seen = torch.zeros(len(keys), 3, 2, 16, 16), torch.ones(len(keys), 3, 1, 16, 16)
    return {"video": video, "key": list(keys), "flow": flow, "visibility": seen}


def test_suite_does_not_measure_context_frames():
    clip = some_clip()
    generated = clip["video"].clone()
    generated[:, 0] = 0.123  # the context frame
    generated[:, 1:] = (generated[:, 1:] * 0.9).clamp(-1, 1)
    suite = suite_of("l1", "warping_error")
    suite.update(clip, [generated])
    [measured] = suite.compute()
    protocol, values = measured.protocol, measured.metrics
    assert values["l1"] == pytest.approx(float(clip["video"][:, 1:].abs().mean()) * 0.1, rel=1e-5)
    still = (clip["video"][:, 2:] - clip["video"][:, 1:-1]).abs().mean()
    assert values["real/warping_error_exact"] == pytest.approx(float(still), rel=1e-5)
    assert values["warping_error_exact"] == pytest.approx(float(still) * 0.9, rel=1e-5)
    assert protocol == replace(PROTOCOL, clip_keys=protocol.clip_keys)
    suite.reset()
    suite.update(clip, [clip["video"]])
    assert suite.compute()[0].metrics["l1"] == 0
    assert suite.compute()[0].curves == {"l1": [0, 0, 0]}


def test_samples_from_nothing_need_no_clips_beside_them():
    """Two real clips and five samples: each frame of sample n is n/10 brighter than the one before, and in the third
    frame twice as much, so its flicker is n/10. Real clips brighten by 0.1 and then 0.4."""
    suite = Suite(["flicker"], replace(PROTOCOL, context=0, samples=5), Setup(3, 2))
    steps = torch.arange(1.0, 6) / 10
    video = torch.zeros(5, 3, 3, 4, 4)
    video[:, 1] += steps.view(5, 1, 1, 1)
    video[:, 2] += 3 * steps.view(5, 1, 1, 1)
    clip = some_clip()
    clip["video"] = torch.zeros(2, 3, 3, 4, 4)
    clip["video"][:, 1:] += torch.tensor([0.1, 0.5]).view(2, 1, 1, 1)
    suite.update_real(clip)
    for first in (0, 2, 4):
        names = [f"sample/{number}" for number in range(first, min(first + 2, 5))]
        suite.update_samples(names, video[first : first + 2])
    (measured,) = suite.compute()
    assert measured.metrics == {"flicker": pytest.approx(0.3), "real/flicker": pytest.approx(0.3)}
    with pytest.raises(ZooError, match="sample/0 contains NaN"):
        suite.update_samples(["sample/0"], torch.full((1, 3, 3, 4, 4), math.nan))


def test_clip_keys_are_a_checksum_of_clips_and_contents():
    suite = suite_of("l1")

    def seen(*batches: tuple[str, ...], **contents: str) -> str:
        """Checksum of these keys in these batches, with the contents of the videos if given."""
        suite.reset()
        for keys in batches:
            clip = some_clip(keys)
            if contents:
                clip["content"] = [contents[key[0]] for key in keys]
            suite.update(clip, [clip["video"]])
        return suite.compute()[0].protocol.clip_keys

    assert seen(("a/0", "b/0")) == seen(("b/0",), ("a/0",)) != seen(("a/0", "b/8"))
    assert seen(("a/0", "b/0"), a="x", b="y") == seen(("b/0",), ("a/0",), a="x", b="y") != seen(("a/0", "b/0"))
    assert seen(("a/0", "b/0"), a="x", b="y") != seen(("a/0", "b/0"), a="y", b="x")
    # As in results.jsonl: the sum of the first 6 bytes of the SHA-256 of each clip.
    assert seen(("puppets/val-000000/0",)) == "d4cd06b2099e"
    assert seen(("puppets/val-000000/0", "puppets/val-000001/0")) == "d8a8d2137fb4"
    assert seen(("a/0",), a="0123456789abcdef") == "706274541ce5"


def test_context_is_cut_off_every_field():
    clip = some_clip()
    clip["fps"], clip["content"] = torch.tensor([12.5, 12.5]), ["x", "y"]
    clip["flow"] += torch.arange(3.0).view(3, 1, 1, 1)
    ids = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]])
    clip["attributes"], clip["labels"] = {"action": ids}, ids[:, :, None, None].expand(2, 4, 16, 16)
    cut = without_context(clip, 1)
    assert torch.equal(cut["video"], clip["video"][:, 1:])
    assert cut["attributes"]["action"].tolist() == cut["labels"][:, :, 0, 0].tolist() == [[1, 2, 3], [5, 6, 7]]
    assert cut["flow"][:, :, 0, 0, 0].tolist() == [[1, 2], [1, 2]]  # flow to frames 2 and later
    assert cut["visibility"].shape[1] == 2
    assert {name: cut[name] for name in ("key", "fps", "content")} == {n: clip[n] for n in ("key", "fps", "content")}


def test_non_finite_samples_are_refused():
    clip = some_clip()
    generated = clip["video"].clone()
    generated[1, 2, 0, 3, 3] = float("nan")
    with pytest.raises(ZooError, match="The sample of the clip b/0 contains NaN or infinite values"):
        suite_of("l1").update(clip, [generated])


def test_key_contains_the_protocol():
    protocol = Protocol("puppets", "val", 8, 16, 1, 12.5, 64, 128, 0)
    assert protocol.key("l1") == "val/l1@8x16f-c1-64x128px"
    assert replace(protocol, draws=4, features="r3d18").key("fvd") == "val/fvd@8x16f-c1-64x128px-d4-r3d18"
    assert replace(protocol, options={"temperature": 0.5}).key("l1") == "val/l1@8x16f-c1-64x128px-temperature0.5"


def test_key_shows_the_number_of_samples_and_the_truncation():
    protocol = Protocol("puppets", "val", 8, 16, 0, 25.0, 64, 64, 0, samples=2048, options={"truncation": 0.5})
    assert protocol.key("fvd") == "val/fvd@8x16f-c0-64x64px-n2048-truncation0.5"


def test_protocols_name_the_fields_that_differ():
    street = replace(PROTOCOL, settings={"view": "street", "crowd": 0.25})
    person = replace(PROTOCOL, settings={"view": "person", "crowd": 0.25}, clips=3)
    assert street.differing_fields(person) == {"settings.view": ("street", "person"), "clips": (2, 3)}
    assert Protocol.read(json.loads(json.dumps(asdict(street)))) == street
    old = {name: value for name, value in asdict(street).items() if name != "flow_sha256"}
    assert Protocol.read(old) == street  # lines older than the field
    with pytest.raises(ValueError, match="unknown fields: colour"):
        Protocol.read({"colour": 1})
    with pytest.raises(ValueError, match="is incomplete"):
        Protocol.read({"data": "puppets"})


def test_protocol_contains_the_weights_of_the_classifier():
    classifier = tiny_model("classifier")

    def protocol() -> Protocol:
        return Suite(["accuracy"], PROTOCOL, Setup(3, 2, classifier=classifier)).groups[0].protocol

    before = protocol()
    assert before == protocol()
    assert (before.features, len(before.features_sha256)) == ("classifier", 16)
    with torch.no_grad():
        next(classifier.parameters()).add_(1e-3)
    assert before.differing_fields(protocol()).keys() == {"features_sha256"}


def test_protocol_contains_the_weights_of_the_flow_estimator():
    """`dis` has no weights, so it shares the protocol of metrics that need no flow."""

    def groups(sha256: str) -> list[tuple[str, list[str]]]:
        flow = build_estimator("dis")
        flow.sha256 = sha256
        suite = Suite(["l1", "warping_error", "motion"], PROTOCOL, Setup(3, 2, flow=flow))
        return [(group.protocol.flow_sha256, list(group.metrics)) for group in suite.groups]

    assert groups("") == [("", ["l1", "warping_error", "motion"])]
    assert groups("0" * 16) == [("", ["l1"]), ("0" * 16, ["warping_error", "motion"])]
    assert replace(PROTOCOL, flow_sha256="0" * 16).key("motion_raft_small") == PROTOCOL.key("motion_raft_small")


def test_better_knows_the_direction_of_derived_names():
    names = ("psnr", "psnr_best", "psnr/17-64", "warping_error_dis", "accuracy_action", "inception_score")
    assert [better(name) for name in names] == ["max", "max", "max", "min", "max", "max"]
    assert [better(name) for name in ("real/psnr", "flicker", "nonsense")] == ["", "", ""]


def test_results_are_appended_and_never_changed(tmp_path):
    model = tiny_model("classifier")
    add_result(tmp_path, model, {"l1": 0.5, "psnr": float("nan")}, PROTOCOL, "labels, 1 frame", seed=3)
    file = tmp_path / "results.jsonl"
    with file.open("a") as out:
        out.write('{"cut of')  # a process was killed while writing
    whole, cut = file.read_text().splitlines()
    with pytest.raises(ZooError, match=r"Line 2 of .*results.jsonl cannot be read: .*The file was not changed"):
        read_results(tmp_path)
    assert file.read_text() == f"{whole}\n{cut}"
    add_result(tmp_path, model, {"l1": 0.25}, PROTOCOL, "nothing")
    assert file.read_text().startswith(f"{whole}\n{{")  # what was cut off is removed, and nothing else
    first, second = read_results(tmp_path)
    assert (first.task, first.given, first.more) == ("classify", "labels, 1 frame", {"model": "classifier", "seed": 3})
    assert first.metrics["l1"] == 0.5
    assert math.isnan(first.metrics["psnr"])
    assert second.protocol == PROTOCOL
    file.write_text('{"metrics": {"l1": 1}}\n')
    with pytest.raises(ZooError, match="it is not a result"):
        read_results(tmp_path)
    with pytest.raises(ZooError, match=r"holds no results.jsonl. Evaluate the run: python -m zoo.evaluate run="):
        read_results(tmp_path / "nowhere")


def test_results_hold_curves(tmp_path):
    """A line without curves, as written before there were any, has none; a missing value is NaN."""
    curves = {"l1": [0.1, math.nan, 1 / 3], "l1_best": [0.0, 0.25, 0.5]}
    add_result(tmp_path, tiny_model("classifier"), {"l1": 0.5}, PROTOCOL, "nothing", curves, seed=3)
    add_result(tmp_path, tiny_model("classifier"), {"l1": 0.5}, PROTOCOL, "nothing")
    first, second = read_results(tmp_path)
    assert (first.more, second.curves) == ({"model": "classifier", "seed": 3}, {})
    assert math.isnan(first.curves["l1"].pop(1))
    assert first.curves == {"l1": [0.1, 1 / 3], "l1_best": [0.0, 0.25, 0.5]}
    assert "curves" not in (tmp_path / "results.jsonl").read_text().splitlines()[1]
    long = Result(0, "any", "", {}, replace(PROTOCOL, frames=200_001), {}, {"l1": [0.5] * 200_000})
    assert Result.read(long.line()) == long


def test_values_of_an_older_version_have_another_name():
    """Lines from before SSIM was computed on [0, 1] have no versions; a line of a later version would have 3."""
    protocol = Protocol("puppets", "val", 2, 2, 0, 12.5, 32, 32, 0)
    metrics = {"psnr": 20.0, "ssim": 0.5, "ssim_best": 0.75, "ssim/1-16": 0.25, "ms_ssim": 0.125}
    line = Result(8, "translate", "labels", metrics, protocol, {}, {"psnr": [1.0, 2.0], "ssim": [0.5, 0.5]}).line()
    assert json.loads(line)["versions"] == {"ssim": 2, "ms_ssim": 2}
    assert Result.read(line).metrics == metrics
    old = {**json.loads(line), "versions": {"ms_ssim": 3}}
    read = Result.read(json.dumps(old))
    names = ["psnr", "ssim-v1", "ssim_best-v1", "ssim-v1/1-16", "ms_ssim-v3"]
    assert read.metrics == dict(zip(names, metrics.values(), strict=True))
    assert read.curves == {"psnr": [1.0, 2.0], "ssim-v1": [0.5, 0.5]}
    assert "versions" not in json.loads(read.line())
    assert Result.read(read.line()) == read
    assert [better(name) for name in names] == ["max"] * 5
    assert [current_name(name) for name in names] == list(metrics)
    assert versioned("real/kvd", 1) == "real/kvd-v1"
    with pytest.raises(ValueError, match="it is not a result"):
        Result.read(json.dumps({**old, "versions": [2]}))


def test_ranks_share_the_evaluation_clips():
    shares = [list(rank_share(8, rank, 3)) for rank in range(3)]
    assert shares == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [list(rank_share(1, rank, 2)) for rank in range(2)] == [[0], []]


def test_curves_are_read_against_clips_seen(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,seen/clips,train/loss/a,val/l1@x\n1,2.0,0.5,\n2,4.0,,0.25\n")
    assert read_curves(tmp_path / "metrics.csv") == {"train/loss/a": [(2.0, 0.5)], "val/l1@x": [(4.0, 0.25)]}


def test_to_bytes_maps_and_clamps_values():
    assert to_bytes(torch.tensor([-1.0, 0.0, 1.0, 3.0])).tolist() == [0, 128, 255, 255]


def test_conditioning_film_shows_edges_and_drawings():
    def film(*levels: float) -> list[float]:
        condition = torch.tensor(levels).view(1, 1, -1, 1, 1).expand(1, 2, -1, 4, 4)
        spec = ClipSpec(("condition",), 2, 4, 4, 12.5, condition_channels=len(levels))
        return conditioning_film({"condition": condition}, 0, spec, "condition")[0, :, 0, 0].tolist()

    assert film(1.0) == [255, 255, 255]  # edges in [0, 1]
    assert film(1.0, 0.0) == [128, 128, 128]  # edges and distance
    assert film(-1.0, 0.0, 1.0) == [0, 128, 255]  # a drawing in [-1, 1]
    assert film(-1.0, 0.0, 1.0, 1.0, 0.0, 1.0) == [128, 128, 255]  # the mean of two drawings


def test_details_show_masks_and_flow():
    flow = torch.zeros(1, 1, 2, 4, 4)
    flow[:, :, 0, :, :2], flow[:, :, 0, :, 2:] = 4.0, -4.0
    sample = Sample(torch.zeros(1, 1, 3, 4, 4), {"flow": flow, "mask": torch.ones(1, 1, 1, 4, 4)})
    films = detail_rows(sample, 0)
    assert films["mask"].unique().tolist() == [255]
    right, left = films["flow"][0, :, 0, 0].tolist(), films["flow"][0, :, 0, 3].tolist()
    assert right[0] == 255 > right[2]  # right is red
    assert left[2] == 255 > left[0]  # left is blue


def test_warping_error_matches_values_by_hand():
    """Frame 2 is frame 1 moved right by one pixel and brighter by 0.2; the first column has no source."""
    first = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 3, 2, 4) / 10
    second = torch.cat([first[..., :1], first[..., :-1]], -1) + 0.2
    flow = torch.zeros(1, 1, 2, 2, 4)
    flow[:, :, 0] = -1.0
    seen = torch.ones(1, 1, 1, 2, 4)
    seen[..., 0] = 0
    video = torch.stack([first, second], 1)
    assert warping_error(video, flow, seen)[0].tolist() == pytest.approx([0.2])
    assert abs(warping_error(video, -flow, seen)[0, 0] - 0.2) > 0.1  # the opposite flow does not fit
    assert warping_error(video, flow, 0 * seen).isnan().all()


def test_frames_without_visible_pixels_do_not_count():
    """Two clips of 20 frames grow brighter by 0.4 and 0.1 per frame. Frames 2 to 18 of the first are hidden, so 0.4
    counts twice and 0.1 nineteen times; in the second window they count twice and four times."""
    shades = torch.tensor([0.4, 0.1])[:, None] * torch.arange(20.0)
    video = shades.view(2, 20, 1, 1, 1).expand(2, 20, 3, 4, 4)
    seen = torch.ones(2, 19, 1, 4, 4)
    seen[0, :17] = 0
    clip = {"flow": torch.zeros(2, 19, 2, 4, 4), "visibility": seen}
    metric = METRICS["warping_error"].load()("warping_error", Setup(frames=20, clips=2, flow=build_estimator("exact")))
    metric.update(Videos(video, clip), real=False)
    assert metric.compute() == pytest.approx(
        {
            "warping_error_exact": (2 * 0.4 + 19 * 0.1) / 21,
            "warping_error_exact/1-16": 0.1,
            "warping_error_exact/17-20": (2 * 0.4 + 4 * 0.1) / 6,
        }
    )
    hidden = METRICS["warping_error"].load()("warping_error", Setup(frames=20, clips=2, flow=build_estimator("exact")))
    hidden.update(Videos(video, clip | {"visibility": 0 * seen}), real=False)
    assert hidden.compute() == {}


def test_filmstrip_shows_evenly_spaced_frames():
    assert filmstrip_frames(5) == {0, 1, 2, 3, 4}
    assert filmstrip_frames(15) == {0, 2, 4, 6, 8, 10, 12, 14}
    assert filmstrip_frames(1) == {0}


def test_palette_gives_each_class_its_own_colour():
    colours = palette(35)
    assert len({tuple(colour) for colour in colours.tolist()}) == 35


def test_sizes_of_filmstrips_and_films():
    clip = {
        "real": torch.zeros(3, 3, 64, 32, dtype=torch.uint8),
        "generated": torch.ones(3, 3, 64, 32, dtype=torch.uint8),
    }
    # 64 x 32 is doubled to 128 x 64; gaps of two pixels; a margin of 84 for the names
    assert filmstrip(clip).shape == (3, 2 * 130, 84 + 3 * 66)
    film = side_by_side([clip, clip])
    assert film.shape == (3, 3, 2 * 130, 84 + 2 * 66)
    assert film[0, 0, 130, 84] == 1
    assert film[0, 0, 0, 84] == 0
