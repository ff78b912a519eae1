"""Which trivial rows a model is past, with values chosen by hand."""

import math
from dataclasses import replace

import pytest

from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.past_baselines import CEILING, Standing, compare_with_baselines

STILL = "given frame repeated"


def standing(model: dict[str, float], **row: float) -> Standing:
    return compare_with_baselines(model, {STILL: row})


def test_better_in_every_paired_metric_is_past():
    found = standing({"l1": 0.05, "psnr": 22.0, "ssim": 0.9}, l1=0.07, psnr=20.0, ssim=0.8)
    assert found == Standing(past=(STILL,))
    assert str(found) == "past every trivial row"


def test_rows_and_metrics_that_the_model_is_not_past_are_named():
    model = {"l1": 0.122, "psnr": 20.4, "ssim": 0.81, "kvd": 0.3}
    rows = {
        STILL: {"l1": 0.069, "psnr": 20.29, "ssim": 0.803, "kvd": 0.2},
        "label colours": {"l1": 0.2, "psnr": 19.0, "ssim": 0.7, "kvd": 0.9},
    }
    found = compare_with_baselines(model, rows)
    assert found.behind == {STILL: ("l1", "kvd")}
    assert found.past == ("label colours",)
    assert str(found) == "not past: given frame repeated (l1, kvd)"


@pytest.mark.parametrize("value", [0.07, math.nan])
def test_equal_values_and_nan_are_not_better(value):
    assert standing({"l1": value}, l1=0.07).behind == {STILL: ("l1",)}


OTHER_VALUES = """
warping_error_dis warping_error_exact flicker motion_dis diversity memorisation inception_score accuracy_action
label_miou psnr_best psnr_worst psnr/1-16 real/kvd precision recall
"""


@pytest.mark.parametrize("name", OTHER_VALUES.split())
def test_other_values_do_not_count(name):
    """A still video has the lowest warping error and flicker; scores are no distances."""
    found = standing({"l1": 0.05, name: 1.0}, l1=0.07, **{name: 1.0})
    assert found.past == (STILL,)
    found = standing({name: 1.0}, **{name: 2.0})
    assert found == Standing(undecided=(STILL,))
    assert str(found).startswith("unknown whether past the trivial rows: no paired metric")


def test_a_temporal_metric_counts_once_it_ranks(monkeypatch):
    monkeypatch.setitem(METRICS, "warping_error", replace(METRICS["warping_error"], ranks=True))
    found = standing({"l1": 0.05, "warping_error_dis": 0.04}, l1=0.07, warping_error_dis=0.0)
    assert found.behind == {STILL: ("warping_error_dis",)}


@pytest.mark.parametrize(
    ("precision", "recall", "past"),
    [(0.5, 0.4, True), (0.9, 0.2, False), (0.31, 0.31, True), (0.3, 0.9, False)],
)
def test_precision_and_recall_count_by_the_smaller(precision, recall, past):
    """A single training clip for all has a precision of 1.0 and here a recall of 0.3."""
    for names in (("precision_k3", "recall_k3"), ("classifier_precision_k3", "classifier_recall_k3")):
        model = {names[0]: precision, names[1]: recall}
        found = standing(model, **{names[0]: 1.0, names[1]: 0.3})
        behind = Standing(behind={STILL: (" and ".join(names),)})
        assert found == (Standing(past=(STILL,)) if past else behind)


def test_the_ceiling_need_not_be_beaten():
    found = compare_with_baselines({"kvd": 0.2}, {CEILING: {"kvd": 0.0}, "training mean": {"kvd": 0.9}})
    assert found == Standing(past=("training mean",))


def test_keys_of_other_protocols_are_not_compared():
    found = standing(
        {"val/l1@8x8f-c1-64x64px": 0.05}, **{"val/l1@8x8f-c1-64x64px": 0.07, "val/psnr@4x8f-c1-64x64px": 9}
    )
    assert found.past == (STILL,)
    assert standing({"val/psnr@8x8f-c1-64x64px": 9.0}, **{"val/psnr@4x8f-c1-64x64px": 9}).undecided == (STILL,)


def test_a_long_list_of_metrics_is_cut():
    names = ["l1", "psnr", "ssim", "kvd", "kid", "fvd"]
    values = dict.fromkeys(names, 1.0)
    assert str(standing(values, **values)) == "not past: given frame repeated (l1, psnr, ssim, kvd and 2 more)"


def test_metrics_of_movement_of_today_do_not_rank():
    """A test of known distortions has to admit one: blurred clips have a lower warping error than real ones."""
    assert not any(METRICS[name].ranks for name in ("warping_error", "flicker", "motion"))
    assert {name for name, card in METRICS.items() if card.decides and not card.paired} >= {"fvd", "fid", "kvd", "kid"}
