"""What the study of MoCoGAN says that content and motion decide, on made-up grids with known answers."""

import pytest
import torch

from tests.helpers.scripts import load_script

study = load_script("experiments/mocogan/run.py")


def spot(places, colour=(1.0, -1.0, 0.0)):
    """A clip with one bright pixel on black at these places, (T, 3, 8, 8)."""
    video = torch.full((len(places), 3, 8, 8), -1.0)
    for frame, (y, x) in zip(video, places, strict=True):
        frame[:, y, x] = torch.tensor(colour)
    return video


def test_path_is_the_way_of_the_centre_down_and_right():
    video = torch.stack([spot([(1, 1), (2, 5), (4, 3)]), spot([(6, 6), (6, 6), (0, 6)])])
    torch.testing.assert_close(study.shape_path(video), torch.tensor([[3.0, 2.0], [-6.0, 0.0]]))


def test_colour_is_that_of_the_shape_and_not_of_the_ground():
    torch.testing.assert_close(study.shape_colour(spot([(1, 1), (2, 2)])), torch.tensor([1.0, -1.0, 0.0]))


def test_explained_share():
    groups = torch.tensor([0.0, 1.0, 5.0])[:, None, None]
    noise = torch.randn(3, 400, 1, generator=torch.Generator().manual_seed(0))
    assert study.explained(groups.expand(3, 4, 1)) == pytest.approx(1)
    assert study.explained(noise) < 0.01
    # The groups have a variance of 7, the members one of 1.
    assert study.explained(groups + noise) == pytest.approx(7 / 8, abs=0.02)


def test_still_pixels():
    clip = spot([(1, 1), (2, 2), (2, 2)])[None]  # two of 64 pixels change
    assert study.still_share(clip) == pytest.approx(62 / 64)
