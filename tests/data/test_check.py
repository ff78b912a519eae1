"""`python -m zoo.data.check`: contact sheet, table and errors."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from zoo.data import check
from zoo.data.decode import write_video
from zoo.data.sets.folder.statistics import compute_statistics
from zoo.errors import ZooError


def test_check_writes_a_sheet_and_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    root = tmp_path / "videos"
    for name in ("a.mp4", "sub/é.mkv"):
        write_video(root / name, (np.full((32, 48, 3), 8 * n, np.uint8) for n in range(30)), 25)
    (root / "notes.mp4").write_text("no video " * 100)
    words = [f"root={root}", "data.height=32", "condition=edges", "fps=25", f"sheet={tmp_path / 's.png'}"]
    sheet = check.main(words)
    rows, columns, _ = cv2.imread(str(sheet)).shape
    assert (rows, columns) == (2 * (32 + 32 + 2), check.NUMBER_WIDTH + 8 * 48)
    printed = capsys.readouterr().out
    assert "sub/é.mkv" in printed
    assert "notes.mp4 cannot be read" in printed
    assert "6 clips of 8 frames, 48x32" in printed


def test_the_sheet_of_grey_clips_is_grey(tmp_path, capsys):
    write_video(tmp_path / "videos/a.mp4", np.full((30, 32, 48, 3), (200, 100, 0), np.uint8), 12.5)
    words = [f"root={tmp_path / 'videos'}", "height=32", "width=48", "channels=1", f"sheet={tmp_path / 's.png'}"]
    sheet = cv2.imread(str(check.main(words)), cv2.IMREAD_UNCHANGED)
    assert sheet.shape == (32 + 2, check.NUMBER_WIDTH + 8 * 48)
    assert sheet[16, -20] == pytest.approx(0.299 * 200 + 0.587 * 100, abs=4)
    assert "3 grey clips of 8 frames" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rot=x"], "Did you mean `root`"),
        (["videos"], "python -m zoo.data.check root=videos"),
        (["root=x", "height=tall"], "height"),
        ([], "type data.root=<folder>"),
    ],
)
def test_invalid_arguments_raise(words, message):
    with pytest.raises(ZooError, match=message):
        check.main(words)


def test_command_imports_no_torch_and_prints_no_stack_trace():
    program = (
        "import sys, zoo.data.check as check; sys.argv[1:] = ['root=/nowhere']\n"
        "try: check.run()\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.strip() == "False"
    assert "there is no such folder" in done.stderr
    assert "Traceback" not in done.stderr


def problems(spread, run=None):
    frames = np.random.default_rng(0).integers(0, 256, (4, *spread[0].shape)).astype(np.uint8)
    return " ".join(compute_statistics(spread, list(frames) if run is None else run).possible_problems())


def test_possible_problems_are_detected():
    noise = np.random.default_rng(1).integers(0, 256, (6, 60, 80, 3)).astype(np.uint8)
    assert problems(list(noise)) == ""
    barred = noise.copy()
    barred[:, :6] = barred[:, -9:] = 3
    assert "black bars, 25% of the height" in problems(list(barred))
    barred = noise.copy()
    barred[:, :, :8] = 0
    assert "black bars, 10% of the width" in problems(list(barred))
    limited = (16 + noise.astype(float) * 219 / 255).astype(np.uint8)
    assert "range not expanded" in problems(list(limited))
    doubled = [frame for frame in noise[:4] for _ in range(2)]
    assert "57% of frames repeat" in problems(list(noise), doubled)  # 4 of the 7 changes
    assert "no motion" in problems(list(noise), [noise[0]] * 3)
    upright = noise // 4
    upright[:, :25] = 220  # a smooth bright sky
    assert problems(list(upright)) == ""
    assert "upside down" in problems([frame[::-1] for frame in upright])
