"""Metrics of a classifier\'s predictions, on probabilities for which they can be computed by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.attribute_scores import AttributeScores, is_correct, joint_probabilities


def scores(*batches: tuple[bool, dict, dict]) -> dict[str, float]:
    """Values for given predictions; a batch is (is it real?, probabilities by attribute, true ids)."""
    attributes = {name: tuple(map(str, range(row.shape[1]))) for name, row in batches[0][1].items()}
    classifier = SimpleNamespace(spec=SimpleNamespace(attributes=attributes))
    classifier.classify = lambda video: classifier.probabilities
    metric = AttributeScores("accuracy", Setup(frames=2, clips=2, classifier=classifier))
    for real, probabilities, ids in batches:
        classifier.probabilities = probabilities
        metric.update(Videos(torch.zeros(1), {"attributes": ids} if ids else {}), real)
    return metric.compute()


def scores_of(probabilities: list[list[float]]) -> dict[str, float]:
    """Values for samples with one attribute and unknown true values."""
    return scores((False, {"kind": torch.tensor(probabilities)}, {}))


def test_inception_score_and_entropies_match_values_by_hand():
    sure = scores_of([[1.0, 0.0], [0.0, 1.0]])  # certain predictions, one clip per class
    assert sure["conditional_entropy"] == pytest.approx(0, abs=1e-9)
    assert sure["marginal_entropy"] == pytest.approx(math.log(2))
    assert sure["inception_score"] == pytest.approx(2)
    unsure = scores_of([[0.5, 0.5], [0.5, 0.5]])
    assert unsure["conditional_entropy"] == pytest.approx(math.log(2))
    assert unsure["marginal_entropy"] == pytest.approx(math.log(2))
    assert unsure["inception_score"] == pytest.approx(1)
    # H(y|x) = (0 + ln 2) / 2; p(y) = (3/4, 1/4)
    mixed = scores_of([[1.0, 0.0], [0.5, 0.5]])
    marginal = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert mixed["conditional_entropy"] == pytest.approx(math.log(2) / 2)
    assert mixed["marginal_entropy"] == pytest.approx(marginal)
    assert mixed["inception_score"] == pytest.approx(math.exp(marginal - math.log(2) / 2))
    assert "accuracy_kind" not in mixed  # the true values are unknown


def test_accuracies_match_values_by_hand():
    probabilities = {
        "identity": torch.tensor([[1.0, 0.0], [1.0, 0.0]]),
        "action": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    }
    ids = {"identity": torch.tensor([[0, 0], [1, 1]]), "action": torch.tensor([[0, 0], [1, 1]])}
    truth = {"identity": torch.eye(2), "action": torch.eye(2)}
    found = scores((False, probabilities, ids), (True, truth, ids))
    assert found["accuracy_identity"] == 0.5
    assert found["accuracy_action"] == 1.0
    assert found["inception_score"] == pytest.approx(2)
    assert found["conditional_entropy"] == pytest.approx(0, abs=1e-9)
    assert found["marginal_entropy"] == pytest.approx(math.log(2))
    assert found["real/accuracy_identity"] == 1.0


def test_clips_whose_attribute_changes_do_not_count():
    probabilities = {"action": torch.eye(2)}
    found = scores((False, probabilities, {"action": torch.tensor([[0, 1], [1, 1]])}))
    assert found["accuracy_action"] == 1.0
    assert "real/accuracy_action" not in found


def test_batches_accumulate():
    torch.manual_seed(0)
    p, ids = torch.rand(50, 9).softmax(-1), torch.randint(9, (50, 1))
    parts = [(False, {"kind": p[rows]}, {"kind": ids[rows]}) for rows in (slice(20, 50), slice(0, 20))]
    whole = scores((False, {"kind": p}, {"kind": ids}))
    assert scores(*parts) == pytest.approx(whole, abs=1e-12)


def test_joint_probabilities_are_products():
    probabilities = {"identity": torch.tensor([[0.25, 0.75]]), "action": torch.tensor([[0.5, 0.3, 0.2]])}
    assert torch.allclose(joint_probabilities(probabilities), torch.tensor([[0.125, 0.075, 0.05, 0.375, 0.225, 0.15]]))


def test_is_correct_is_nan_for_clips_that_change():
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    found = is_correct(p, torch.tensor([[0, 0], [1, 1], [0, 1]]))
    assert found[:2].tolist() == [1, 0]
    assert found[2].isnan()
