"""Reading and writing of videos, on videos whose grey level states the number of the frame."""

import multiprocessing
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from zoo.data import decode
from zoo.data.decode import (
    VideoWriter,
    frame_times,
    iter_frames,
    probe,
    read_frames,
    read_ids,
    read_image,
    write_video,
)
from zoo.errors import ZooError

STEP = 4  # grey levels between consecutive frames


def numbered(number, height=48, width=64):
    return np.full((height, width, 3), 10 + STEP * number, np.uint8)


def numbers(frames):
    return [round((float(np.median(frame)) - 10) / STEP) for frame in frames]


def encode(path, codec="libx264", pix_fmt="yuv420p", times=range(50), **options):
    """Encode one frame at each of these times, in 1/25 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, pix_fmt, 4_000_000
        stream.codec_context.time_base = Fraction(1, 25)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


KINDS = {
    "b_frames.mp4": {"bf": "3", "g": "12"},
    "b_frames.mov": {"bf": "3", "g": "12"},
    "b_frames.mkv": {"bf": "3", "g": "12"},
    "vp9.webm": {"codec": "libvpx-vp9", "g": "12", "cpu-used": "8", "deadline": "realtime"},
    "reordered.avi": {"bf": "3", "g": "12"},
    "old.avi": {"codec": "mpeg4", "bf": "2", "g": "12"},
    "intra.avi": {"codec": "ffv1"},
    "grey.gif": {"codec": "gif", "pix_fmt": "gray"},
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_of_every_container_are_read_by_number(tmp_path, name):
    path = encode(tmp_path / name, **KINDS[name])
    info = probe(path)
    assert (info.frames, info.height, info.width) == (50, 48, 64)
    assert info.fps == pytest.approx(25)
    assert numbers(read_frames(path, range(50))) == list(range(50))
    for wanted in (0, 1, 11, 12, 13, 30, 49):
        assert numbers(read_frames(path, [wanted])) == [wanted]
    assert numbers(read_frames(path, [2, 2, 3, 48])) == [2, 2, 3, 48]


def test_variable_frame_rate_preserves_times(tmp_path):
    path = encode(tmp_path / "v.mkv", times=[0, 1, 2, 12, 13, 40])
    np.testing.assert_allclose(frame_times(path), np.array([0, 1, 2, 12, 13, 40]) / 25, atol=6e-4)
    assert probe(path).fps == pytest.approx(5 / (40 / 25), rel=1e-3)
    assert numbers(read_frames(path, [2, 3, 5])) == [2, 3, 5]


def test_decoding_starts_at_the_last_keyframe(tmp_path, monkeypatch):
    path = encode(tmp_path / "long.mp4", g="10", bf="0", sc_threshold="0", times=range(60))
    decoded = []
    original = decode._decode_from

    def counted(*arguments):
        for item in original(*arguments):
            decoded.append(item)
            yield item

    monkeypatch.setattr(decode, "_decode_from", counted)
    assert numbers(read_frames(path, [0, 55])) == [0, 55]
    assert len(decoded) <= 2 + 7  # frame 0 and the next; keyframe 50 to frame 55, and the next


def test_file_stays_open_between_reads(tmp_path, monkeypatch):
    path = encode(tmp_path / "long.mp4", g="10", bf="2", times=range(60))
    read_frames(path, [0])
    monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("opened again"))
    for first in (50, 3, 0, 21, 22, 57):
        assert numbers(read_frames(path, range(first, first + 3))) == list(range(first, first + 3))


def test_number_of_open_files_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_OPEN_FILES", 2)
    paths = [encode(tmp_path / f"{name}.mp4", times=range(5)) for name in range(4)]
    for path in [*paths, *paths]:
        assert numbers(read_frames(path, [3])) == [3]
        assert len(decode._open_files) <= 2


def read_in_fork(path, wanted):
    """Read frames in a forked child. Not in a Pool: its end can wait forever for a worker that holds a lock."""
    context = multiprocessing.get_context("fork")
    answer, question = context.Pipe(duplex=False)
    child = context.Process(target=lambda: question.send(numbers(read_frames(path, wanted))))
    child.start()
    assert answer.poll(60), "the forked process did not answer"
    child.join()
    return answer.recv()


def test_forked_process_does_not_use_its_parents_open_files(tmp_path):
    """Both processes would share the position in the file."""
    path = encode(tmp_path / "long.mp4", g="10", times=range(60))
    reading = iter_frames(path, range(60))
    seen = [next(reading)]
    for _ in range(5):
        assert read_in_fork(path, [55, 56]) == [55, 56]
        seen += [next(reading) for _ in range(5)]
    assert numbers([*seen, *reading]) == list(range(60))
    assert numbers(read_frames(path, [7])) == [7]


def test_changed_file_is_read_again(tmp_path):
    path = encode(tmp_path / "a.mp4", times=range(5))
    assert probe(path).frames == 5
    encode(path, times=range(9))
    assert probe(path).frames == 9


def test_rotation_is_applied(tmp_path):
    path = tmp_path / "phone.mov"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255  # white: top left
    write_video(path, [picture] * 3, 25)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # QuickTime: after the type, 40 bytes of track header
    clockwise = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    content[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in clockwise)
    path.write_bytes(content)
    frame = read_frames(path, [0])[0]
    assert frame.shape == (64, 48, 3)
    assert (probe(path).height, probe(path).width) == (64, 48)
    assert frame[10, 36].min() > 200  # rotated clockwise: top right
    assert frame[10, 10].max() < 50


def _truncate(path):
    whole = encode(path.with_suffix(".whole.mov"), times=range(40))
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.9)])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("these are notes, no video" * 50), "cannot be read"),
        (lambda path: path.write_bytes(encode(path).read_bytes()[:800]), "cannot be read"),
        (_truncate, "truncated.*of the 40"),
        (lambda path: None, "No such file"),
    ],
    ids=["empty", "text", "no index", "truncated", "missing"],
)
def test_unreadable_video_raises_with_its_name(tmp_path, break_it, message):
    path = tmp_path / "brokén.mp4"
    break_it(path)
    with pytest.raises(ZooError, match=f"brokén.mp4.*{message}"):
        probe(path)


def test_reading_past_the_end_raises(tmp_path):
    path = encode(tmp_path / "a.mp4", times=range(5))
    with pytest.raises(ZooError, match="frames 0 to 4; frame 5 was requested"):
        read_frames(path, [5])


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 250, 250), (5, 5, 5), (128, 64, 200), (200, 150, 120)]


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_survive_writing_and_reading(tmp_path, colour):
    path = tmp_path / "c.mp4"
    write_video(path, [np.full((32, 32, 3), colour, np.uint8)] * 3, 25)
    error = np.abs(read_frames(path, [1])[0].astype(int) - colour)
    assert error.max() <= 2
    assert error.mean() <= 1.4


def test_written_video_declares_bt709(tmp_path):
    write_video(tmp_path / "c.mp4", [numbered(0)], 25)
    with av.open(str(tmp_path / "c.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        bt709, limited = 1, 1  # ITU-T H.273
        assert (context.colorspace, context.color_primaries, context.color_trc) == (bt709, bt709, bt709)
        assert context.color_range == limited


def test_odd_sizes_are_padded_with_the_last_row_and_column(tmp_path):
    ramp = np.zeros((33, 49, 3), np.uint8)
    ramp[..., 0] = np.arange(49) * 5
    ramp[..., 1] = np.arange(33)[:, None] * 7
    write_video(tmp_path / "odd.mp4", [ramp] * 4, 29.97)
    frame = read_frames(tmp_path / "odd.mp4", [2])[0].astype(int)
    assert frame.shape == (34, 50, 3)
    assert np.abs(frame[:33, :49] - ramp).mean() < 3
    assert np.abs(frame[33] - frame[32]).mean() < 4
    assert probe(tmp_path / "odd.mp4").fps == pytest.approx(29.97)


def test_the_same_frames_are_the_same_film(tmp_path):
    """Also when the memory of the process holds something else. x264 notes its options in the file."""
    frames = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3)).astype(np.uint8)
    films = []
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        write_video(tmp_path / name, frames, 12.5)
        films.append((tmp_path / name).read_bytes())
        filled = [np.full(1 << size, 255, np.uint8) for size in range(10, 22)]  # freed memory that is not zero
        del filled
    assert films[0] == films[1] == films[2]
    assert b" mbtree=0 " in films[0]
    assert b" threads=1 " in films[0]


def test_order_and_number_of_frames_survive_writing(tmp_path):
    write_video(tmp_path / "n.mp4", (numbered(n) for n in range(40)), 12.5)
    assert numbers(read_frames(tmp_path / "n.mp4", range(40))) == list(range(40))
    assert probe(tmp_path / "n.mp4").fps == pytest.approx(12.5)


def test_failed_write_leaves_the_existing_file(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, [numbered(3)], 25)
    before = path.read_bytes()

    def stop_halfway():
        with VideoWriter(path, 25) as writer:
            writer.write(numbered(0))
            raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        stop_halfway()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "frames", "message"),
    [
        ("a.mp4", [], "none was written"),
        ("a.mp4", [numbered(0), numbered(0, height=50)], r"\(50, 64\) follows \(48, 64\)"),
        ("a.txt", [numbered(0)], "written as .mp4"),
    ],
)
def test_invalid_frames_raise(tmp_path, name, frames, message):
    with pytest.raises(ZooError, match=message):
        write_video(tmp_path / name, frames, 25)
    assert not list(tmp_path.iterdir())


def test_images_are_read_as_rgb(tmp_path):
    Image.fromarray(np.full((5, 7, 3), (10, 20, 30), np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (5, 7, 3)
    assert read_image(tmp_path / "a.png")[2, 2].tolist() == [10, 20, 30]


def test_read_ids_returns_the_stored_numbers(tmp_path):
    small = np.array([[0, 1, 2], [33, 254, 255]], np.uint8)
    Image.fromarray(small).save(tmp_path / "grey.png")
    large = np.array([[0, 24000], [26001, 65535]], np.uint16)
    Image.fromarray(large).save(tmp_path / "deep.png")
    palette = Image.fromarray(small, mode="P")
    palette.putpalette([(7 * i) % 256 for i in range(768)])
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_ids(tmp_path / "grey.png"), small)
    np.testing.assert_array_equal(read_ids(tmp_path / "deep.png"), large)
    np.testing.assert_array_equal(read_ids(tmp_path / "palette.png"), small)


def test_read_ids_of_a_colour_image_raises(tmp_path):
    picture = numbered(0)
    picture[..., 0] += 1
    Image.fromarray(picture).save(tmp_path / "colour.png")
    with pytest.raises(ZooError, match=r"colour.png.*one channel"):
        read_ids(tmp_path / "colour.png")
