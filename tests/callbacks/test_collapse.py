"""The collapse monitor: values worked out by hand, when it warns, and a training that it watches."""

import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from zoo.callbacks.collapse import FEWEST, CollapseMonitor, describe_collapse, measure_clips, summarise
from zoo.model import VideoModel
from zoo.runs.metrics_csv import read_curves
from zoo.testing import tiny_model
from zoo.testing.rerun import tiny_plan
from zoo.training.trainer import evaluation_callbacks, train
from zoo.types import Sample

HEALTHY = {"pair_distance": 0.8, "motion": 1.2, "told_apart_video": 0.7}


class Scored(VideoModel):
    """A model whose discriminator scores the brightness of the first frame."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.logged = {}

    def training_step(self, clip, batch_idx):
        raise NotImplementedError

    def discriminator_scores(self, video):
        return {"video": video[:, 0].flatten(1).mean(1)}

    def log_dict(self, values):
        self.logged = values


def clips(levels, change=0.0):
    """Even clips of two frames of 8 x 8 pixels; the second is brighter by ``change``."""
    first = torch.tensor(levels)[:, None, None, None, None].expand(-1, 1, 1, 8, 8)
    return torch.cat([first, first + change], 1)


def measured(real, generated):
    model = Scored()
    parts = [measure_clips(model, video) for video in (real, generated)]
    return summarise({name: torch.stack([part[name] for part in parts]) for name in parts[0]})


def test_values_by_hand():
    """Real clips differ by 0.4, samples by 0.1; they change by 0.2 and by 0.5. Of four pairs, the real clip has the
    larger score in two, and an equal one in one."""
    found = measured(clips([0.0, 0.4], 0.2), clips([0.0, 0.1], 0.5))
    expected = {"pair_distance": 0.25, "motion": 2.5, "gap_video": 0.15, "told_apart_video": 2.5 / 4}
    assert found == pytest.approx(expected, rel=1e-5)


def test_noise_finer_than_four_pixels_is_no_difference():
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    fine = torch.stack([checks, -checks])[:, None, None].expand(-1, 2, 1, 8, 8)
    assert measured(clips([0.0, 0.4]), fine)["pair_distance"] == pytest.approx(0)


def test_still_clips_move_as_little_as_still_real_ones():
    assert measured(clips([0.0, 0.4]), clips([0.0, 0.4]))["motion"] == 1
    assert measured(clips([0.0, 0.4]), clips([0.0, 0.4], 0.1))["motion"] == math.inf
    assert "motion" not in measured(clips([0.0, 0.4])[:, :1], clips([0.0, 0.4])[:, :1])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"pair_distance": 0.02}, "The generator has collapsed: samples differ from each other by 2.0% of what"),
        ({"motion": 0.1}, "Samples hardly move: from frame to frame they change 0.1 times as much"),
        ({"motion": 4.3}, "Samples flicker: from frame to frame they change 4.3 times as much"),
        ({"told_apart_video": 0.995}, "The video discriminator has won: in 99.5% of pairs"),
    ],
    ids=str,
)
def test_warnings_name_what_is_wrong(changed, sentence):
    assert describe_collapse(HEALTHY, {}) == []
    (found,) = describe_collapse(HEALTHY | changed, {})
    assert sentence in found


@pytest.mark.parametrize(("before", "warned"), [(0.005, False), (0.0195, True), (0.04, True)])
def test_a_share_that_rises_is_no_collapse(before, warned):
    """From 0.005 to 0.02 the distance to 1, in logarithms, falls by ln 4; from 0.0195 by less than ln 1.5."""
    found = describe_collapse(HEALTHY | {"pair_distance": 0.02}, HEALTHY | {"pair_distance": before})
    assert bool(found) == warned


def watch(monitor, count):
    """A round of ``count`` real clips, and as many equal samples."""
    model, trainer = Scored(), SimpleNamespace(is_global_zero=True, sanity_checking=False)
    real = clips([0.01 * number for number in range(count)], 0.1)
    monitor.on_validation_epoch_start(trainer, model)
    monitor.on_validation_batch_end(trainer, model, ({"video": real}, Sample(torch.zeros_like(real))), None, 0)
    monitor.on_validation_batch_end(trainer, model, None, None, 1)  # a rank without clips
    monitor.on_validation_epoch_end(trainer, model)
    return model.logged


def test_a_round_logs_and_warns():
    monitor = CollapseMonitor()
    with pytest.warns(UserWarning, match="samples|Samples") as found:
        logged = watch(monitor, FEWEST)
    assert [str(each.message).partition(":")[0] for each in found] == [
        "The generator has collapsed",
        "Samples hardly move",
    ]
    assert logged["collapse/pair_distance"] == logged["collapse/motion"] == 0
    other = CollapseMonitor()
    other.load_state_dict(monitor.state_dict())
    assert other.previous == {name.removeprefix("collapse/"): value for name, value in logged.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(watch(CollapseMonitor(), FEWEST - 1)) == set(logged)  # too few to warn of


def test_mocogan_scores_clips_as_short_as_they_come():
    model = tiny_model("mocogan").eval()
    video = torch.zeros(2, model.spec.frames, model.spec.channels, model.spec.height, model.spec.width)
    with torch.no_grad():
        scores = model.discriminator_scores(video)
        assert {name: tuple(value.shape) for name, value in scores.items()} == {"image": (2,), "video": (2,)}
        assert set(model.discriminator_scores(video[:, :3])) == {"image"}


def test_a_training_is_watched(tmp_path):
    """Of an adversarial model that generates from nothing, and of no other."""
    planned = tiny_plan("mocogan", 4)
    planned.settings.evaluation = replace(planned.settings.evaluation, rounds=1)
    train(planned, tmp_path)
    curves = read_curves(tmp_path / "metrics.csv")
    assert {key for key in curves if key.startswith("collapse/")} == {
        "collapse/pair_distance", "collapse/motion", "collapse/gap_image", "collapse/gap_video",
        "collapse/told_apart_image", "collapse/told_apart_video",
    }  # fmt: skip
    for name in ("vid2vid", "videovae"):
        callbacks = evaluation_callbacks(tiny_plan(name, 4), tmp_path)
        assert not any(isinstance(each, CollapseMonitor) for each in callbacks)
