"""The public functions of `zoo`, as a notebook would call them."""

import pytest
import torch

import zoo
from zoo import ZooError
from zoo.data.decode import probe, read_frames

SMALL = ("debug=smoke", "model.width=8", "data.height=32", "logger.wandb=disabled", "trainer.progress=false")


def test_clips_have_every_field_and_are_those_of_the_split():
    batch = zoo.clips("puppets", frames=5, batch=2, height=32, view="person", condition="edges")
    assert batch["video"].shape == (2, 5, 3, 32, 32)
    assert batch["flow"].shape == (2, 4, 2, 32, 32)
    assert {"labels", "instances", "condition", "visibility", "attributes", "pose"} <= set(batch)
    second = zoo.clips("puppets", frames=5, batch=1, first=1, height=32, view="person")
    assert second["key"] == batch["key"][1:]
    assert torch.equal(second["video"], batch["video"][1:])


def test_mistakes_in_clips_name_what_would_work():
    with pytest.raises(ZooError, match=r"There is no data set `pupets`. Did you mean `puppets`"):
        zoo.clips("pupets")
    with pytest.raises(ZooError, match=r"has no setting `hight`. Did you mean `height`"):
        zoo.clips("puppets", hight=32)
    with pytest.raises(ZooError, match="split=validation is not a choice"):
        zoo.clips("puppets", split="validation")
    with pytest.raises(
        ZooError, match=r"Clips 99999 to 100000 were requested, but the split `val` .* first=0, batch=4"
    ):
        zoo.clips("puppets", first=99_999, batch=2, frames=2, height=32)


def test_a_training_from_python_can_be_loaded_sampled_and_resumed(tmp_path):
    run = zoo.fit("model=vid2vid", *SMALL, f"runs={tmp_path}")
    assert run.folder.parent == tmp_path
    assert any(key.startswith("val/l1@") for key in run.metrics)
    model = zoo.load(str(run.folder))
    clip = zoo.clips("puppets", frames=3, batch=1, height=32)
    sample = model.sample(zoo.SampleRequest(frames=3, given=clip, context=1, seed=0))
    assert sample.video.shape == clip["video"].shape
    zoo.save_video(sample.video[0], tmp_path / "sample.mp4", fps=10)
    assert (probe(tmp_path / "sample.mp4").frames, probe(tmp_path / "sample.mp4").fps) == (3, 10)
    assert zoo.fit(f"resume={run.folder}").metrics == run.metrics  # it has finished already


def test_settings_that_do_not_fit_are_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(ZooError, match=r"There is no model `vid2vidd`"):
        zoo.fit("model=vid2vidd", f"runs={tmp_path}")
    with pytest.raises(ZooError, match=r"There is no setting `model.widht`"):
        zoo.fit("model.widht=3", f"runs={tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_video_shows_what_it_was_given(tmp_path):
    video = torch.linspace(-1, 1, 4).view(4, 1, 1, 1).expand(4, 3, 32, 32)
    zoo.save_video(video, str(tmp_path / "grey.mp4"), fps=5)
    levels = read_frames(tmp_path / "grey.mp4", range(4)).mean((1, 2, 3))
    assert levels.tolist() == pytest.approx([0, 85, 170, 255], abs=3)
    with pytest.raises(ZooError, match=r"shape \(1, 4, 3, 32, 32\); \(T, 3, H, W\) is expected, or"):
        zoo.save_video(video[None], tmp_path / "batch.mp4", fps=5)
