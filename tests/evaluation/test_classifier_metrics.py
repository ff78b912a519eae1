"""What a classifier's figures mean, on verdicts that can be worked out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.classified import AttributeScores, hits, joint


def classified(*sides: tuple[bool, dict, dict]) -> dict[str, float]:
    """The figures of verdicts that were decided beforehand: (real?, verdict, ids of the clips)."""
    attributes = {name: tuple(map(str, range(row.shape[1]))) for name, row in sides[0][1].items()}
    classifier = SimpleNamespace(spec=SimpleNamespace(attributes=attributes))
    classifier.classify = lambda video: classifier.verdict
    metric = AttributeScores("accuracy", Setup(frames=2, clips=2, classifier=classifier))
    for real, verdict, ids in sides:
        classifier.verdict = verdict
        metric.update(Videos(torch.zeros(1), {"attributes": ids} if ids else {}), real)
    return metric.compute()


def of(probabilities: list[list[float]]) -> dict[str, float]:
    return classified((False, {"kind": torch.tensor(probabilities)}, {}))


def test_score_and_entropies_by_hand():
    sure = of([[1.0, 0.0], [0.0, 1.0]])  # each clip is surely something, and there is one of each
    assert sure["conditional_entropy"] == pytest.approx(0, abs=1e-9)
    assert sure["marginal_entropy"] == pytest.approx(math.log(2))
    assert sure["inception_score"] == pytest.approx(2)
    unsure = of([[0.5, 0.5], [0.5, 0.5]])
    assert unsure["conditional_entropy"] == pytest.approx(math.log(2))
    assert unsure["marginal_entropy"] == pytest.approx(math.log(2))
    assert unsure["inception_score"] == pytest.approx(1)
    # H(y|x) = (0 + ln 2) / 2; p(y) = (3/4, 1/4)
    mixed = of([[1.0, 0.0], [0.5, 0.5]])
    marginal = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert mixed["conditional_entropy"] == pytest.approx(math.log(2) / 2)
    assert mixed["marginal_entropy"] == pytest.approx(marginal)
    assert mixed["inception_score"] == pytest.approx(math.exp(marginal - math.log(2) / 2))
    assert "accuracy_kind" not in mixed  # nobody said what was asked


def test_figures_by_hand():
    verdict = {"identity": torch.tensor([[1.0, 0.0], [1.0, 0.0]]), "action": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}
    ids = {"identity": torch.tensor([[0, 0], [1, 1]]), "action": torch.tensor([[0, 0], [1, 1]])}
    truth = {"identity": torch.eye(2), "action": torch.eye(2)}
    found = classified((False, verdict, ids), (True, truth, ids))
    assert found["accuracy_identity"] == 0.5
    assert found["accuracy_action"] == 1.0
    assert found["inception_score"] == pytest.approx(2)
    assert found["conditional_entropy"] == pytest.approx(0, abs=1e-9)
    assert found["marginal_entropy"] == pytest.approx(math.log(2))
    assert found["real/accuracy_identity"] == 1.0


def test_clips_whose_attribute_changes_count_for_nothing():
    verdict = {"action": torch.eye(2)}
    found = classified((False, verdict, {"action": torch.tensor([[0, 1], [1, 1]])}))
    assert found["accuracy_action"] == 1.0
    assert "real/accuracy_action" not in found


def test_batches_are_accumulated():
    torch.manual_seed(0)
    p, ids = torch.rand(50, 9).softmax(-1), torch.randint(9, (50, 1))
    parts = [(False, {"kind": p[rows]}, {"kind": ids[rows]}) for rows in (slice(20, 50), slice(0, 20))]
    whole = classified((False, {"kind": p}, {"kind": ids}))
    assert classified(*parts) == pytest.approx(whole, abs=1e-12)


def test_joint_is_the_product_of_independent_readings():
    verdict = {"identity": torch.tensor([[0.25, 0.75]]), "action": torch.tensor([[0.5, 0.3, 0.2]])}
    assert torch.allclose(joint(verdict), torch.tensor([[0.125, 0.075, 0.05, 0.375, 0.225, 0.15]]))


def test_hits_leave_out_clips_that_change():
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    found = hits(p, torch.tensor([[0, 0], [1, 1], [0, 1]]))
    assert found[:2].tolist() == [1, 0]
    assert found[2].isnan()
