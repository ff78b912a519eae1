"""A picture whose appearance a thing of a sample should have, read from files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zoo.data.decode import read_ids, read_image
from zoo.data.transforms import cover, to_signed
from zoo.errors import ZooError
from zoo.settings import AppearanceSettings
from zoo.types import Appearance, ClipSpec


def read_appearance(settings: AppearanceSettings, spec: ClipSpec) -> Appearance:
    """The picture and its maps at the size of a clip; a ZooError for a file that is not there or does not fit."""
    picture = read_image(_existing("appearance.image", str(settings.image)))
    image = torch.from_numpy(to_signed(cover(picture, spec.height, spec.width)[None])[0])

    def ids(setting: str, typed: str | None) -> Tensor | None:
        if typed is None:
            return None
        stored = read_ids(_existing(setting, typed))
        if stored.shape != picture.shape[:2]:
            raise ZooError(f"{setting}={typed} is {_size(stored.shape)}; appearance.image is {_size(picture.shape)}.")
        return torch.from_numpy(cover(stored, spec.height, spec.width, ids=True)).long()

    labels = ids("appearance.labels", settings.labels)
    return Appearance(
        image, settings.instance, labels, ids("appearance.instances", settings.instances), settings.source
    )


def _existing(setting: str, typed: str) -> Path:
    path = Path(typed).expanduser()
    if not path.is_file():
        raise ZooError(f"{setting}={typed}: there is no such file.")
    return path


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
