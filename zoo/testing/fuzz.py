"""Damage media files at random: reading one gives frames or a ZooError that names the file, and nothing else."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from zoo.data.decode import image_size, probe, read_frames, read_ids, read_image
from zoo.errors import ZooError

SECONDS = 20
"""Longest time to read one file; then its process is ended."""
CODECS = {"mp4": "libx264", "mkv": "libx264", "mov": "mpeg4", "avi": "mpeg4", "webm": "libvpx", "gif": "gif"}
IMAGES = (".png", ".jpg", ".bmp", ".webp", ".tif")


def write_seeds(folder: Path) -> list[Path]:
    """Write a small valid file of each kind, videos of 12 frames with a title and images, of 32 x 24 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pictures = [np.full((24, 32, 3), 20 * i, np.uint8) + rng.integers(0, 15, (24, 32, 3), np.uint8) for i in range(12)]
    files = []
    for suffix, codec in CODECS.items():
        files.append(folder / f"video.{suffix}")
        with av.open(str(files[-1]), "w") as container:
            container.metadata["title"] = "a title that may be damaged"
            stream: Any = container.add_stream(codec, rate=12)
            stream.width, stream.height = 32, 24
            stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    for suffix in IMAGES:
        files.append(folder / f"image{suffix}")
        cv2.imwrite(str(files[-1]), pictures[0])
    return files


def damage(data: bytes, rng: random.Random) -> bytes:
    """Cut a file, flip, erase, double or exchange some of its bytes; mostly near the start, where the headers are."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        limit = len(changed) if rng.random() < 0.5 else min(len(changed), 400)
        at = rng.randrange(max(limit, 1))
        length = rng.choice((1, 2, 4, 16))
        kind = rng.choice(("flip", "flip", "erase", "fill", "insert", "delete", "cut"))
        if kind == "flip" and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == "erase":
            changed[at : at + length] = bytes(length)
        elif kind == "fill":
            changed[at : at + length] = b"\xff" * length
        elif kind == "insert":
            changed[at:at] = rng.randbytes(length)
        elif kind == "delete":
            del changed[at : at + length]
        elif kind == "cut" and rng.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def read_everything(file: Path) -> str:
    """Read a file as video and as image; returns what went wrong, and nothing if every reader gives data or a ZooError
    with the name of the file."""
    for read in (
        lambda: read_frames(file, range(probe(file).frames)),
        lambda: read_image(file),
        lambda: read_ids(file),
    ):
        try:
            read()
        except ZooError as problem:
            if file.name not in str(problem):
                return f"an error without the file's name: {problem}"
        except Exception as problem:
            return f"{type(problem).__name__}: {problem}"[:300]
    try:
        image_size(file)
    except ZooError:
        pass
    except Exception as problem:
        return f"image_size: {type(problem).__name__}: {problem}"[:300]
    return ""


def fuzz(folder: Path, count: int, seed: int = 0) -> Iterator[tuple[str, int, str]]:
    """Damage ``count`` files and read each in a process of its own batch: (seed file, number, what went wrong or "").

    A process that dies of a signal, or does not end within SECONDS, is reported with the file that it was reading.
    """
    seeds = write_seeds(folder / "seeds")
    file, number = folder, 0
    while number < count:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for each in range(number, count):
                signal.alarm(SECONDS)
                source = seeds[each % len(seeds)]
                file = folder / f"damaged{source.suffix}"
                file.write_bytes(damage(source.read_bytes(), random.Random(f"{seed}-{each}")))
                os.write(writing, f"{read_everything(file)}".replace("\n", " ").encode()[:400] + b"\n")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            for line in pipe:
                yield seeds[number % len(seeds)].name, number, line.strip()
                number += 1
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if number < count:
            yield seeds[number % len(seeds)].name, number, f"the process ended with {status}"
            number += 1
