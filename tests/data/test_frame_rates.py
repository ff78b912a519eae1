"""Frame rates of stored videos: counts of frames, and what Matroska's rounded times do to them."""

import numpy as np
import pytest

from zoo.data.decode import frame_rate, probe, write_video
from zoo.data.model_input import count_input_frames
from zoo.types import ClipSpec


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("fps", [12.5, 15, 23.976, 24, 25, 29.97, 30, 50, 59.94])
def test_a_video_at_its_own_rate_keeps_its_last_frame(fps, suffix, tmp_path):
    for frames in (16, 17, 30):
        path = tmp_path / f"{frames}{suffix}"
        write_video(path, np.zeros((frames, 32, 32, 3), np.uint8), fps)
        own = probe(path).fps
        assert own == frame_rate(path) == pytest.approx(fps, rel=1e-3)
        assert count_input_frames(path, ClipSpec(("video",), 16, 32, 32, own), None) == frames


def test_a_video_at_another_rate_has_the_frames_of_its_duration(tmp_path):
    write_video(tmp_path / "v.mkv", np.zeros((16, 32, 32, 3), np.uint8), 15)  # the last begins after 1 second
    for fps, frames in ((7.5, 8), (15, 16), (30, 31), (10, 11)):
        assert count_input_frames(tmp_path / "v.mkv", ClipSpec(("video",), 8, 32, 32, fps), None) == frames
