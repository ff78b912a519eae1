"""`python -m zoo.data.prepare`: unpacking, summary, contact sheet and errors."""

import shutil
import stat
import subprocess
import sys
import zipfile

import cv2
import pytest

from tests.helpers.paths import FIXTURES
from zoo.data import prepare
from zoo.data.archives import unpack
from zoo.data.check import NUMBER_WIDTH
from zoo.errors import ZooError


def archive(path, *members, link=None):
    """Write a zip archive with these members; each contains its own name."""
    with zipfile.ZipFile(path, "w") as opened:
        for name in members:
            opened.writestr(name, name)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(info, "/etc/passwd")
    return path


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_archive_is_unpacked_beside_itself(tmp_path):
    message = unpack(archive(tmp_path / "walk.zip", "daria_walk.avi", "ido_walk.avi", "__MACOSX/._daria_walk.avi"))
    assert message.startswith("walk.zip: 2 of 2 files unpacked")
    unpack(archive(tmp_path / "lists.zip", "ucfTrainTestlist/trainlist01.txt", "ucfTrainTestlist/sub/"))
    assert files(tmp_path) == [
        "lists.zip", "ucfTrainTestlist/trainlist01.txt", "walk.zip", "walk/daria_walk.avi", "walk/ido_walk.avi",
    ]  # fmt: skip
    assert (tmp_path / "walk/daria_walk.avi").read_text() == "daria_walk.avi"
    (tmp_path / "walk/ido_walk.avi").write_text("cut")
    before = (tmp_path / "walk/daria_walk.avi").stat().st_mtime_ns
    assert unpack(tmp_path / "walk.zip").startswith("walk.zip: 1 of 2 files unpacked")
    assert (tmp_path / "walk/ido_walk.avi").read_text() == "ido_walk.avi"
    assert (tmp_path / "walk/daria_walk.avi").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "name", ["../evil.avi", "a/../../evil.avi", "/tmp/evil.avi", "C:/evil.avi", "..\\evil.avi", "\\e"]
)
def test_member_outside_the_folder_raises_before_unpacking(tmp_path, name):
    (tmp_path / "set").mkdir()
    path = archive(tmp_path / "set/walk.zip", "daria_walk.avi", name)
    with pytest.raises(ZooError, match=r"walk.zip contains .*, which leads out of the folder.*nothing was unpacked"):
        unpack(path)
    assert files(tmp_path) == ["set/walk.zip"]


def test_link_in_an_archive_raises(tmp_path):
    with pytest.raises(ZooError, match=r"contains `daria_walk.avi`, which is a link or device"):
        unpack(archive(tmp_path / "walk.zip", "ido_walk.avi", link="daria_walk.avi"))
    assert files(tmp_path) == ["walk.zip"]


def test_broken_archive_raises_with_its_name(tmp_path):
    path = archive(tmp_path / "walk.zip", "daria_walk.avi")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ZooError, match=r"walk.zip cannot be unpacked: .*Is the download complete"):
        unpack(path)


def test_archives_are_unpacked_and_shown(tmp_path, capsys):
    """From downloaded archives to the contact sheet; the second time there is nothing to unpack."""
    root = tmp_path / "weizmann"
    root.mkdir()
    for action in ("walk", "run"):
        with zipfile.ZipFile(root / f"{action}.zip", "w") as opened:
            for video in sorted((FIXTURES / "weizmann" / action).glob("*.avi")):
                opened.write(video, video.name)
    words = ["weizmann", f"root={root}", f"sheet={tmp_path / 's.png'}"]
    sheet = prepare.main(words)
    rows, columns, _ = cv2.imread(str(sheet)).shape
    assert (rows, columns) == (4 * (64 + 2), NUMBER_WIDTH + 10 * 64)
    printed = capsys.readouterr().out
    assert "walk.zip: 2 of 2 files unpacked" in printed
    assert "4 of 93 videos" in printed
    assert "Stored: 4 of 180x144 at 25 fps" in printed
    assert "Missing: denis, eli" in printed
    counts = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.strip()}
    assert counts["lena"] == ["-", "-", "-", "-", "2", "-", "-", "-", "-", "-"]
    assert counts["shahar"] == ["-"] * 10
    assert f"python -m zoo.train model=videovae data=weizmann data.root={root}" in printed
    prepare.main(words)
    assert "walk.zip: 0 of 2 files unpacked" in capsys.readouterr().out


def test_classes_are_counted(tmp_path, capsys):
    root = shutil.copytree(FIXTURES / "classes", tmp_path / "set")
    (root / "Archery/v_Archery_g02_c01.avi").write_text("no video " * 50)
    (root / "Archery/v_Archery_g02_c02.avi").write_text("no video " * 50)
    prepare.main(["classes", f"root={root}", "attribute=sport", "height=32", f"sheet={tmp_path / 's.png'}"])
    printed = capsys.readouterr().out
    counts = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.strip()}
    assert counts["sport"] == ["train", "val"]
    assert counts["Archery"] == ["1", "2"]
    assert counts["Typing"] == ["1", "0"]
    assert "g02_c01.avi cannot be read" in printed
    assert "g02_c02.avi cannot be read" in printed
    assert f"data.root={root} data.attribute=sport data.height=32" in printed


def test_puppets_need_no_download(tmp_path, capsys):
    sheet = prepare.main(["puppets", "frames=4", "height=32", f"sheet={tmp_path / 's.png'}"])
    assert cv2.imread(str(sheet)).shape == (16 * 34, NUMBER_WIDTH + 4 * 32, 3)
    assert "Nothing to download: `puppets`" in capsys.readouterr().out
    sheet = prepare.main(["puppets", "frames=4", "height=32", "channels=1", f"sheet={tmp_path / 'grey.png'}"])
    assert cv2.imread(str(sheet), cv2.IMREAD_UNCHANGED).shape == (16 * 34, NUMBER_WIDTH + 4 * 32)
    assert "data.channels=1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"No data set was named.*Data sets with a preparation: arrays, bair, classes, kth, moving_mnist"),
        (["root=x"], r"No data set was named"),
        (["weizman", "root=x"], r"Did you mean `weizmann`"),
        (["weizmann", "rot=x"], r"Did you mean `root`"),
        (["weizmann", "videos"], r"Try: python -m zoo.data.prepare weizmann root=videos"),
        (["weizmann", "root=/no/such"], r"there is no such folder.*home page of `Actions as Space-Time Shapes`"),
        (["folder", "root=x"], r"takes your own files.*python -m zoo.data.check root=<folder>"),
    ],
)
def test_invalid_arguments_raise(words, message):
    with pytest.raises(ZooError, match="(?s)" + message):
        prepare.main(words)


def test_without_a_root_the_source_is_printed(capsys):
    assert prepare.main(["classes"]) is None
    printed = capsys.readouterr().out
    assert "UCF-101 is on its page" in printed
    assert "Then type: python -m zoo.data.prepare classes root=<folder>" in printed


def test_command_imports_no_torch_and_prints_no_stack_trace():
    program = (
        "import sys, zoo.data.prepare as prepare; sys.argv[1:] = ['weizmann', 'root=/nowhere']\n"
        "try: prepare.run()\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (1, "False")
    assert "there is no such folder" in done.stderr
    assert "Traceback" not in done.stderr
