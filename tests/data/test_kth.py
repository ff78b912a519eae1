"""KTH: names, both splits of the field, sequences of the published list, and the size of frames."""

import cv2
import numpy as np
import pytest

from tests.helpers.kth import HEAD, film, write, write_kth
from zoo.data import prepare
from zoo.data.base import build_set
from zoo.data.sets.kth.config import KTHConfig
from zoo.data.sets.kth.find import find_kth, people_of
from zoo.data.sets.kth.sequences import read_sequences
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError

PEOPLE = (1, 2, 3, 7, 16, 18, 21, 25)
SMALL = {"frames": 4, "height": 32, "flow": "none"}


def config(root, **settings) -> KTHConfig:
    return KTHConfig(root=str(root), **(SMALL | settings))


def open_split(root, split="train", **settings):
    with pytest.warns(UserWarning, match=r"of the 599 videos of KTH"):
        return build_set(config(root, **settings), split, frozenset({"attributes"}), 0)


def keys(clips) -> set[str]:
    return {
        clips.clip(index, 0, clips.spec.frames if hasattr(clips, "spec") else 4)["key"] for index in range(len(clips))
    }


def numbers(splits, wanted) -> list[int]:
    return sorted(int(person[-2:]) for person, split in splits.items() if split == wanted)


@pytest.fixture
def kth(tmp_path):
    return write_kth(tmp_path / "kth", PEOPLE)


@pytest.mark.parametrize(("people", "test"), [("svg", range(21, 26)), ("predrnn", range(17, 26))])
def test_the_two_splits_of_the_field(people, test):
    splits = people_of(KTHConfig(people=people))
    assert numbers(splits, "test") == list(test)
    assert len(numbers(splits, "val")) == 2
    assert set(numbers(splits, "train")) | set(numbers(splits, "val")) == set(range(1, test[0]))
    published = people_of(KTHConfig(people=people, val_share=0))
    assert numbers(published, "train") == list(range(1, test[0]))
    assert numbers(published, "val") == list(test)


def test_the_authors_split():
    splits = people_of(KTHConfig(people="published"))
    assert numbers(splits, "train") == list(range(11, 19))
    assert numbers(splits, "val") == [1, 4, 19, 20, 21, 23, 24, 25]
    assert numbers(splits, "test") == [2, 3, 5, 6, 7, 8, 9, 10, 22]


def test_sequences_are_read(tmp_path):
    path = tmp_path / "00sequences.txt"
    path.write_text(
        HEAD + "person01_boxing_d1\t\tframes\t1-95, 96-185, 186-245, 246-360\n"
        "person07_handclapping_d2    \tframes\t1-102, 103-248\n\n"
        "person07_jogging_d4\t\tframes\t1-64, 270-332, 194-264\n"
        "person13_handclapping_d3\t*missing*\nperson16_handwaving_d4\tframes\t207-311, 212-456"
    )
    assert read_sequences(path) == {
        "person01_boxing_d1": ((0, 95), (95, 185), (185, 245), (245, 360)),
        "person07_handclapping_d2": ((0, 102), (102, 248)),
        "person07_jogging_d4": ((0, 64), (269, 332), (193, 264)),  # not in order in the published list
        "person16_handwaving_d4": ((206, 311), (211, 456)),  # overlaps there
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("person01_boxing_d1 frames 1-95, 96", r"line 10: `person01_boxing_d1 frames 1-95, 96` is not of the form"),
        ("person01_boxing_d1 frames 0-95", "is not of the form"),
        ("person01_boxing_d1 frames 95-9", "is not of the form"),
        ("person01_boxing_d1 frames", "lists no sequence|is not of the form"),
        ("person01_boxing_d1 frames 1-9\nperson01_boxing_d1 frames 1-9", "with a line for each video"),
        ("", "lists no sequence"),
    ],
)
def test_a_broken_list_gets_a_sentence(tmp_path, line, message):
    (tmp_path / "00sequences.txt").write_text(HEAD + line)
    with pytest.raises(ZooError, match=message):
        read_sequences(tmp_path / "00sequences.txt")


def test_a_list_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "00sequences.txt").write_bytes(b" " * (1 << 21))
    with pytest.raises(ZooError, match="at most 1,048,576 are read"):
        read_sequences(tmp_path / "00sequences.txt")


def test_clips_stay_in_their_sequence_and_state_who_does_what(kth):
    clips = open_split(kth, "test")
    assert len(clips) == 2 * 2 * 2 * 3  # people, actions, sequences of 12 frames, clips of 4
    for index in range(len(clips)):
        clip = clips.clip(index, 0, 4)
        _, action, name, start = clip["key"].split("/")
        assert action == name.split("_")[1] == ("boxing", "walking")[clip["attributes"]["action"][0] // 5]
        assert int(clip["attributes"]["identity"][0]) == int(name[6:8]) - 1
        assert int(clip["attributes"]["scenario"][0]) == 0
        assert int(start) // 12 == (int(start) + 3) // 12  # 1-12 and 13-24
        assert clip["video"].shape == (4, 1, 32, 32)
    train = open_split(kth, "train", frames=11)
    starts = {int(train.clip(0, epoch, 11)["key"].split("/")[-1]) for epoch in range(30)}
    assert starts == {0, 1}
    assert {int(key.split("/")[2][6:8]) for key in keys(open_split(kth, "val", val_share=0))} == {21, 25}


def test_splits_share_no_person(kth):
    people = {}
    for split in ("train", "val", "test"):
        people[split] = {key.split("/")[2][:8] for key in keys(open_split(kth, split, val_share=0.3))}
    assert set.union(*people.values()) == {f"person{number:02d}" for number in PEOPLE}
    assert sum(map(len, people.values())) == len(PEOPLE)
    with pytest.raises(ZooError, match=r"data.val_share=0 has no test split"):
        build_set(config(kth, val_share=0), "test", frozenset(), 0)


def test_frames_are_stretched_as_published(kth):
    """160 x 120 to 32 x 32: the bar of person 1, 9 pixels of 160, is 9/5 of 32; from row 20 to 100 of 120."""
    clips = open_split(kth, "train")
    index = next(number for number in range(len(clips)) if "person01" in clips.clip(number, 0, 4)["key"])
    clip = clips.clip(index, 0, 4)
    start = int(clip["key"].split("/")[-1])
    expected = cv2.resize(film(1, 24)[start], (32, 32), interpolation=cv2.INTER_AREA)
    shown = to_uint8(clip["video"].expand(-1, 3, -1, -1).numpy())[0]
    assert np.abs(shown.astype(int) - expected).mean() < 3
    assert config(kth).spec().width == 32
    cover = config(kth, resize="cover").spec()
    assert (cover.height, cover.width) == (32, 48)


def test_another_frame_rate_keeps_the_sequences(kth):
    clips = open_split(kth, "test", fps=12.5, frames=6)
    assert {int(clips.clip(index, 0, 6)["key"].split("/")[-1]) for index in range(len(clips))} == {0, 6}


def test_whole_videos_and_folders_of_frames(tmp_path):
    """As SVG's converter writes them: processed/<action>/<video>/image-001_64x64.png."""
    for person in (1, 2, 3, 7, 21):
        folder = tmp_path / "boxing" / f"person{person:02d}_boxing_d2"
        folder.mkdir(parents=True)
        for number, frame in enumerate(film(person, 6, 64, 64), start=1):
            cv2.imwrite(str(folder / f"image-{number:03d}_64x64.png"), frame)
    with pytest.raises(ZooError, match=r"data.sequences=00sequences.txt: there is no such file.*data.sequences=null"):
        config(tmp_path).spec()
    clip = open_split(tmp_path, "test", sequences=None, frames=6, height=64).clip(0, 0, 6)
    assert clip["key"] == "kth/boxing/person21_boxing_d2/0"
    assert np.array_equal(to_uint8(clip["video"].expand(-1, 3, -1, -1).numpy()), film(21, 6, 64, 64))


def test_notes_say_what_is_missing_cut_and_short(kth):
    with (kth / "00sequences.txt").open("a") as file:
        file.write("person03_running_d1 frames 1-30, 31-33\n")
    write(kth / "running/person03_running_d1_uncomp.avi", film(3, 28))
    write(kth / "jogging/person03_jogging_d1_uncomp.avi", film(3, 28))
    notes = find_kth(config(kth)).notes("train")
    assert notes == [
        "18 of the 599 videos of KTH are in data.root=" + str(kth) + ".",
        "Not used: data.sequences=00sequences.txt does not list person03_jogging_d1.",
        "Sequences that are listed beyond the end of their video are cut there: person03_running_d1.",
        "1 of 22 sequences of `train` are not used: they are shorter than a clip of 4 frames.",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"people": "svgg"}, "data.people=svgg is not a choice. Did you mean `svg`"),
        ({"resize": "crop"}, "data.resize=crop is not a choice"),
        ({"test_share": 0.1}, "KTH has people for test"),
        ({"frames": 13}, r"No sequence for `train`.* has the 13 frames of a clip.* has 12: type data.frames=12"),
        ({"people": "published", "frames": 4}, None),
    ],
)
def test_settings(kth, settings, message):
    if message is None:
        assert config(kth, **settings).spec().attributes["action"][0] == "boxing"
        return
    with pytest.raises(ZooError, match=message):
        config(kth, **settings).spec()


def test_other_names_are_refused(kth):
    path = kth / "boxing" / "persn09_boxing_d1_uncomp.avi"
    write(path, film(9, 5))
    with pytest.raises(ZooError, match=r"is not named as in KTH.* Did you mean `person09_boxing_d1`"):
        config(kth).spec()
    path.rename(path.with_name("person01_boxing_d1.avi"))
    with pytest.raises(ZooError, match="are the same video of KTH"):
        config(kth).spec()


def test_sequences_are_counted(kth, capsys, tmp_path):
    prepare.main(["kth", f"root={kth}", "frames=4", "height=32", f"sheet={tmp_path / 's.png'}"])
    printed = capsys.readouterr().out
    counts = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if len(line.split()) == 4}
    assert counts["sequences"][2] == "8"
    assert counts["people"] == ["18", "2", "5"]
    assert "16 of 599 videos" in printed
    assert "32 sequences listed, 2391 in the published list" in printed
    assert "Nobody has reproduced these counts" in printed
    assert prepare.main(["kth"]) is None
    assert "Recognition of Human Actions" in capsys.readouterr().out
