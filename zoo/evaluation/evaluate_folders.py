"""Evaluate any two folders of videos, of whatever model or origin.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import cast

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor
from torch.utils.data import default_collate

from zoo.data.decode import frame_rate, probe, read_image
from zoo.data.model_input import count_input_frames, read_model_input
from zoo.data.selection import FIRST, SPREAD, choose_clips, random_start
from zoo.data.sequences.files import content_checksum
from zoo.data.sequences.find import find_videos
from zoo.data.sequences.frame_names import refuse_strips
from zoo.data.sequences.pairing import is_gapless, pair_files
from zoo.data.sets.folder.footage import files_of, frame_files
from zoo.devices.hardware import find_device
from zoo.errors import ZooError, joined
from zoo.evaluation.choice import Situation, check_metrics, default_metrics
from zoo.evaluation.evaluate_run import EvaluationResult
from zoo.evaluation.metric import Videos
from zoo.evaluation.named_protocols import NamedProtocol
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, add_line
from zoo.evaluation.suite import Suite
from zoo.evaluation.tools import open_tools
from zoo.io.own_files import open_to_append, refuse_links
from zoo.runs.files import RESULTS
from zoo.settings import EvaluateSettings
from zoo.types import Clip, ClipSpec, Split

logger = logging.getLogger(__name__)

DEFAULT_FRAMES = 16
RESIZE = "scaled to cover, centre-cropped (area)"
SAME_RATE = 0.01  # relative difference up to which two frame rates are one, such as 29.97 and 30
MAX_NAMES = 5  # names of videos in one message


@dataclass(frozen=True)
class Segment:
    """A clip cut from a video. Segments of the same name and start, in two folders, form a pair and are equal."""

    path: Path = field(compare=False)
    """The video, or a folder of images."""

    name: str
    """Path of the video relative to its folder, without the suffix."""

    start: int
    """First frame, at the frame rate of the protocol."""


def evaluate_folders(settings: EvaluateSettings, named: NamedProtocol | None = None) -> list[EvaluationResult]:
    """Evaluate ``settings.fake`` against ``settings.real`` and add a line per protocol to results.jsonl in ``fake``.

    If the folders hold videos of the same names, these are also compared in pairs, unless a named protocol chooses the
    clips. named: protocol that the settings are from, if any. Raises ZooError for settings of
    runs, for folders without videos or with videos that are too short, and for metrics that do not apply.
    """
    for name, default in (("split", None), ("draws", None), ("context", None), ("temperature", None), ("seed", 0)):
        if getattr(settings, name) != default and not named:
            raise ZooError(
                f"{name}={getattr(settings, name)} applies to the samples of a run only, but two folders of videos are "
                "given. Leave it out."
            )
    real, fake = (_folder(name, value) for name, value in (("real", settings.real), ("fake", settings.fake)))
    videos = _find(real, "real"), _find(fake, "fake")
    for side, root, paths in zip(("real", "fake"), (real, fake), videos, strict=True):
        _check_names(side, root, paths)
    if named:
        spec = ClipSpec(("video",), settings.frames or DEFAULT_FRAMES, named.height, named.width, settings.fps or 0.0)
        all_real, all_fake = (
            _random_segments(real, videos[0], spec, settings),
            _segments(fake, videos[1], spec, settings),
        )
    else:
        spec = _spec(settings, videos[0][0], _frame_rate(settings, [*videos[0], *videos[1]]))
        all_real, all_fake = (
            _segments(root, paths, spec, settings) for root, paths in zip((real, fake), videos, strict=True)
        )
    pairs = set() if named else _pairs(all_real, all_fake)
    segments = {"real": all_real, "fake": all_fake}
    if pairs:
        in_pairs = {side: [each for each in found if each in pairs] for side, found in segments.items()}
        segments = {side: sorted(found, key=lambda s: (s.name, s.start)) for side, found in in_pairs.items()}
    clips = settings.clips or min(len(side) for side in segments.values())
    for side, found in segments.items():
        if len(found) < clips and named:
            raise named.refuse(
                f"The protocol is of {clips} videos, but {side}={getattr(settings, side)} has {len(found)} of at least "
                f"{spec.frames} frames.",
                f"clips={len(found)} ",
            )
        if len(found) < clips:
            raise ZooError(
                f"clips={clips}, but {side}={getattr(settings, side)} has {len(found)} clips of {spec.frames} frames. "
                f"Try: clips={len(found)}, or clips_per_video={settings.clips_per_video + 1}"
            )
    refuse_links(fake, [RESULTS])
    _warn_unless_writable(fake)
    situation = Situation("folders", paired=bool(pairs), spec=spec)
    names = settings.metrics or default_metrics(settings, situation)
    check_metrics(settings, names, situation)
    protocol = Protocol(
        data=real.resolve().name,
        split=cast(Split, settings.split or "val"),  # a named protocol says what the real videos are
        clips=clips,
        frames=spec.frames,
        context=0,
        fps=spec.fps,
        height=spec.height,
        width=spec.width,
        seed=settings.seed,
        selection=named.selection if named else SPREAD,
        resize=named.resize if named else RESIZE,
        settings={"clips_per_video": settings.clips_per_video},
        name=named.name if named else "",
        variant=named.variant if named else "",
    )
    suite = Suite(names, protocol, open_tools(settings, names, protocol, spec, None))
    device = find_device(settings.accelerator)
    rule = FIRST if named else SPREAD
    chosen = [[found[i] for i in choose_clips(rule, len(found), clips)] for found in segments.values()]
    if named:
        _check_stored_sizes([segment.path for side in chosen for segment in side], named)
    batches = [_batches(side, spec, settings.batch_size, device) for side in chosen]
    for real_clip, fake_clip in zip(*batches, strict=True):
        if pairs:
            suite.update(real_clip, [fake_clip["video"]])
        else:
            suite.update_videos(Videos(real_clip["video"], real_clip), real=True)
            suite.update_videos(Videos(fake_clip["video"], fake_clip), real=False)
    results = [EvaluationResult("not known", m.protocol, m.metrics, m.curves) for m in suite.compute()]
    for each in results:
        more = {"model": fake.name, "real": str(settings.real), "fake": str(settings.fake)}
        result = Result(0, "any", each.given, each.metrics, each.protocol, more, each.curves)
        try:
            add_line(fake / RESULTS, result.line())
        except OSError as problem:
            logger.warning(_explain_unwritten(fake, problem))
    return results


def _warn_unless_writable(fake: Path) -> None:
    """Say before the work that the numbers will be shown, but not written. Raises ZooError for a link or a pipe."""
    try:
        if os.path.lexists(fake / RESULTS):
            with open_to_append(fake / RESULTS):
                pass
        else:
            with TemporaryFile(dir=fake):
                pass
    except OSError as problem:
        logger.warning(_explain_unwritten(fake, problem))


def _explain_unwritten(fake: Path, problem: OSError) -> str:
    return f"{fake / RESULTS} cannot be written: {problem.strerror}. The numbers are shown here alone."


def _folder(name: str, value: str | None) -> Path:
    if value is None:
        raise ZooError(f"Two folders are compared, but {name}= is missing. Type: real=<folder> fake=<folder>")
    if not Path(value).is_dir():
        raise ZooError(f"{name}={value} is no folder. A folder of videos is expected.")
    return Path(value)


def _find(root: Path, side: str) -> list[Path]:
    found = find_videos(root)
    if not found.videos:
        raise ZooError(f"{side}={root} holds no video. {found.describe()}")
    return found.videos


def _frame_rate(settings: EvaluateSettings, videos: list[Path]) -> float:
    """Frames per second: the user's, else that of all videos; 0 (unknown) if all are folders of images.

    Raises ZooError if only some are, since images have no frame rate; and if the rates of two videos differ, since one
    would be resampled, and the frames that repeats or drops change every temporal metric.
    """
    images = [path for path in videos if path.is_dir()]
    if settings.fps is not None:
        return settings.fps
    if not images:
        return _common_rate(videos)
    if len(images) == len(videos):
        return 0.0
    raise ZooError(
        f"{images[0]} is a folder of images, which has no frame rate, but the videos beside it are read at one. "
        "Type the rate: fps=25"
    )


def _common_rate(videos: list[Path]) -> float:
    first = frame_rate(videos[0])
    for path in videos:
        if abs((other := frame_rate(path)) / first - 1) > SAME_RATE:
            raise ZooError(
                f"{videos[0]} has {first:g} frames per second, but {path} has {other:g}. At one rate, frames of one of "
                f"them are repeated or dropped. To resample all videos, type fps={min(first, other):g}. To compare "
                "frame by frame instead, save them as folders of images."
            )
    return first


def _spec(settings: EvaluateSettings, first: Path, fps: float) -> ClipSpec:
    """Form of the clips: height and width are the user's, else those of the first real video."""
    height, width = _stored_size(first)
    frames = settings.frames or DEFAULT_FRAMES
    return ClipSpec(("video",), frames, settings.height or height, settings.width or width, fps)


def _stored_size(path: Path) -> tuple[int, int]:
    """Height and width of the first frame."""
    if path.is_dir():
        height, width = read_image(files_of(path)[0]).shape[:2]
        refuse_strips(path, height, width)
        return height, width
    info = probe(path)
    return info.height, info.width


def _check_stored_sizes(paths: list[Path], named: NamedProtocol) -> None:
    """Raise ZooError for a video of another size than the protocol's: it resizes nothing, whatever its name."""
    for path in paths:
        height, width = _stored_size(path)
        named.check_size(str(path), height, width)
        if (height, width) != (named.height, named.width):
            raise ZooError(
                f"{path} has frames of {height}x{width} pixels, but {named.name} is of {named.height}x{named.width}, "
                f"and this protocol resizes none. Store all videos at one size, and type height={height} width={width}"
            )


def _random_segments(root: Path, videos: list[Path], spec: ClipSpec, settings: EvaluateSettings) -> list[Segment]:
    """One clip at a random place of each video that is long enough, in sorted order; the others are left out."""
    segments = []
    for path, name in ((path, _name(root, path)) for path in videos):
        length = count_input_frames(path, spec, None)
        if length >= spec.frames:
            segments.append(Segment(path, name, random_start(name, length, spec.frames, settings.seed)))
    if len(segments) < len(videos):
        short = len(videos) - len(segments)
        logger.info(
            f"{short} of {len(videos)} videos in {root} are left out: they are shorter than {spec.frames} frames."
        )
    return segments


def _name(root: Path, path: Path) -> str:
    return str(path.relative_to(root).with_suffix("") if path.is_file() else path.relative_to(root))


def _segments(root: Path, videos: list[Path], spec: ClipSpec, settings: EvaluateSettings) -> list[Segment]:
    """The clips of every video, one after another from its start.

    Raises ZooError for videos that are too short: leaving them out silently would change what is measured.
    """
    segments, short = [], []
    for path in videos:
        name = _name(root, path)
        frames = count_input_frames(path, spec, None)
        if frames < spec.frames:
            short.append((frames, name))
        count = min(frames // spec.frames, settings.clips_per_video)
        segments += [Segment(path, name, number * spec.frames) for number in range(count)]
    if short:
        rate = f" at {spec.fps:g} per second" if spec.fps else ""
        some = joined(f"{name} ({count})" for count, name in short[:MAX_NAMES])
        more = f" and {len(short) - MAX_NAMES} more" if len(short) > MAX_NAMES else ""
        raise ZooError(
            f"{root} holds {len(short)} of {len(videos)} videos with fewer than {spec.frames} frames{rate}: "
            f"{some}{more}. Try: frames={min(short)[0]}, or move these videos elsewhere."
        )
    return segments


def _pairs(real: list[Segment], fake: list[Segment]) -> set[Segment]:
    """The clips that both folders have; none unless both have videos of exactly the same names."""
    names, others = ({segment.name for segment in side} for side in (real, fake))
    if names == others:
        pairs = set(real) & set(fake)
        _check_frames(real, fake)
        return pairs
    if names & others:
        unmatched = sorted(names ^ others)
        logger.info(f"No pairs are compared, since only one of the two folders holds {joined(unmatched[:MAX_NAMES])}.")
    return set()


def _check_names(side: str, root: Path, videos: list[Path]) -> None:
    """Raise ZooError if two videos of a folder differ only in the suffix: either could be the partner of a third."""
    names: dict[str, Path] = {}
    for path in videos:
        if (first := names.setdefault(_name(root, path), path)) != path:
            raise ZooError(f"{side}={root} holds {first} and {path}, which have one name. Move one of them away.")


def _check_frames(real: list[Segment], fake: list[Segment]) -> None:
    """Raise ZooError if two folders of images of one name do not hold the same frames.

    Their names must be the same, or numbers without a gap: one folder may count from 0, and the other from 1.
    """
    folders = [{each.name: each.path for each in side if each.path.is_dir()} for side in (real, fake)]
    for name in sorted(folders[0].keys() & folders[1].keys()):
        files = {f"real={folders[0][name]}": files_of(folders[0][name])}
        files |= {f"fake={folders[1][name]}": files_of(folders[1][name])}
        counts = {len(found) for found in files.values()}
        if len(counts) > 1 or not all(is_gapless(found) for found in files.values()):
            pair_files(files, next(iter(files)))


def _batches(segments: list[Segment], spec: ClipSpec, batch_size: int, device: torch.device) -> Iterator[Clip]:
    for first in range(0, len(segments), batch_size):
        batch = default_collate([_read(segment, spec) for segment in segments[first : first + batch_size]])
        yield move_data_to_device(batch, device)


def _read(segment: Segment, spec: ClipSpec) -> Clip:
    """Read one clip, video (T, 3, H, W) in [-1, 1]."""
    start, end = segment.start, segment.start + spec.frames
    frames = islice(read_model_input(segment.path, spec, None, start=start), spec.frames)
    video: Tensor = torch.cat([frame["video"][0] for frame in frames])
    content = content_checksum(frame_files(segment.path, range(start, end)))
    return {"video": video, "fps": torch.tensor(spec.fps), "key": f"{segment.name}/{start}", "content": content}  # type: ignore[typeddict-item]
