"""Captured networks, on the processor: how arguments come in and results come out."""

from typing import NamedTuple

import pytest
import torch

from zoo import ZooError
from zoo.devices.cuda_graphs import CapturedNetwork
from zoo.testing import capture_on_cpu, tiny_model


class Pair(NamedTuple):
    sum: torch.Tensor
    nothing: None


def test_a_recording_for_each_form_and_no_more():
    runs = []

    def forward(parts, factor, deep=None):
        runs.append(factor)
        return [Pair(factor * sum(parts), None)]

    def record(run):
        made = run()
        return (lambda: None), made  # replays nothing: what was recorded stays

    recorded = CapturedNetwork(forward, record)
    one, two = torch.ones(2), torch.ones(3)
    for parts, factor in [((one, one), 1), ((one, one), 1), ((one, one), 2), ((two, two), 2), ((two,), 2)]:
        recorded(parts, factor)
    assert runs == [1, 2, 2, 2]
    recorded((one.double(), one.double()), 1)
    assert len(runs) == 5


def test_results_stay_when_the_next_is_made():
    recorded = CapturedNetwork(lambda x, gain: Pair(gain * x, None), capture_on_cpu)
    given = torch.tensor([1.0])
    first = recorded(given, 3)
    second = recorded(torch.tensor([5.0]), 3)
    assert (first.sum.item(), second.sum.item(), given.item()) == (3.0, 15.0, 1.0)
    assert isinstance(second, Pair)


def test_without_a_gpu_it_is_said():
    with pytest.raises(ZooError, match=r"cuda_graphs=true needs an NVIDIA GPU; this model is on `cpu`"):
        tiny_model("videovae").capture_cuda_graphs()
