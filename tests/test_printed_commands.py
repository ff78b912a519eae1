"""Commands and words that errors print for copying can be pasted into a shell, whatever the folders are called."""

import shlex
import zipfile

import numpy as np
import pytest

from zoo import ZooError
from zoo.comparison.gather import find_runs
from zoo.data.check import parse_settings
from zoo.data.sequences.checks import require_root
from zoo.data.sets.arrays.mapped import open_npz
from zoo.data.sets.classes.config import ClassesConfig
from zoo.data.sets.classes.find import _explain_no_classes
from zoo.data.sets.folder.config import FolderConfig
from zoo.data.sets.weizmann.config import WeizmannConfig
from zoo.data.sets.weizmann.find import _explain_no_videos
from zoo.evaluation.results import read_results
from zoo.runs.files import COMMAND
from zoo.sweep.command import parse_sweep_arguments
from zoo.training.resume import check_resumable


@pytest.fixture
def odd(tmp_path):
    folder = tmp_path / "My Drive" / "it's (1)"
    folder.mkdir(parents=True)
    return folder


def last_words(message: str, count: int) -> list[str]:
    """The last words of a message, as a shell would split them."""
    command = message[message.rindex("python -m") :] if "python -m" in message else message.split(": ")[-1]
    return shlex.split(command)[-count:]


def test_commands_for_a_run_and_for_data_are_quoted(odd):
    with pytest.raises(ZooError) as no_results:
        read_results(odd)
    assert last_words(str(no_results.value), 2) == ["zoo.evaluate", f"run={odd}"]
    with pytest.raises(ZooError) as no_setting:
        parse_settings(FolderConfig, [str(odd)], "python -m zoo.data.check")
    assert last_words(str(no_setting.value), 2) == ["zoo.data.check", f"root={odd}"]
    (odd / "videos.zip").touch()
    assert last_words(_explain_no_classes(ClassesConfig(root=str(odd)), odd, []), 1) == [f"root={odd}"]
    assert last_words(_explain_no_videos(WeizmannConfig(root=str(odd)), odd), 1) == [f"root={odd}"]
    np.savez_compressed(odd / "clips.npz", np.zeros(3))
    assert zipfile.is_zipfile(odd / "clips.npz")
    with pytest.raises(ZooError) as compressed:
        open_npz(odd / "clips.npz")
    assert last_words(str(compressed.value), 1) == [f"root={odd / 'clips.npz'}"]


def test_words_to_type_are_quoted(odd):
    (odd / COMMAND).touch()
    with pytest.raises(ZooError) as begun:
        check_resumable(odd)
    assert str(begun.value).endswith(shlex.quote(f"hydra.run.dir={odd}"))
    with pytest.raises(ZooError) as no_folder:
        require_root(FolderConfig(root=str(odd / COMMAND)), "videos", "any")
    assert last_words(str(no_folder.value), 1) == [f"data.root={odd}"]
    with pytest.raises(ZooError) as no_run:
        find_runs([str(odd / COMMAND)])
    assert last_words(str(no_run.value), 1) == [str(odd)]
    with pytest.raises(ZooError) as single:
        parse_sweep_arguments(["slots='4 x 1'"])
    assert last_words(str(single.value), 2) == ["-m", "slots='4 x 1'"]
