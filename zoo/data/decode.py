"""Video files and images in and out. The only file that knows PyAV; it imports no torch.

A video is read by frame number in the order of presentation. One pass over the packets (nothing is decoded)
finds the time of every frame and which are keyframes, so variable frame rates, B-frames and headers without a
frame count need no special care: reading a frame is seeking to the keyframe before it and decoding up to it.

Shapes: T frames, H x W pixels; frames are uint8 RGB, (H, W, 3).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from zoo.data.boxes import check_claimed_frames
from zoo.errors import ZooError, listed

Frame = NDArray[np.uint8]

WRITABLE_SUFFIXES = (".mp4", ".mov", ".mkv")

RESEEK_AFTER = 32
"""Wanted frames further apart than this are reached by a new seek if a keyframe lies between them."""

MOST_PIXELS = 1 << 26
"""Of a picture, 8192 x 8192: a file of a megabyte may claim, and fill, a thousand times as much memory."""
LONGEST = 1_000_000
"""Seconds from a video's first frame to its last, 11 days: two frames a century apart would be shown as billions."""
GUARDS = {
    "max_pixels": str(MOST_PIXELS),
    # FFmpeg tells formats by what is in a file, and some are lists of other files, here or on the internet.
    "format_whitelist": "mov,matroska,avi,gif,mpeg,mpegts,mpegvideo,h264,hevc,flv,asf,ogg,dv,image2,apng,"
    + ",".join(f"{kind}_pipe" for kind in ("png", "jpeg", "jpegls", "j2k", "bmp", "webp", "tiff", "gif")),
    "protocol_whitelist": "file",
}
"""What is asked of FFmpeg for every file."""

MOST_OPEN = 16
"""Files that are left open: to open one takes as long as to decode five small frames, and longer the longer it is."""
_LEFT_OPEN: dict[tuple[int, Path, int, int], InputContainer] = {}

BT709 = 1
"""The number of BT.709 among colour primaries and transfer characteristics (ITU-T H.273)."""


@dataclass(frozen=True)
class VideoInfo:
    """A video as it is stored, turned upright. fps is the mean rate where the rate varies."""

    frames: int
    fps: float
    height: int
    width: int


@dataclass(frozen=True)
class Timeline:
    """When each frame is shown and where decoding may start.

    stamps: (T,) ascending, in units of ``time_base`` seconds, or frame numbers if not ``has_times``.
    keys: (K,) ascending numbers of the keyframes, the first frame among them.
    rate: the nominal frame rate of the header.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    time_base: Fraction
    rate: float
    has_times: bool

    def seconds(self) -> NDArray[np.float64]:
        """(T,) seconds since the first frame."""
        unit = float(self.time_base) if self.has_times else 1 / self.rate
        return np.asarray((self.stamps - self.stamps[0]) * unit, dtype=np.float64)

    def key_before(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position in ``keys`` of the last keyframe at or before each of these frames."""
        return np.searchsorted(self.keys, frames, side="right") - 1


def probe(path: Path) -> VideoInfo:
    """Number of frames, mean rate and size: reads every packet, decodes the first frame.

    Raises ZooError, naming the file, if it is empty, cut short, or no video.
    """
    timeline = _timeline(path)
    seconds = timeline.seconds()
    frames = len(seconds)
    fps = float((frames - 1) / seconds[-1]) if seconds[-1] > 0 else timeline.rate
    if abs(fps / timeline.rate - 1) < 0.01:  # containers round times, to a millisecond in mkv
        fps = timeline.rate
    height, width, _ = read_frames(path, [0])[0].shape
    return VideoInfo(frames, fps, height, width)


def frame_times(path: Path) -> NDArray[np.float64]:
    """(T,) when each frame is shown, in seconds since the first."""
    return _timeline(path).seconds()


def keyframe_before(path: Path, number: int) -> int:
    """The number of the last keyframe at or before a frame: where decoding it begins."""
    timeline = _timeline(path)
    return int(timeline.keys[timeline.key_before(np.array([number]))[0]])


def read_frames(path: Path, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
    """The frames of these ascending numbers, which may repeat, (T, H, W, 3). Decodes no more than it must."""
    return np.stack(list(iter_frames(path, indices)))


def iter_frames(path: Path, indices: Sequence[int] | NDArray[np.int64]) -> Iterator[Frame]:
    """Like `read_frames`, one frame at a time, so that a long video of large frames fits in memory."""
    timeline = _timeline(path)
    wanted = np.asarray(indices, dtype=np.int64)
    assert (np.diff(wanted) >= 0).all(), "frame numbers must ascend"
    if wanted[0] < 0 or wanted[-1] >= len(timeline.stamps):
        raise ZooError(f"{path} has frames 0 to {len(timeline.stamps) - 1}; {wanted[-1]} was asked.")
    for run in _runs(timeline, wanted):
        yield from _decode_run(path, timeline, run)


def _runs(timeline: Timeline, wanted: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut frame numbers into runs that are each best read from one seek."""
    starts = timeline.keys[timeline.key_before(wanted)]
    far = starts[1:] > wanted[:-1] + RESEEK_AFTER
    return np.split(wanted, np.flatnonzero(far) + 1)


def _decode_run(path: Path, timeline: Timeline, run: NDArray[np.int64]) -> Iterator[Frame]:
    """Frames in one go from the keyframe before the first; a frame is shown until the next one's time."""
    key = int(timeline.key_before(run)[0])
    while True:
        decoded = _decode_from(path, timeline, key)
        first = next(decoded, None)
        if first is not None and first[0] <= timeline.stamps[run[0]]:
            break
        if key < 0:
            raise ZooError(f"{path}: frame {run[0]} and those after it cannot be decoded.")
        key = -1  # the seek went past the frame, as it may where keyframes are closer than the reordering
    pending: list[int] = timeline.stamps[run].tolist()
    shown = first[1]
    converter = VideoReformatter()  # a new one for each frame, PyAV's own way, takes four times as long
    for stamp, frame in decoded:
        while pending and stamp > pending[0]:
            pending.pop(0)
            yield _to_rgb(shown, converter)
        if not pending:
            return
        shown = frame
    for _ in pending:
        yield _to_rgb(shown, converter)


def _decode_from(path: Path, timeline: Timeline, key: int) -> Iterator[tuple[int, VideoFrame]]:
    """Stamped frames from a keyframe on; from the start of the file if ``key`` is -1 or there are no times to seek."""
    seeks = key >= 0 and timeline.has_times
    with _borrowed(path) if seeks else _opened(path) as (container, stream):
        if seeks:
            container.seek(int(timeline.stamps[timeline.keys[key]]), stream=stream)
        numbers = count()
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # a damaged packet costs its own frame: the one before it is shown on
            for frame in frames:
                number = next(numbers)
                yield (number if frame.pts is None or not timeline.has_times else frame.pts), frame


def _to_rgb(frame: VideoFrame, converter: VideoReformatter) -> Frame:
    """Pixels, upright: telephones store what the sensor saw and a rotation beside it."""
    pixels = converter.reformat(frame, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _timeline(path: Path) -> Timeline:
    try:
        stat = path.stat()
    except OSError as problem:
        raise ZooError(f"{path} cannot be opened: {problem.strerror}.") from problem
    if stat.st_size == 0:
        raise ZooError(f"{path} is empty (0 bytes).")
    return _read_timeline(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _read_timeline(path: Path, size: int, mtime_ns: int) -> Timeline:
    """Read all packets; size and time are there to forget the answer when the file changes."""
    check_claimed_frames(path)
    with _opened(path) as (container, stream):
        packets = [  # not the packets themselves: together they weigh as much as the file
            (p.pts, p.is_keyframe, p.is_corrupt) for p in container.demux(stream) if p.size and not p.is_discard
        ]
        whole = sum(not is_corrupt for _, _, is_corrupt in packets)
        if whole < len(packets):
            promised = f" of the {stream.frames} that its header promises" if stream.frames else ""
            raise ZooError(f"{path} is cut short or damaged: {whole} frames can be read{promised}.")
        if not packets or stream.time_base is None:
            raise ZooError(f"{path} holds no frame.")
        times = [pts for pts, _, _ in packets if pts is not None]
        # AVI stores no presentation times: with B-frames only the order of the decoded frames can be trusted
        reordered = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
        has_times = len(times) == len(packets) and not reordered
        stamps = np.asarray(times if has_times else range(len(packets)), dtype=np.int64)
        if has_times and float(stamps.max() - stamps.min()) * float(stream.time_base) > LONGEST:
            raise ZooError(f"{path} cannot be read: its frames claim to lie more than {LONGEST:,} seconds apart.")
        order = np.argsort(stamps, kind="stable")
        is_key = np.asarray([is_keyframe for _, is_keyframe, _ in packets])[order]
        return Timeline(
            stamps=stamps[order],
            keys=np.flatnonzero(is_key) if has_times and is_key[0] else np.zeros(1, dtype=np.int64),
            time_base=stream.time_base,
            rate=float(stream.average_rate or stream.guessed_rate or 25),
            has_times=has_times,
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """An open file and its first video stream; every failure becomes a ZooError that names the file."""
    with _failures_named(path), av.open(str(path), options=GUARDS) as container:
        yield container, _video_stream(path, container)


@contextmanager
def _borrowed(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """As `_opened`, at any position: the file stays open for whoever reads it next in this process."""
    stat = path.stat()
    name = (os.getpid(), path, stat.st_size, stat.st_mtime_ns)  # a forked process shares the position in its files
    with _failures_named(path):
        container = _LEFT_OPEN.pop(name, None) or av.open(str(path), options=GUARDS)
        try:
            yield container, _video_stream(path, container)
        except GeneratorExit:  # as many frames as were wanted
            pass
        except BaseException:
            container.close()
            raise
        _LEFT_OPEN[name] = container
        while len(_LEFT_OPEN) > MOST_OPEN:
            _LEFT_OPEN.pop(next(iter(_LEFT_OPEN))).close()


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    """Every failure becomes a ZooError that names the file."""
    try:
        yield
    except av.error.FFmpegError as problem:
        raise ZooError(f"{path} cannot be read: {problem.strerror or problem}.") from problem


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first one, with one thread: frames this small gain nothing by more, and threads do not survive a fork."""
    if not container.streams.video:
        raise ZooError(f"{path} holds no video stream.")
    stream = container.streams.video[0]
    if not 0 < stream.width * stream.height <= MOST_PIXELS:
        found = f"it claims {stream.width}x{stream.height} pixels" if stream.width else "no such one is in it"
        raise ZooError(f"{path} cannot be read: pictures have 1 to {MOST_PIXELS:,} pixels, and {found}.")
    if not stream.codec_context.is_open:
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        stream.codec_context.thread_count = 1
    return stream


def read_image(path: Path) -> Frame:
    """One image, (H, W, 3) uint8 RGB."""
    with _opened(path) as (container, stream):
        return _to_rgb(_first_frame(path, container, stream), VideoReformatter())


def read_ids(path: Path) -> NDArray[np.int64]:
    """One image of ids, (H, W): grey of 8 or 16 bits, or the palette's numbers (not its colours)."""
    with _opened(path) as (container, stream):
        frame = _first_frame(path, container, stream)
        if frame.format.name == "pal8":
            return np.asarray(frame.to_ndarray()[0], dtype=np.int64)
        if not frame.format.name.startswith("gray"):
            raise ZooError(
                f"{path} has {frame.format.name} pixels; a map of ids is a PNG of one channel, grey or "
                "with a palette, whose pixel values are the ids."
            )
        return frame.to_ndarray().astype(np.int64)


def _first_frame(path: Path, container: InputContainer, stream: VideoStream) -> VideoFrame:
    for frame in container.decode(stream):
        return frame
    raise ZooError(f"{path} holds no picture.")


class VideoWriter:
    """Writes H.264 frame by frame at constant memory; the file appears when the ``with`` block ends well.

    An odd height or width is padded by one row or column, which repeats the last: yuv420p needs even sizes.
    """

    def __init__(self, path: Path, fps: float, crf: int = 18) -> None:
        if path.suffix.lower() not in WRITABLE_SUFFIXES:
            raise ZooError(f"{path}: videos are written as {listed(WRITABLE_SUFFIXES)}.")
        self.path = path
        self.fps = Fraction(fps).limit_denominator(1001)
        self.crf = crf
        self._part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
        self._shape: tuple[int, ...] | None = None

    def __enter__(self) -> VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        options = {} if self.path.suffix.lower() == ".mkv" else {"movflags": "+faststart"}
        self._container = av.open(str(self._part), "w", options=options)
        return self

    def write(self, frame: Frame) -> None:
        """Append one frame, (H, W, 3) uint8 RGB; all frames have the size of the first."""
        assert frame.dtype == np.uint8, "a frame is uint8"
        if self._shape is None:
            self._shape = frame.shape
            self._stream = self._open_stream(*frame.shape[:2])
        if frame.shape != self._shape:
            raise ZooError(f"{self.path}: a frame of {frame.shape[:2]} follows frames of {self._shape[:2]}.")
        height, width = frame.shape[:2]
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation="AREA",  # averages chroma; the default's rounding darkens colours by up to 2 in 255
        )
        self._container.mux(self._stream.encode(picture))

    def _open_stream(self, height: int, width: int) -> VideoStream:
        stream: Any = self._container.add_stream("libx264", rate=self.fps, options={"crf": str(self.crf)})
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries = context.color_trc = BT709
        return stream  # type: ignore[no-any-return]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._shape is not None and error is None:
                self._container.mux(self._stream.encode())
            self._container.close()
            if error is None:
                if self._shape is None:
                    raise ZooError(f"{self.path}: no frame was written.")
                self._part.replace(self.path)
        finally:
            self._part.unlink(missing_ok=True)


def write_video(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write frames, each (H, W, 3) uint8 RGB, as H.264."""
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)
