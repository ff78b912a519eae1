"""What experiments/dvdgan/paper_cost.py counts, held against networks that are counted by hand."""

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from tests.helpers.scripts import load_script


def test_saved_bytes_count_each_storage_once():
    """A linear layer keeps its input, (2, 3), and its weight; the ReLU keeps its own output, (2, 5), 4 bytes each."""
    script = load_script("experiments/dvdgan/paper_cost.py")
    layer, x, saved = nn.Linear(3, 5), torch.randn(2, 3, requires_grad=True), script.Saved()
    with saved_tensors_hooks(saved.add, lambda kept: kept):
        nn.Sequential(layer, nn.ReLU())(x.view(2, 3))
    own = {script.storage_of(weight) for weight in layer.parameters()}
    assert saved.bytes(own) == 4 * (2 * 3 + 2 * 5)
    assert saved.bytes(set()) == 4 * (2 * 3 + 2 * 5 + 3 * 5)
