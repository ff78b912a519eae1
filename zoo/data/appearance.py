"""Read the image whose appearance an instance of a sample should have."""

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
    """Read the image and its maps at the size of a clip.

    Returns an image of shape (3, H, W) in [-1, 1] and maps of shape (H, W). Raises ZooError if a file is missing or a
    map does not have the size of the image.
    """
    picture = read_image(_require_file("appearance.image", str(settings.image)))
    image = torch.from_numpy(to_signed(cover(picture, spec.height, spec.width)[None])[0])

    def read_map(setting: str, typed: str | None) -> Tensor | None:
        if typed is None:
            return None
        stored = read_ids(_require_file(setting, typed))
        if stored.shape != picture.shape[:2]:
            raise ZooError(
                f"{setting}={typed} is {_format_size(stored.shape)}, but appearance.image is "
                f"{_format_size(picture.shape)}. Scale the map to the size of the image, by nearest neighbour."
            )
        return torch.from_numpy(cover(stored, spec.height, spec.width, ids=True)).long()

    labels = read_map("appearance.labels", settings.labels)
    instances = read_map("appearance.instances", settings.instances)
    return Appearance(image, settings.instance, labels, instances, settings.source)


def _require_file(setting: str, typed: str) -> Path:
    path = Path(typed).expanduser()
    if not path.is_file():
        raise ZooError(f"{setting}={typed}: there is no such file. Type the path of an image.")
    return path


def _format_size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"
