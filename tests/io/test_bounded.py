"""Readers wait for nothing, and read no more than a file of that kind has: pipes, holes, names, chunks, objects."""

import json
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import matplotlib
import numpy as np
import pytest

from zoo.comparison.gather import read_films
from zoo.data.decode import image_size, probe, read_ids, read_image
from zoo.errors import ZooError
from zoo.evaluation.features.files import verify_sha256
from zoo.evaluation.results import read_results
from zoo.io.bounded import MOST_BYTES, check_is_file, parse_json, read_bounded, read_bounded_json
from zoo.io.contents import MOST_VALUES, count_values
from zoo.io.safe_arrays import read_arrays
from zoo.io.safe_json import read_json
from zoo.io.safe_load import MAX_OPERATIONS, read_tensors
from zoo.io.safe_settings import check_plain, read_settings
from zoo.runs import metrics_csv
from zoo.runs.metrics_csv import read_curves, read_rows
from zoo.runs.trust import is_own
from zoo.visualization import curves

READERS = {
    "image": read_image,
    "ids": read_ids,
    "size of an image": image_size,
    "video": probe,
    "tensors": lambda path: read_tensors(path, "a checkpoint"),
    "arrays": lambda path: read_arrays(path, "a snapshot"),
    "settings": read_settings,
    "small JSON": lambda path: read_json(path, "Delete it."),
    "JSON": read_bounded_json,
    "metrics": read_curves,
    "weights": lambda path: verify_sha256(path, None),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(make, read, tmp_path):
    make(tmp_path / "a.png")
    with pytest.raises(ZooError, match=r"a\.png is no file"):
        read(tmp_path / "a.png")


def test_a_pipe_in_a_run_folder_is_no_measurement_and_no_signature(tmp_path):
    os.mkfifo(tmp_path / "results.jsonl")
    with pytest.raises(ZooError, match=r"holds no results.jsonl"):
        read_results(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    os.mkfifo(tmp_path / "signature.txt")
    assert not is_own(tmp_path)


def test_a_file_with_a_hole_is_refused(tmp_path):
    """5 GiB that take no room on the disk."""
    with (tmp_path / "results.jsonl").open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(ZooError, match=r"results\.jsonl has 5,368,709,120 bytes, but at most 67,108,864 are read"):
        read_results(tmp_path)


def test_a_file_is_read_to_its_limit(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1234")
    assert read_bounded(file, 4) == b"1234"
    with pytest.raises(ZooError, match="has 4 bytes, but at most 3"):
        read_bounded(file, 3)
    assert MOST_BYTES == 64 * 1024**2
    with pytest.raises(OSError, match="No such file"):
        read_bounded(tmp_path / "b")
    check_is_file(tmp_path / "b")


def test_deep_json_is_no_json(tmp_path):
    (tmp_path / "a").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_bounded_json(tmp_path / "a")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more):
    """A black image of 2 x 2 pixels, with more chunks."""
    head = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 6))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + body + chunk(b"IEND", b"")


BOMB = zlib.compress(b"\0" * (20 << 20))
CHUNKS = {
    "text": (b"zTXt", b"a\0\0" + BOMB),
    "international text": (b"iTXt", b"a\0\1\0\0\0" + BOMB),
    "colour profile": (b"iCCP", b"a\0\0" + BOMB),
    "plain text": (b"iTXt", b"a\0\0\0\0\0" + b"x" * (17 << 20)),
}


@pytest.mark.parametrize(("kind", "data"), CHUNKS.values(), ids=CHUNKS)
def test_a_picture_whose_chunks_unfold_is_refused(kind, data, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(chunk(kind, data)))
    with pytest.raises(ZooError, match=r"a\.png cannot be read: its text and colour profile unpack to more than"):
        read_image(path)


def test_many_small_texts_are_counted_together(tmp_path):
    part = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * (3 << 20)))
    (tmp_path / "few.png").write_bytes(png(*[part] * 5))
    assert np.array_equal(read_ids(tmp_path / "few.png"), np.zeros((2, 2)))
    (tmp_path / "many.png").write_bytes(png(*[part] * 6))
    with pytest.raises(ZooError, match="unpack to more than"):
        read_ids(tmp_path / "many.png")


def test_a_picture_of_countless_chunks_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(chunk(b"vpAg", b"") * 200_001))
    with pytest.raises(ZooError, match="more than 200,000 chunks"):
        image_size(tmp_path / "a.png")


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_of_millions_of_objects_is_refused(is_zip, tmp_path):
    """Two bytes make a dict and forget it in a list."""
    pickled = b"\x80\x02](" + b"}" * (MAX_OPERATIONS + 1) + b"e."
    assert len(pickle.loads(b"\x80\x02](" + b"}" * 3 + b"e.")) == 3
    path = tmp_path / "a.ckpt"
    if is_zip:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
    else:
        path.write_bytes(pickled)
    with pytest.raises(ZooError, match=r"would make more than 1,000,000 objects"):
        read_tensors(path, "a checkpoint")


def test_a_film_has_one_name(tmp_path):
    (tmp_path / "00").mkdir()
    (tmp_path / "00/generated.mp4").touch()
    (tmp_path / "index.json").write_text(json.dumps({f"k{i}": {"generated": "00/generated.mp4"} for i in range(600)}))
    with pytest.raises(ZooError, match="names a film twice"):
        read_films(tmp_path)
    for link in (os.symlink, os.link):
        link(tmp_path / "00/generated.mp4", tmp_path / "00/other.mp4")
        names = {"k": {"given": "00/other.mp4", "generated": "00/generated.mp4"}}
        (tmp_path / "index.json").write_text(json.dumps(names))
        with pytest.raises(ZooError, match="names a film twice"):
            read_films(tmp_path)
        (tmp_path / "00/other.mp4").unlink()
    (tmp_path / "index.json").write_text(json.dumps({"k": {"generated": "00/generated.mp4"}}))
    assert read_films(tmp_path) == {"k": {"generated": tmp_path / "00/generated.mp4"}}
    os.truncate(tmp_path / "00/generated.mp4", 1 << 40)  # a hole of 1 TiB
    with pytest.raises(ZooError, match=r"generated\.mp4 has 1,099,511,627,776 bytes, but a film of"):
        read_films(tmp_path)


def test_json_of_millions_of_small_lists_is_not_parsed(tmp_path):
    """Three bytes make a list of 56 bytes, and a place in the list around it."""
    text = b"[" + b"[]," * 1_500_000 + b"[]]"
    (tmp_path / "a").write_bytes(text)
    with pytest.raises(ValueError, match="has more than 2,000,000 values"):
        read_bounded_json(tmp_path / "a")
    with pytest.raises(ZooError, match="has more than 2,000,000 values"):
        read_json(tmp_path / "a", "Delete it.", len(text))
    (tmp_path / "results.jsonl").write_bytes(text + b"\n")
    with pytest.raises(ZooError, match=r"Line 1 of .* has more than 2,000,000 values"):
        read_results(tmp_path)
    assert parse_json("[1, {}]") == parse_json(b"[1, {}]") == [1, {}]


def test_a_list_that_repeats_itself_is_counted_before_it_is_unfolded():
    """As in a pickle, where a list of a thousand times the same list takes a few thousand bytes."""
    value = [0]
    for _ in range(5):
        value = [value] * 1000
    tracemalloc.start()
    with pytest.raises(ZooError, match="has more than 100,000 values"):
        check_plain(value, "it")
    assert count_values(value) == MOST_VALUES
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


def test_numbers_that_take_minutes_or_cannot_be_shown_are_refused(tmp_path):
    for text, message in (
        ("seed: " + "1:" * 100_000 + "1", "contains a value of 200,001 letters"),  # to the base 60
        ("seed: 0x" + "f" * 5000, "has an integer of 20000 bits"),
        ("a: " + "1," * 60_000, "contains a value of 120,000 letters"),
    ):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(ZooError, match=message):
            read_settings(tmp_path / "config.yaml")


def test_a_table_of_countless_cells_is_refused(tmp_path, monkeypatch):
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("a,b\n1,2\n,3\n")
    assert read_rows(metrics) == [{"a": "1", "b": "2"}, {"b": "3"}]
    monkeypatch.setattr(metrics_csv, "MOST_CELLS", 2)
    with pytest.raises(ZooError, match=r"metrics\.csv has more than 2 values, so it was not read"):
        read_rows(metrics)
    metrics.write_text("a\n\n\n\n")
    with pytest.raises(ZooError, match="more than 2 values"):
        read_rows(metrics)


def test_countless_metrics_are_not_all_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "MOST_PANELS", 2)
    keys = [f"{kind}/{number}" for kind in ("val", "train/loss") for number in range(5)]
    metrics = tmp_path / "metrics.csv"
    metrics.write_text(f"seen/clips,{','.join(keys)}\n1{',1' * 10}\n2{',2' * 10}\n")
    curves.draw_curves(metrics, tmp_path / "curves.png")
    assert image_size(tmp_path / "curves.png") == (440, 3 * 550)


def test_plots_follow_neither_the_current_folder_nor_the_names_in_a_file(tmp_path):
    """Settings of matplotlib may come from matplotlibrc in the current folder, and hand text to LaTeX."""
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("seen/clips,val/$\\frac{$,train/loss/$x\n1,1,1\n2,2,2\n")
    with matplotlib.rc_context({"text.usetex": True, "figure.facecolor": "red", "text.latex.preamble": r"\input x"}):
        curves.draw_curves(metrics, tmp_path / "curves.png")
        assert matplotlib.rcParams["text.usetex"]
    assert (read_image(tmp_path / "curves.png")[0, 0] == 255).all()
