"""Draw the contact sheet of the puppets: ``python -m zoo.data.sets.puppets.sheet docs/images/puppets.png``.

Nine identities, ten actions, and one frame of the street with its ground truth. Images are (H, W, 3), uint8, RGB.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.sets.puppets.clips import PuppetClips
from zoo.data.sets.puppets.config import ACTIONS, IDENTITIES, LABELS, PuppetsConfig
from zoo.flow.colour import flow_to_rgb
from zoo.types import FIELDS

Image = NDArray[np.uint8]

PORTRAIT, TILE, STRIP_FRAMES = 128, 96, 6
STREET_SIZE = 144, 288
CLASS_COLOURS = np.array(
    [(178, 214, 236), (190, 170, 150), (120, 116, 120), (70, 120, 70), (250, 206, 170), (224, 82, 82),
     (246, 170, 70), (250, 214, 120), (70, 110, 190), (120, 170, 230),
     (176, 110, 40), (190, 150, 70), (50, 70, 130), (80, 110, 160)], np.uint8,
)  # fmt: skip
assert len(CLASS_COLOURS) == len(LABELS)


def contact_sheet() -> Image:
    """Draw the contact sheet, 1152 pixels wide."""
    strips = [_draw_action(action) for action in range(len(ACTIONS))]
    actions = np.concatenate([np.concatenate(strips[half::2], axis=0) for half in (0, 1)], axis=1)
    return np.concatenate([_draw_identities(), actions, _draw_street()], axis=0)


def _open_clips(**settings: Any) -> PuppetClips:
    return PuppetClips(PuppetsConfig(**settings), "train", frozenset(FIELDS), seed=0)


def _draw_identities() -> Image:
    """Draw every identity, waving."""
    clips = _open_clips(view="person", height=PORTRAIT)
    wave = [ACTIONS.index("wave1")] * 4
    tiles = [_to_image(clips.perform(4, wave, who)["video"], 3) for who in range(len(IDENTITIES))]
    return np.concatenate([_add_caption(tile, name) for tile, name in zip(tiles, IDENTITIES, strict=True)], axis=1)


def _draw_action(action: int) -> Image:
    """Draw one action over time; each action has another identity."""
    clips = _open_clips(view="person", height=TILE, fps=8.0)
    video = clips.perform(11 * action, [action] * STRIP_FRAMES, action % len(IDENTITIES))["video"]
    return _add_caption(np.concatenate([_to_image(video, t) for t in range(STRIP_FRAMES)], axis=1), ACTIONS[action])


def _draw_street() -> Image:
    """Draw a frame of the street with its labels, flow and drawn pose."""
    height, width = STREET_SIZE
    clip = _open_clips(view="street", height=height, width=width, crowd=1.0, condition="pose").clip(4, 0, 6)
    panels = {
        "video": _to_image(clip["video"], 5),
        "labels": CLASS_COLOURS[clip["labels"][5].numpy()],
        "flow": _to_image(flow_to_rgb(clip["flow"]), 4),
        "pose": _to_image(clip["condition"], 5),
    }
    return np.concatenate([_add_caption(picture, name) for name, picture in panels.items()], axis=1)


def _to_image(video: Tensor, t: int) -> Image:
    picture = (video[t].permute(1, 2, 0).numpy() + 1) * 127.5
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _add_caption(picture: Image, name: str) -> Image:
    """Write a caption in the upper left corner, dark on a light rim."""
    picture = np.ascontiguousarray(picture)
    for colour, thickness in (((255, 255, 255), 3), ((50, 50, 60), 1)):
        cv2.putText(picture, name, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
    return picture


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("The file to write is missing.    Type: python -m zoo.data.sets.puppets.sheet docs/images/puppets.png")
    # Gradients in steps of four levels look the same and take half the space.
    cv2.imwrite(sys.argv[1], contact_sheet()[..., ::-1] & 0xFC, [cv2.IMWRITE_PNG_COMPRESSION, 9])
