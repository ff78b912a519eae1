"""Captured networks, tested on the CPU: how arguments are passed in and results are returned."""

from typing import NamedTuple

import pytest
import torch

from zoo import ZooError
from zoo.devices.cuda_graphs import CapturedNetwork
from zoo.testing import capture_on_cpu, tiny_model


class Pair(NamedTuple):
    sum: torch.Tensor
    nothing: None


def test_every_signature_is_captured_once():
    runs = []

    def forward(parts, factor, deep=None):
        runs.append(factor)
        return [Pair(factor * sum(parts), None)]

    def capture(run):
        result = run()
        return (lambda: None), result  # replays nothing: results stay those of the capture

    captured = CapturedNetwork(forward, capture)
    one, two = torch.ones(2), torch.ones(3)
    for parts, factor in [((one, one), 1), ((one, one), 1), ((one, one), 2), ((two, two), 2), ((two,), 2)]:
        captured(parts, factor)
    assert runs == [1, 2, 2, 2]
    captured((one.double(), one.double()), 1)
    assert len(runs) == 5


def test_results_are_copies_that_the_next_call_does_not_overwrite():
    captured = CapturedNetwork(lambda x, gain: Pair(gain * x, None), capture_on_cpu)
    given = torch.tensor([1.0])
    first = captured(given, 3)
    second = captured(torch.tensor([5.0]), 3)
    assert (first.sum.item(), second.sum.item(), given.item()) == (3.0, 15.0, 1.0)
    assert isinstance(second, Pair)


def test_capturing_without_a_gpu_is_an_error():
    with pytest.raises(ZooError, match=r"cuda_graphs=true needs an NVIDIA GPU; this model is on `cpu`"):
        tiny_model("videovae").capture_cuda_graphs()
