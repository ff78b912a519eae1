"""Files as other programs write them: orientation, pixel shape, joined recordings, maps, and what is no image."""

import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from zoo.data import decode
from zoo.data.base import DATA_SETS, build_set
from zoo.data.decode import VideoWriter, probe, read_frames, read_ids, read_image
from zoo.data.frame_index import IndexCache, Packet, build_index
from zoo.data.orientation import EXIF_ORIENTATIONS, UPRIGHT, from_matrix, from_rotation
from zoo.data.sets.cityscapes.find import read_labels
from zoo.errors import ZooError
from zoo.types import IGNORED

CORNERS = np.kron(np.array([[10, 90], [170, 250]], np.uint8), np.ones((16, 24), np.uint8))[..., None].repeat(3, axis=2)
"""An image of four grey levels, (32, 48, 3)."""


def film(path, count=6, frame=CORNERS, sar=None, title=None, colours=1):
    with av.open(str(path), "w") as out:
        if title:
            out.metadata["title"] = title
        params = {"x264-params": f"sar={sar}"} if sar else {}
        stream = out.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"} | params)
        stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], "yuv420p"
        stream.codec_context.color_trc = colours
        for n in range(count):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = n, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_is_applied(tmp_path, suffix):
    for number in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = number
        path = tmp_path / f"{number}.{suffix}"
        Image.fromarray(CORNERS).save(path, exif=exif)
        shown = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        assert read_image(path).shape == shown.shape
        assert np.abs(read_image(path).astype(int) - shown).max() < 60, number  # the four levels are 80 apart


def test_display_matrices():
    one = 1 << 16
    image = np.arange(6).reshape(2, 3)
    assert from_matrix([one, 0, 0, 0, one, 0, 0, 0, 1 << 30]) == UPRIGHT
    assert from_matrix([-one, 0, 0, 0, one, 0, 0, 0, 1 << 30]).apply(image).tolist() == [[2, 1, 0], [5, 4, 3]]
    clockwise = from_matrix([0, one, 0, -one, 0, 0, 0, 0, 1 << 30])
    assert clockwise.apply(image).tolist() == np.rot90(image, -1).tolist()
    for turns in range(4):
        assert from_rotation(90 * turns).apply(image).tolist() == np.rot90(image, turns).tolist()
    assert len(set(EXIF_ORIENTATIONS.values())) == 8


def test_a_mirrored_video_is_shown_mirrored(tmp_path):
    path = film(tmp_path / "v.mp4")
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4
    at += 4 + (32 if data[at] else 20) + 16
    data[at : at + 36] = struct.pack(">9i", -65536, 0, 0, 0, 65536, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)
    assert np.abs(read_frames(path, [2])[0].astype(int) - CORNERS[:, ::-1]).max() < 40


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pixels_that_are_not_square_are_scaled(tmp_path, suffix):
    info = probe(film(tmp_path / f"v.{suffix}", sar="2/1"))
    assert (info.width, info.height, info.pixel) == (96, 32, 2.0)


def test_high_dynamic_range_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"high dynamic range \(HLG\).*tonemap"):
        probe(film(tmp_path / "v.mp4", colours=18))


def test_words_in_a_title_are_no_boxes(tmp_path):
    for title in ("Elephant trunk close-up", "truncated stsz moov cmov"):
        assert probe(film(tmp_path / "v.mp4", title=title)).frames == 6


def test_two_recordings_in_one_file(tmp_path):
    first, second = film(tmp_path / "a.mkv"), film(tmp_path / "b.mkv", frame=255 - CORNERS)
    both = tmp_path / "both.mkv"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    assert probe(both).frames == 12
    frames = read_frames(both, range(12))
    assert (frames[:, 4, 4, 0] > 128).tolist() == [False] * 6 + [True] * 6


def test_index_of_packets():
    """Presentation times 0 2 1 3 of one recording; then another one whose clock begins anew."""
    one = [Packet(0, True), Packet(2, False), Packet(1, False), Packet(3, True)]
    index = build_index(one, Fraction(1, 10), 10.0, False)
    assert index.stamps.tolist() == [0, 1, 2, 3]
    assert index.keyframes.tolist() == [0, 3]
    np.testing.assert_allclose(index.clock, [0, 0.1, 0.2, 0.3])
    joined = build_index([*one, Packet(0, True), Packet(2, False)], Fraction(1, 10), 10.0, False)
    assert not joined.has_times
    np.testing.assert_allclose(joined.clock, [0, 0.1, 0.2, 0.3, 0.4, 0.6])
    late = build_index([Packet(5, False), Packet(6, True), Packet(4, False), Packet(7, False)], Fraction(1), 1.0, False)
    assert late.stamps.tolist() == [6, 7]  # what is shown before the first keyframe refers to frames that are not there


def test_the_oldest_index_is_dropped_first(tmp_path):
    index = build_index([Packet(0, True), Packet(1, False)], Fraction(1), 1.0, False)
    cache, read = IndexCache(max_bytes=2 * index.nbytes), []
    for name in "abaca":
        cache.get((tmp_path / name, 1, 1), lambda: read.append(0) or index)
    assert len(read) == 3
    cache.get((tmp_path / "b", 1, 1), lambda: read.append(0) or index)
    assert len(read) == 4


def grey_png(path, ids, bits):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:].ravel()).tobytes() for row in ids]
    head = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_maps_of_any_depth(tmp_path, bits):
    ids = (np.arange(64) % 2**bits).astype(np.uint8).reshape(8, 8)
    assert read_ids(grey_png(tmp_path / "m.png", ids, bits)).tolist() == ids.tolist()


@pytest.mark.parametrize("mode", ["LA", "RGB", "RGBA", "I;16"])
def test_maps_with_equal_channels(tmp_path, mode):
    ids = np.arange(64, dtype=np.uint16 if mode == "I;16" else np.uint8).reshape(8, 8)
    image = Image.fromarray(ids) if mode == "I;16" else Image.fromarray(ids).convert(mode)
    image.save(tmp_path / "m.png")
    assert read_ids(tmp_path / "m.png").tolist() == ids.tolist()


def test_maps_in_colours_or_jpeg_are_refused(tmp_path):
    Image.fromarray(np.dstack([CORNERS[..., 0], CORNERS[..., 1] // 2, CORNERS[..., 2]])).save(tmp_path / "c.png")
    with pytest.raises(ZooError, match="pixels in colours"):
        read_ids(tmp_path / "c.png")
    Image.fromarray(CORNERS[..., 0]).save(tmp_path / "m.jpg")
    (tmp_path / "m.jpg").rename(tmp_path / "m.png")
    with pytest.raises(ZooError, match="is a JPEG, which changes pixels"):
        read_ids(tmp_path / "m.png")


def test_train_ids_are_no_label_ids(tmp_path):
    Image.fromarray(np.array([[0, 13, 255]], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(ZooError, match="these are trainIds"):
        read_labels(tmp_path / "m.png")
    Image.fromarray(np.array([[7, 26, 255]], np.uint8)).save(tmp_path / "m.png")
    assert read_labels(tmp_path / "m.png").tolist() == [[7, 26, 34]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>404 not found</html>" * 20, "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "a pointer of Git LFS"),
        (b"", "is empty"),
        (b"\0" * 4096, "begins with zeros"),
        (b"PK\x03\x04" + b"x" * 99, "a zip file"),
        ("half", "a PNG whose end is missing"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, says):
    path = tmp_path / "v.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000] if content == "half" else content)
    with pytest.raises(ZooError, match=says):
        read_image(path)


def test_an_animated_webp_and_a_tiff_with_jpeg_are_named(tmp_path):
    frames = [Image.fromarray(CORNERS), Image.fromarray(255 - CORNERS)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(ZooError, match="an animated WebP"):
        read_image(tmp_path / "a.webp")
    with pytest.raises(ZooError, match="TIFF with JPEG inside"):
        read_image(tmp_path / "a.tif")


def test_names_with_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = film(tmp_path / "10:30.mp4").relative_to(tmp_path)
    assert probe(path).frames == 6


def test_a_video_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "notes").write_text("x")
    for path in (tmp_path / "notes" / "v.mp4", tmp_path / f"{'x' * 250}.mp4"):
        with pytest.raises(ZooError, match=r"cannot be written"), VideoWriter(path, 25):
            pass


def test_ignored_ids_are_no_class(tmp_path):
    for kind, value in (("A", 255), ("B", 9)):
        for n in range(4):
            path = tmp_path / f"train_{kind}" / "s" / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((16, 16), 1 if kind == "A" else value, np.uint8)
            image[:8] = value
            Image.fromarray(image).save(path)
    settings = {"name": "paired", "root": str(tmp_path), "label_count": 2, "frames": 2, "height": 16, "flow": "none"}
    clips = build_set(DATA_SETS.config(settings | {"ignore": [255]}), "train", frozenset({"labels"}), 0)
    assert clips.clip(0, 0, 2)["labels"].unique().tolist() == [IGNORED, 1]
    with pytest.raises(ZooError, match=r"data.ignore=\[255\]"):
        build_set(DATA_SETS.config(settings), "train", frozenset({"labels"}), 0).clip(0, 0, 2)


def test_a_film_of_countless_frames_is_refused(tmp_path, monkeypatch):
    """A GIF may have a frame in 20 bytes."""
    monkeypatch.setattr(decode, "MAX_FRAMES", 5)
    for count in (5, 6):
        with av.open(str(tmp_path / f"{count}.gif"), "w") as out:
            stream = out.add_stream("gif", rate=10)
            stream.height, stream.width, stream.pix_fmt = 8, 8, "rgb8"
            for number in range(count):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((8, 8, 3), 40 * number, np.uint8), "rgb24")))
            out.mux(stream.encode())
    assert probe(tmp_path / "5.gif").frames == 5
    with pytest.raises(ZooError, match=r"6\.gif cannot be read: it has more than 5 frames"):
        probe(tmp_path / "6.gif")
