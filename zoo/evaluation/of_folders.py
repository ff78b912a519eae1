"""Measures any two folders of videos: by whatever model, wherever they come from.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor
from torch.utils.data import default_collate

from zoo.data.decode import probe, read_image
from zoo.data.model_input import count_input_frames, read_model_input
from zoo.data.sequences.files import content_checksum, files_in
from zoo.data.sequences.find import find_videos
from zoo.data.sets.folder.footage import frame_files
from zoo.devices.hardware import find_device
from zoo.errors import ZooError, listed, one_of
from zoo.evaluation.catalogue import METRICS, OF_MOVEMENT, OF_SAMPLES, mistakes
from zoo.evaluation.features.names import check_features
from zoo.evaluation.metric import Videos
from zoo.evaluation.of_run import OF_FEATURES, EvaluationResult, check_counts
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, add_line
from zoo.evaluation.suite import Suite
from zoo.evaluation.tools import given_tools, open_tools
from zoo.flow import ESTIMATORS
from zoo.runs.files import RESULTS
from zoo.settings import EvaluateSettings
from zoo.types import Clip, ClipSpec

FRAMES = 16
RESIZE = "scaled to cover, centre-cropped (area)"
SHOWN = 5  # names in a sentence


@dataclass(frozen=True)
class Piece:
    """A clip of a video. start: its first frame, at the frame rate of the protocol. Two of the same name and start, in
    two folders, are equal."""

    path: Path = field(compare=False)
    name: str  # without suffix, relative to the folder
    start: int


def evaluate_folders(settings: EvaluateSettings) -> list[EvaluationResult]:
    """Measure ``settings.fake`` against ``settings.real``; a line a protocol is added to results.jsonl in ``fake``.

    Where both hold videos of the same names, these are compared pair by pair, too.
    """
    check_counts(settings, ("clips", "frames", "height", "width", "clips_per_video", "batch_size"))
    for name, usual in (("draws", 1), ("context", None), ("temperature", None), ("seed", 0)):
        if getattr(settings, name) != usual:
            raise ZooError(
                f"{name}= is of samples that a run makes; the videos in two folders are there. Leave it out."
            )
    if settings.fps is not None and settings.fps <= 0:
        raise ZooError(f"fps={settings.fps} is no frame rate. Try: fps=25")
    real, fake = (_folder(name, value) for name, value in (("real", settings.real), ("fake", settings.fake)))
    videos = _find(real, "real"), _find(fake, "fake")
    spec = _spec(settings, videos[0][0], _rate(settings, [*videos[0], *videos[1]]))
    found_real, found_fake = (
        _pieces(root, there, spec, settings) for root, there in zip((real, fake), videos, strict=True)
    )
    pairs = _pairs(found_real, found_fake)
    pieces = {"real": [p for p in found_real if p in pairs], "fake": [p for p in found_fake if p in pairs]}
    if not pairs:
        pieces = {"real": found_real, "fake": found_fake}
    clips = settings.clips or min(len(side) for side in pieces.values())
    for side, there in pieces.items():
        if len(there) < clips:
            raise ZooError(
                f"{side}={getattr(settings, side)} has {len(there)} clips of {spec.frames} frames; {clips} were asked. "
                f"Try: clips={len(there)}, or clips_per_video={settings.clips_per_video + 1}"
            )
    names = settings.metrics or _usual(settings, bool(pairs))
    _check(settings, names, bool(pairs), spec.fps)
    protocol = Protocol(
        data=real.resolve().name,
        split="val",
        clips=clips,
        frames=spec.frames,
        context=0,
        fps=spec.fps,
        height=spec.height,
        width=spec.width,
        seed=0,
        resize=RESIZE,
        settings={"clips_per_video": settings.clips_per_video},
    )
    setup = open_tools(settings, names, protocol, spec, None)
    suite = Suite(names, protocol, setup)
    device = find_device(settings.accelerator)
    batches = [_batches(pieces[side][:clips], spec, settings.batch_size, device) for side in ("real", "fake")]
    for real_clip, fake_clip in zip(*batches, strict=True):
        if pairs:
            suite.update(real_clip, [fake_clip["video"]])
        else:
            suite.look(Videos(real_clip["video"], real_clip), real=True)
            suite.look(Videos(fake_clip["video"], fake_clip), real=False)
    found = [EvaluationResult("not known", protocol, figures) for protocol, figures in suite.compute()]
    for each in found:
        more = {"model": fake.name, "real": str(settings.real), "fake": str(settings.fake)}
        add_line(fake / RESULTS, Result(0, "any", each.given, each.figures, each.protocol, more).line())
    return found


def _folder(name: str, value: str | None) -> Path:
    if value is None:
        raise ZooError(f"Two folders are compared, and {name}= is missing. Type: real=<folder> fake=<folder>")
    if not Path(value).is_dir():
        raise ZooError(f"{name}={value} is no folder. A folder of videos is expected.")
    return Path(value)


def _find(root: Path, side: str) -> list[Path]:
    found = find_videos(root)
    if not found.videos:
        raise ZooError(f"{side}={root} holds no video. {found.describe()}")
    return found.videos


def _rate(settings: EvaluateSettings, videos: list[Path]) -> float:
    """Frames a second: as asked, else those of the first real video. Images have no rate, so it is 0, not known, where
    all videos are folders of images, and a ZooError where only some are: videos are read at one."""
    images = [path for path in videos if path.is_dir()]
    if settings.fps is not None or not images:
        return settings.fps or probe(videos[0]).fps
    if len(images) == len(videos):
        return 0.0
    raise ZooError(
        f"{images[0]} is a folder of images, which does not say how many there are a second, and videos are read at "
        "the same rate. Type it: fps=25"
    )


def _spec(settings: EvaluateSettings, first: Path, fps: float) -> ClipSpec:
    """Size as asked, else that of the first real video."""
    if first.is_dir():
        height, width = read_image(files_in(first)[0]).shape[:2]
    else:
        info = probe(first)
        height, width = info.height, info.width
    return ClipSpec(("video",), settings.frames or FRAMES, settings.height or height, settings.width or width, fps)


def _pieces(root: Path, videos: list[Path], spec: ClipSpec, settings: EvaluateSettings) -> list[Piece]:
    """The clips of every video, from its start, one after another. A ZooError for videos that are too short: leaving
    them out silently would change what is measured."""
    pieces, short = [], []
    for path in videos:
        name = str(path.relative_to(root).with_suffix("") if path.is_file() else path.relative_to(root))
        there = count_input_frames(path, spec, None)
        if there < spec.frames:
            short.append((there, name))
        fits = min(there // spec.frames, settings.clips_per_video)
        pieces += [Piece(path, name, number * spec.frames) for number in range(fits)]
    if short:
        rate = f" at {spec.fps:g} a second" if spec.fps else ""
        some = listed(f"{name} ({count})" for count, name in short[:SHOWN])
        more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
        raise ZooError(
            f"{root} holds {len(short)} of {len(videos)} videos with fewer than {spec.frames} frames{rate}: "
            f"{some}{more}. They would be missing from what is measured. Try: frames={min(short)[0]}, or take them out."
        )
    return pieces


def _pairs(real: list[Piece], fake: list[Piece]) -> set[Piece]:
    """The clips of which both folders have one of the same name; none where the names of only some videos agree."""
    names, others = ({piece.name for piece in side} for side in (real, fake))
    if names == others:
        return set(real) & set(fake)
    if names & others:
        alone = sorted(names ^ others)
        print(f"No pairs are compared: {listed(alone[:SHOWN])} is in one of the two folders alone.")
    return set()


def _usual(settings: EvaluateSettings, pairs: bool) -> list[str]:
    names = [*(OF_SAMPLES if pairs else ()), *OF_MOVEMENT]
    names += OF_FEATURES.get(str(settings.features), ["kvd"]) if settings.features else []
    return [*names, "accuracy"] if settings.classifier else names


def _check(settings: EvaluateSettings, names: list[str], pairs: bool, fps: float) -> None:
    if settings.features:
        check_features(settings.features, settings.features_weights)
    found = mistakes(names, given_tools(settings, training=False))
    for name in names:
        card = METRICS.get(name)
        if card and card.paired and not pairs:
            found.append(f"{name} compares pairs, and the two folders do not hold videos of the same names.")
        if card and (card.draws or card.tool == "segmenter"):
            found.append(f"{name} is measured of runs, and not of folders. Leave it out.")
        if card and card.tool == "classifier" and not fps:
            found.append(f"{name}: a classifier knows clips of one frame rate, and images have none. Type it: fps=12.5")
    one_of("flow", settings.flow, ESTIMATORS)
    if settings.flow == "exact":
        found.append("flow=exact is not known of videos alone. Try: flow=dis")
    if found:
        raise ZooError("\n".join(found))


def _batches(pieces: list[Piece], spec: ClipSpec, batch_size: int, device: torch.device) -> Iterator[Clip]:
    for first in range(0, len(pieces), batch_size):
        batch = default_collate([_read(piece, spec) for piece in pieces[first : first + batch_size]])
        yield move_data_to_device(batch, device)


def _read(piece: Piece, spec: ClipSpec) -> Clip:
    """The frames of a clip, (T, 3, H, W) in [-1, 1]."""
    frames = islice(read_model_input(piece.path, spec, None), piece.start, piece.start + spec.frames)
    video: Tensor = torch.cat([frame["video"][0] for frame in frames])
    content = content_checksum(frame_files(piece.path, range(piece.start, piece.start + spec.frames)))
    return {"video": video, "fps": torch.tensor(spec.fps), "key": f"{piece.name}/{piece.start}", "content": content}  # type: ignore[typeddict-item]
