"""Nothing is written through a link of a folder that may come from somebody else."""

import os

import pytest

from zoo.data.decode import write_video
from zoo.errors import ZooError
from zoo.evaluation.results import add_line
from zoo.io.atomic import copy_atomically, partial_path, write_text
from zoo.io.own_files import inside, make_folder, open_to_append
from zoo.runs.lock import clear_run_folder, locked, refuse_links_of_run

PRECIOUS = "a year of work\n"


@pytest.fixture
def victim(tmp_path):
    file = tmp_path / "thesis.tex"
    file.write_text(PRECIOUS)
    return file


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_a_file_is_written_in_the_place_of_a_link(run, victim):
    """Also if the link stands where the temporary file goes, and where a dead process left one."""
    (run / "config.yaml").symlink_to(victim)
    partial_path(run / "config.yaml").symlink_to(victim)
    write_text(run / "config.yaml", "new")
    copy_atomically(run / "config.yaml", run / "copy")
    partial_path(run / "copy").write_text("half")
    write_text(run / "copy", "again")
    assert victim.read_text() == PRECIOUS
    assert [(run / name).read_text() for name in ("config.yaml", "copy")] == ["new", "again"]
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "copy"]


@pytest.mark.parametrize(
    "name", [".lock", "results.jsonl", "command.txt", "clips/index.json", "samples/1.png", "clips"]
)
def test_a_run_with_a_link_is_not_locked(name, run, victim):
    make_folder(run, "samples")
    make_folder(run, *name.split("/")[:-1])
    (run / name).symlink_to(victim)
    with pytest.raises(ZooError, match=rf"{name} -> .*thesis.tex: nothing is written through a link.*rm "), locked(run):
        pass
    with pytest.raises(ZooError, match="nothing is written through a link"):
        refuse_links_of_run(run)
    assert victim.read_text() == PRECIOUS


def test_lines_are_appended_to_files_of_the_folder_only(run, victim):
    """A link, a named pipe, and a file that is the same as another one by a hard link."""
    (run / "link").symlink_to(victim)
    with pytest.raises(ZooError, match="nothing is written through a link"):
        add_line(run / "link", "line")
    os.mkfifo(run / "pipe")
    with pytest.raises(ZooError, match=r"pipe is no file.*rm "):
        add_line(run / "pipe", "line")
    (run / "same").hardlink_to(victim)
    add_line(run / "same", "line")
    assert (run / "same").read_text() == PRECIOUS + "line\n"
    assert victim.read_text() == PRECIOUS


def test_the_lock_leaves_other_names_of_the_file_alone(run, victim):
    (run / ".lock").hardlink_to(victim)
    with locked(run):
        assert f"process {os.getpid()}" in (run / ".lock").read_text()
    assert victim.read_text() == PRECIOUS


def test_folders_between_are_no_links(tmp_path, run):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run / "samples").symlink_to(elsewhere)
    with pytest.raises(ZooError, match="samples -> "):
        inside(run, "samples", "00000016.mp4")
    with pytest.raises(ZooError, match="samples -> "):
        make_folder(run, "samples")
    for names in (["..", "a"], ["a/../../b"], ["/etc/a"]):
        with pytest.raises(ZooError, match="is outside of"):
            inside(run, *names)
    assert list(elsewhere.iterdir()) == []


def test_the_folder_itself_may_be_a_link(tmp_path, run):
    (tmp_path / "scratch").symlink_to(run)
    assert inside(tmp_path / "scratch", "clips/00", "real.mp4").parent.resolve() == run / "clips/00"


def test_a_film_replaces_a_link(run, victim):
    import numpy as np

    (run / "a.mp4").symlink_to(victim)
    write_video(run / "a.mp4", np.zeros((2, 16, 16, 3), np.uint8), 10)
    assert victim.read_text() == PRECIOUS
    assert not (run / "a.mp4").is_symlink()


def test_overwriting_a_run_deletes_links_and_not_their_targets(run, victim):
    (run / "last.ckpt").symlink_to(victim)
    (run / "best.ckpt").symlink_to(run / "nothing")
    clear_run_folder(run, overwrite=True)
    assert victim.read_text() == PRECIOUS
    assert list(run.iterdir()) == []


def test_appending_creates_a_file(run):
    with open_to_append(run / "new") as out:
        out.write(b"1")
    assert (run / "new").read_text() == "1"
