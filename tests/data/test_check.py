"""`python -m zoo.data.check`: the sheet, the table, the sentences."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from zoo.data import check
from zoo.data.decode import write_video
from zoo.data.sets.folder.statistics import statistics
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
    assert (rows, columns) == (2 * (32 + 32 + 2), check.MARGIN + 8 * 48)
    printed = capsys.readouterr().out
    assert "sub/é.mkv" in printed
    assert "notes.mp4 cannot be read" in printed
    assert "6 clips of 8 frames, 48x32" in printed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rot=x"], "Did you mean `root`"),
        (["videos"], "python -m zoo.data.check root=videos"),
        (["root=x", "height=tall"], "height"),
        ([], "type data.root=<folder>"),
    ],
)
def test_check_answers_mistakes_with_sentences(words, says):
    with pytest.raises(ZooError, match=says):
        check.main(words)


def test_check_is_a_command_without_torch_and_without_stack_trace():
    asked = (
        "import sys, zoo.data.check as check; sys.argv[1:] = ['root=/nowhere']\n"
        "try: check.run()\nfinally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.strip() == "False"
    assert "there is no such folder" in done.stderr
    assert "Traceback" not in done.stderr


def suspicions(looks, run=None):
    frames = np.random.default_rng(0).integers(0, 256, (4, *looks[0].shape)).astype(np.uint8)
    return " ".join(statistics(looks, list(frames) if run is None else run).suspicions())


def test_what_is_worth_a_look():
    noise = np.random.default_rng(1).integers(0, 256, (6, 60, 80, 3)).astype(np.uint8)
    assert suspicions(list(noise)) == ""
    barred = noise.copy()
    barred[:, :6] = barred[:, -9:] = 3
    assert "black bars, 25% of the height" in suspicions(list(barred))
    barred = noise.copy()
    barred[:, :, :8] = 0
    assert "black bars, 10% of the width" in suspicions(list(barred))
    limited = (16 + noise.astype(float) * 219 / 255).astype(np.uint8)
    assert "range never expanded" in suspicions(list(limited))
    doubled = [frame for frame in noise[:4] for _ in range(2)]
    assert "57% of frames repeat" in suspicions(list(noise), doubled)  # 4 of the 7 changes
    assert "does not move" in suspicions(list(noise), [noise[0]] * 3)
    upright = noise // 4
    upright[:, :25] = 220  # a smooth bright sky
    assert suspicions(list(upright)) == ""
    assert "upside down" in suspicions([frame[::-1] for frame in upright])
