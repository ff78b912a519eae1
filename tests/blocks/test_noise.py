from dataclasses import replace

import torch

from zoo.blocks.noise import sample_noise
from zoo.types import SampleRequest

REQUEST = SampleRequest(4)


def test_truncation_draws_the_entries_beyond_again():
    free = sample_noise(REQUEST, ["a", "b"], (500,), "z")
    cut = sample_noise(replace(REQUEST, truncation=0.5), ["a", "b"], (500,), "z")
    assert free.abs().max() > 2
    assert cut.abs().max() <= 0.5
    kept = free.abs() <= 0.5
    assert torch.equal(cut[kept], free[kept])
    assert cut[~kept].std() > 0.2  # uniform over ±0.5 would be 0.29, clamped entries 0.5


def test_noise_belongs_to_the_sample_and_the_use():
    whole = sample_noise(REQUEST, ["a", "b"], (3, 2), "z")
    assert whole.shape == (2, 3, 2)
    assert torch.equal(sample_noise(REQUEST, ["b"], (3, 2), "z")[0], whole[1])
    others = [
        sample_noise(REQUEST, ["a"], (3, 2)),
        sample_noise(REQUEST, ["a"], (3, 2), "y"),
        sample_noise(REQUEST, ["a"], (3, 2), "z", 1),
        sample_noise(replace(REQUEST, seed=1), ["a"], (3, 2), "z"),
        sample_noise(replace(REQUEST, draw=1), ["a"], (3, 2), "z"),
    ]
    assert len({tuple(each.flatten().tolist()) for each in [whole[:1], *others]}) == 6
