"""Write small files in the published layouts of BAIR robot pushing: TFRecord, and the PNG files of SVG's converter.

Written from the definition of the format, apart from the reader: checksums are computed byte by byte.
"""

import struct
from functools import cache
from pathlib import Path

import cv2
import numpy as np

FRAMES = 6
"""Frames of a trajectory; 30 in the release."""


def frames_of(number: int, camera: str = "aux1", frames: int = FRAMES) -> np.ndarray:
    """Dark noise with a bright square that moves right, (T, 64, 64, 3) uint8; the camera `main` sees it elsewhere."""
    video = np.random.default_rng(number).integers(0, 60, (frames, 64, 64, 3), np.uint8)
    for t in range(frames):
        top, left = (8, 4 + 6 * t) if camera == "aux1" else (40, 50 - 6 * t)
        video[t, top : top + 16, left : left + 8] = 255 - number
    return video


def actions_of(number: int, frames: int = FRAMES) -> np.ndarray:
    """(T, 4) float32: the number of the trajectory, the frame, and two fractions."""
    steps = np.arange(frames, dtype=np.float32)
    return np.stack([np.full(frames, number, np.float32), steps, steps / 8, -steps / 3], 1).astype(np.float32)


@cache
def crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


def masked_crc(data: bytes) -> bytes:
    table, crc = crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def message(number: int, content: bytes) -> bytes:
    """A field that is stored as bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(number: int, frames: int = FRAMES, packed: bool = True) -> bytes:
    """One trajectory as tf.train.Example, with the four features that the release has of every frame."""
    features = {}
    videos = {camera: frames_of(number, camera, frames) for camera in ("aux1", "main")}
    for t, action in enumerate(actions_of(number, frames)):
        for camera, video in videos.items():
            features[f"{t}/image_{camera}/encoded"] = message(1, message(1, video[t].tobytes()))
        for name, values in (("action", action), ("endeffector_pos", action[:3])):
            floats = values.astype("<f4").tobytes()
            single = b"".join(b"\x0d" + floats[at : at + 4] for at in range(0, len(floats), 4))
            features[f"{t}/{name}"] = message(2, message(1, floats) if packed else single)
    entries = (message(1, message(1, name.encode()) + message(2, feature)) for name, feature in features.items())
    return message(1, b"".join(entries))


@cache
def record_file(first: int, count: int, frames: int = FRAMES, packed: bool = True) -> bytes:
    records = []
    for number in range(first, first + count):
        data = example(number, frames, packed)
        length = struct.pack("<Q", len(data))
        records.append(length + masked_crc(length) + data + masked_crc(data))
    return b"".join(records)


def write_records(root: Path, training: int = 8, tested: int = 2, frames: int = FRAMES) -> Path:
    """Write softmotion30_44k: two files for training, one for test."""
    half = training // 2
    top = root / "softmotion30_44k"
    for name, first, count in (
        (f"train/traj_0_to_{half - 1}", 0, half),
        (f"train/traj_{half}_to_{training - 1}", half, training - half),
        (f"test/traj_0_to_{tested - 1}", 100, tested),
    ):
        path = top / f"{name}.tfrecords"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(record_file(first, count, frames))
    return root


def write_pictures(root: Path, training: int = 8, tested: int = 2, frames: int = FRAMES) -> Path:
    """Write processed_data/<phase>/<file>/<number from 1>/<frame>.png, with the same trajectories."""
    half = training // 2
    for name, first, count in (
        (f"train/traj_0_to_{half - 1}", 0, half),
        (f"train/traj_{half}_to_{training - 1}", half, training - half),
        (f"test/traj_0_to_{tested - 1}", 100, tested),
    ):
        for number in range(count):
            folder = root / "processed_data" / name / str(number + 1)
            folder.mkdir(parents=True)
            for t, frame in enumerate(frames_of(first + number, frames=frames)):
                cv2.imwrite(str(folder / f"{t}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return root
