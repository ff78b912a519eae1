"""Damaged media files: a short run of the study in experiments/fuzz, and files that once ended in a stack trace."""

import av
import numpy as np
import pytest

from zoo import ZooError
from zoo.data.check import main as check
from zoo.data.decode import probe, read_frames, write_video
from zoo.testing.fuzz import fuzz


def test_damaged_files_give_frames_or_an_error_with_their_name(tmp_path):
    found = list(fuzz(tmp_path, 66))
    assert len(found) == 66
    assert [each for each in found if each[2]] == []


def avi(path, title="XXXX", size=(32, 32)):
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for value in range(12):
            picture = np.full((size[1], size[0], 3), value * 9, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_one_bad_film_does_not_stop_a_folder(tmp_path, capsys):
    """A title in Latin-1 is no damage; an unknown codec and a cut header are named and skipped."""
    for number in range(3):
        write_video(tmp_path / f"v{number}.mp4", np.full((12, 32, 32, 3), 50 * number, np.uint8), 12.0)
    for name, old, new in (("latin1", b"XXXX", "Café".encode("latin-1")), ("codec", b"FMP4", b"ZZZZ")):
        data = avi(tmp_path / f"{name}.avi").read_bytes()
        (tmp_path / f"{name}.avi").write_bytes(data.replace(old, new))
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "v0.mp4").read_bytes()[:400])
    check([f"root={tmp_path}", "frames=4", "height=32", "width=32", f"sheet={tmp_path / 'sheet.png'}"])
    printed = "".join(capsys.readouterr().out.split())  # lines break anywhere in a long path
    for said in ("4 of 4 videos", "codec.avi cannot be read: FFmpeg does not know its codec", "cut.mp4 cannot be read"):
        assert said.replace(" ", "") in printed


@pytest.mark.parametrize(
    "problem", [UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"), ValueError("bad"), KeyError("a")]
)
def test_any_error_of_the_decoder_names_the_file(problem, tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", np.zeros((4, 32, 32, 3), np.uint8), 12.0)

    def fail(*_, **__):
        raise problem

    monkeypatch.setattr("zoo.data.decode._video_stream", fail)
    for read in (probe, lambda path: read_frames(path, [0])):
        with pytest.raises(ZooError, match=r"a.mp4 cannot be read: it is damaged, or no video or image"):
            read(tmp_path / "a.mp4")
