"""Helpers for the tests of `paired`, `cityscapes` and `pose`: opens the small files in tests/fixtures as data sets."""

import cv2

from zoo.data.base import DATA_SETS, build_set
from zoo.types import FIELDS

NEEDED = {"paired": {"label_count": 14}, "cityscapes": {}, "pose": {}}
NAMES = sorted(NEEDED)


def config(name, place, **settings):
    size = {"frames": 4, "height": 32, "width": 64, "flow": "none"}
    return DATA_SETS.config({"name": name, "root": str(place)} | NEEDED[name] | size | settings)


def read_all_clips(name, place, **settings):
    """Read every clip of both splits, in several epochs."""
    for split in ("train", "val"):
        data = build_set(config(name, place, **settings), split, frozenset(FIELDS), 0)
        for epoch in range(4):
            for index in range(len(data)):
                data.clip(index, epoch, 4)


def clips(name, root, split="train", fields=FIELDS, seed=0, **settings):
    return build_set(config(name, root, **settings), split, frozenset(fields), seed)


def replace_picture(path, change):
    """Rewrite one image after applying ``change`` to the array."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), change(picture))
