"""Films of videos, and that grey ones are shown with three equal channels.

Shapes: T frames, H x W pixels.
"""

import pytest
import torch

from zoo.data.decode import read_frames
from zoo.errors import ZooError
from zoo.testing import tiny_data
from zoo.types import Sample
from zoo.visualization.grids import filmstrip, sample_films, to_film, write_mp4

T, H, W = 4, 8, 12


def test_grey_becomes_three_equal_channels():
    grey = torch.linspace(-1, 1, T * H * W).view(T, 1, H, W)
    film = to_film(grey)
    assert film.shape == (T, 3, H, W)
    assert film.dtype == torch.uint8
    for channel in film.unbind(1):
        assert torch.equal(channel, ((grey[:, 0] + 1) * 127.5).round().byte())


def test_rgb_keeps_its_colours():
    rgb = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(T, 3, H, W)
    assert to_film(rgb)[0, :, 0, 0].tolist() == [0, 128, 255]


def test_films_of_a_grey_sample_have_the_size_of_its_frames():
    clip, spec = {"video": torch.zeros(2, T, 1, H, W)}, tiny_data("videovae", channels=1).spec()
    films = sample_films(clip, Sample(torch.ones(2, T, 1, H, W)), 1, spec, None)
    assert {name: (tuple(film.shape), int(film[0, 0, 0, 0])) for name, film in films.items()} == {
        "real": ((T, 3, H, W), 128),
        "generated": ((T, 3, H, W), 255),
    }
    assert filmstrip(films).shape[0] == 3


@pytest.mark.parametrize("shape", [(T, 2, H, W), (1, T, 1, H, W), (T, H, W)])
def test_another_shape_is_no_video(shape, tmp_path):
    with pytest.raises(ZooError, match=r"\(T, 3, H, W\) is expected, or \(T, 1, H, W\) for grey"):
        write_mp4(torch.zeros(shape), tmp_path / "no.mp4", 5)


def test_a_grey_video_is_written(tmp_path):
    video = torch.linspace(-1, 1, T).view(T, 1, 1, 1).expand(T, 1, 32, 48)
    write_mp4(video, tmp_path / "grey.mp4", 5)
    frames = read_frames(tmp_path / "grey.mp4", range(T))
    assert frames.shape == (T, 32, 48, 3)
    assert frames.mean((1, 2, 3)).tolist() == pytest.approx([0, 85, 170, 255], abs=3)
