"""Trivial samples, with pixels worked out by hand."""

from types import SimpleNamespace

import pytest
import torch

from zoo.evaluation.baselines import BASELINES, Made, MeasuredBaseline, TrainingClips, find_baselines

MAKE = {baseline.name: baseline.make for baseline in BASELINES}


class NumberedClips:
    """Three training clips; frame t of clip n has the value n + t / 10."""

    def __len__(self):
        return 3

    def clip(self, index, epoch, frames):
        assert epoch == 0
        return {"video": (index + torch.arange(frames) / 10).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)}


def made(context: int = 1, clips: int = 2, frames: int = 4, first: int = 0) -> Made:
    video = torch.arange(float(clips * frames)).view(clips, frames, 1, 1, 1).expand(-1, -1, 3, 2, 2).clone()
    return Made({"video": video, "key": ["a"] * clips}, context, first, TrainingClips(NumberedClips(), frames))


def values(video: torch.Tensor) -> list[list[float]]:
    """The value of each frame of videos that are uniform."""
    assert (video == video[:, :, :1, :1, :1]).all()
    return [[round(value, 4) for value in row] for row in video[:, :, 0, 0, 0].tolist()]


def test_last_given_frame_is_repeated():
    assert values(MAKE["repeated_frame"](made(context=2))) == [[0, 1, 1, 1], [4, 5, 5, 5]]


def test_given_frames_are_averaged():
    assert values(MAKE["given_mean"](made(context=2))) == [[0, 1, 0.5, 0.5], [4, 5, 4.5, 4.5]]


def test_black_follows_the_given_frames():
    assert values(MAKE["black_frames"](made(context=2))) == [[0, 1, -1, -1], [4, 5, -1, -1]]


def test_labels_get_their_mean_colour_of_the_given_frame():
    """2 x 3 pixels: label 0 has the reds 0, 2 and 4, label 1 has 10 and 20, label 3 has 6; label 2 is not seen, so it
    gets the mean of the frame, 7."""
    frame = torch.tensor([[0.0, 2, 4], [10, 20, 6]])
    first = torch.tensor([[0, 0, 0], [1, 1, 3]])
    then = torch.tensor([[1, 2, 3], [0, 0, 2]])
    video = torch.stack([frame, torch.full_like(frame, -9)])[:, None].repeat(1, 3, 1, 1)
    video[:, 1] += 100  # green
    clip = {"video": video[None], "labels": torch.stack([first, then])[None]}
    painted = MAKE["label_colours"](Made(clip, 1, 0, None))
    assert torch.equal(painted[:, 0], video[None, 0])
    assert painted[0, 1, 0].tolist() == [[15, 7, 6], [2, 2, 7]]
    assert painted[0, 1, 1].tolist() == [[115, 107, 106], [102, 102, 107]]


def test_samples_of_generators_come_from_training_clips():
    of = made(context=0, first=2)  # samples 2 and 3: training clips 2 and, once more, 0
    assert values(MAKE["training_clips"](of)) == [[2, 2.1, 2.2, 2.3], [0, 0.1, 0.2, 0.3]]
    assert values(MAKE["black_clips"](of)) == [[-1] * 4] * 2
    assert values(MAKE["still_training_frames"](of)) == [[2, 2, 2, 2], [0, 0, 0, 0]]
    assert values(MAKE["one_training_clip"](of)) == [[0, 0.1, 0.2, 0.3]] * 2
    assert values(MAKE["training_mean"](of)) == [[1, 1.1, 1.2, 1.3]] * 2


@pytest.mark.parametrize(
    ("context", "paired", "from_labels", "expected"),
    [
        (1, True, True, ["repeated_frame", "label_colours"]),
        (1, True, False, ["repeated_frame", "black_frames"]),
        (2, True, False, ["repeated_frame", "given_mean", "black_frames"]),
        (2, True, True, ["repeated_frame", "given_mean", "label_colours"]),
        (0, True, True, []),  # translated without a given frame
        (
            0,
            False,
            False,
            ["training_mean", "one_training_clip", "black_clips", "still_training_frames", "training_clips"],
        ),
    ],
)
def test_protocol_chooses_the_baselines(context, paired, from_labels, expected):
    assert [baseline.name for baseline in find_baselines(context, paired, from_labels)] == expected


def test_every_batch_gets_training_clips_of_its_own():
    """Of a model that is given attributes: batches of 2 and 1 clips get training clips 0 and 1, and then 2."""
    seen = []
    measured = MeasuredBaseline.__new__(MeasuredBaseline)
    measured.baseline = next(each for each in BASELINES if each.name == "training_clips")
    measured.protocol, measured.training, measured.clips = SimpleNamespace(context=0), made().training, 0
    measured.suite = SimpleNamespace(update=lambda clip, samples, real: seen.extend(values(samples[0])))
    for clips in (2, 1):
        measured.update(made(clips=clips).clip, None)
    assert [row[0] for row in seen] == [0, 1, 2]
