"""Read and write videos and images. The only file that imports PyAV; it imports no torch.

Frames are read by number, in presentation order. One pass over the packets, without decoding, finds the time of every
frame and the keyframes, so variable frame rates, B-frames and headers without a frame count work: to read a frame, seek
to the keyframe before it and decode up to it.

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

from zoo.data.mp4_boxes import check_claimed_frames
from zoo.data.png_chunks import check_png
from zoo.errors import ZooError, joined
from zoo.io.bounded import check_is_file

RGBFrame = NDArray[np.uint8]

WRITABLE_SUFFIXES = (".mp4", ".mov", ".mkv")

RESEEK_AFTER = 32
"""Frames further apart than this are reached by another seek if there is a keyframe between them."""

MAX_PIXELS = 1 << 26
"""Maximal number of pixels of an image, 8192 x 8192: a file of a megabyte may claim, and fill, a thousand times as much
memory."""
MAX_SECONDS = 1_000_000
"""Maximal duration of a video in seconds, 11 days: two frames a century apart would be resampled to billions."""
FFMPEG_OPTIONS = {
    "max_pixels": str(MAX_PIXELS),
    # FFmpeg detects formats by content, and some formats refer to other files, local or on the internet.
    "format_whitelist": "mov,matroska,avi,gif,mpeg,mpegts,mpegvideo,h264,hevc,flv,asf,ogg,dv,image2,apng,"
    + ",".join(f"{kind}_pipe" for kind in ("png", "jpeg", "jpegls", "j2k", "bmp", "webp", "tiff", "gif")),
    "protocol_whitelist": "file",
}
"""Options of FFmpeg for every file."""

X264 = {"preset": "medium", "threads": "1", "x264-params": "mbtree=0"}
"""Options of the encoder under which the same frames give the same bytes: the macroblock tree reads memory that nobody
has set, and the number of threads, by default that of the machine's cores, changes the bytes."""

MAX_OPEN_FILES = 16
"""Number of files that stay open: to open one takes as long as to decode five small frames, longer for long videos."""
_open_files: dict[tuple[int, Path, int, int], InputContainer] = {}

BT709 = 1
"""Number of BT.709 among the colour primaries and transfer characteristics of ITU-T H.273."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a stored video, after its rotation is applied. fps is the mean rate if the rate varies."""

    frames: int
    fps: float
    height: int
    width: int


@dataclass(frozen=True)
class FrameIndex:
    """Times and keyframes of a video.

    stamps: (T,) ascending presentation times in units of ``time_base`` seconds; frame numbers if not ``has_times``.
    keyframes: (K,) ascending frame numbers of the keyframes; the first frame is one of them. rate: nominal frame rate
    in the header.
    """

    stamps: NDArray[np.int64]
    keyframes: NDArray[np.int64]
    time_base: Fraction
    rate: float
    has_times: bool

    def seconds(self) -> NDArray[np.float64]:
        """Presentation times in seconds since the first frame, (T,)."""
        unit = float(self.time_base) if self.has_times else 1 / self.rate
        return np.asarray((self.stamps - self.stamps[0]) * unit, dtype=np.float64)

    def keyframe_position(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position in ``keyframes`` of the last keyframe at or before each of these frames."""
        return np.searchsorted(self.keyframes, frames, side="right") - 1


def probe(path: Path) -> VideoInfo:
    """Read the number of frames, the mean rate and the size of a video. Reads every packet, decodes the first frame.

    Raises ZooError, naming the file, if it is empty, truncated or not a video.
    """
    with _name_file_in_errors(path):
        height, width, _ = read_frames(path, [0])[0].shape
        return VideoInfo(len(_get_index(path).stamps), frame_rate(path), height, width)


def frame_rate(path: Path) -> float:
    """Frames per second: the mean rate, or the nominal one if that is within 1 % of it. Decodes nothing."""
    index = _get_index(path)
    with _name_file_in_errors(path):
        seconds = index.seconds()
        fps = float((len(seconds) - 1) / seconds[-1]) if seconds[-1] > 0 else index.rate
        # containers round times; mkv to a millisecond
        return index.rate if abs(fps / index.rate - 1) < 0.01 else fps


def frame_times(path: Path) -> NDArray[np.float64]:
    """Presentation times in seconds since the first frame, (T,)."""
    with _name_file_in_errors(path):
        return _get_index(path).seconds()


def keyframe_before(path: Path, number: int) -> int:
    """Number of the last keyframe at or before a frame: where decoding it begins."""
    index = _get_index(path)
    return int(index.keyframes[index.keyframe_position(np.array([number]))[0]])


def read_frames(path: Path, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
    """Read frames by ascending number, which may repeat: (T, H, W, 3). Decodes no more than necessary. Raises ZooError
    past the end."""
    frames = list(iter_frames(path, indices))
    if len({frame.shape for frame in frames}) > 1:
        raise ZooError(f"{path} cannot be read: its frames change their size. Re-encode the file.")
    return np.stack(frames)


def iter_frames(path: Path, indices: Sequence[int] | NDArray[np.int64]) -> Iterator[RGBFrame]:
    """Like `read_frames`, one frame at a time, so long videos of large frames fit in memory."""
    index = _get_index(path)
    wanted = np.asarray(indices, dtype=np.int64)
    assert (np.diff(wanted) >= 0).all(), "frame numbers must ascend"
    if wanted[0] < 0 or wanted[-1] >= len(index.stamps):
        raise ZooError(f"{path} has frames 0 to {len(index.stamps) - 1}; frame {wanted[-1]} was requested.")
    with _name_file_in_errors(path):
        for run in _split_into_runs(index, wanted):
            yield from _decode_run(path, index, run)


def _split_into_runs(index: FrameIndex, wanted: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split frame numbers into runs that are each read with a single seek."""
    starts = index.keyframes[index.keyframe_position(wanted)]
    far = starts[1:] > wanted[:-1] + RESEEK_AFTER
    return np.split(wanted, np.flatnonzero(far) + 1)


def _decode_run(path: Path, index: FrameIndex, run: NDArray[np.int64]) -> Iterator[RGBFrame]:
    """Decode a run from the keyframe before it. A frame is shown until the time of the next one."""
    key = int(index.keyframe_position(run)[0])
    while True:
        decoded = _decode_from(path, index, key)
        first = next(decoded, None)
        if first is not None and first[0] <= index.stamps[run[0]]:
            break
        if key < 0:
            raise ZooError(f"{path}: frame {run[0]} and those after it cannot be decoded. Re-encode the file.")
        key = -1  # the seek overshot, which happens if keyframes are closer than the reordering delay
    pending: list[int] = index.stamps[run].tolist()
    shown = first[1]
    converter = VideoReformatter()  # reused: PyAV's default, a new one per frame, takes four times as long
    for stamp, frame in decoded:
        while pending and stamp > pending[0]:
            pending.pop(0)
            yield _to_rgb(shown, converter)
        if not pending:
            return
        shown = frame
    for _ in pending:
        yield _to_rgb(shown, converter)


def _decode_from(path: Path, index: FrameIndex, key: int) -> Iterator[tuple[int, VideoFrame]]:
    """Yield frames with time stamps from a keyframe on; from the start if ``key`` is -1 or the file has no times."""
    seeks = key >= 0 and index.has_times
    with _reuse_container(path) if seeks else _open_container(path) as (container, stream):
        if seeks:
            container.seek(int(index.stamps[index.keyframes[key]]), stream=stream)
        numbers = count()
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # a damaged packet loses its own frame only: the previous one is shown on
            for frame in frames:
                number = next(numbers)
                yield (number if frame.pts is None or not index.has_times else frame.pts), frame


def _to_rgb(frame: VideoFrame, converter: VideoReformatter) -> RGBFrame:
    """Convert to RGB and apply the rotation, which telephones store beside the sensor's image."""
    pixels = converter.reformat(frame, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _get_index(path: Path) -> FrameIndex:
    try:
        stat = path.stat()
    except OSError as problem:
        raise ZooError(f"{path} cannot be opened: {problem.strerror}.") from problem
    check_is_file(path)
    if stat.st_size == 0:
        raise ZooError(f"{path} is empty (0 bytes).")
    return _read_index(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _read_index(path: Path, size: int, mtime_ns: int) -> FrameIndex:
    """Read all packets. size and mtime_ns are part of the cache key, so a changed file is read again."""
    with _name_file_in_errors(path):
        check_claimed_frames(path)
    with _open_container(path) as (container, stream):
        packets = [  # not the packets themselves, which take as much memory as the file
            (p.pts, p.is_keyframe, p.is_corrupt) for p in container.demux(stream) if p.size and not p.is_discard
        ]
        whole = sum(not is_corrupt for _, _, is_corrupt in packets)
        if whole < len(packets):
            promised = f" of the {stream.frames} in its header" if stream.frames else ""
            raise ZooError(f"{path} is truncated or damaged: {whole} frames can be read{promised}. Copy it again.")
        if not packets or stream.time_base is None:
            raise ZooError(f"{path} contains no frames.")
        times = [pts for pts, _, _ in packets if pts is not None]
        # AVI stores no presentation times: with B-frames only the order of the decoded frames is reliable
        reordered = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
        has_times = len(times) == len(packets) and not reordered
        stamps = np.asarray(times if has_times else range(len(packets)), dtype=np.int64)
        if has_times and float(stamps.max() - stamps.min()) * float(stream.time_base) > MAX_SECONDS:
            raise ZooError(
                f"{path} cannot be read: its time stamps span more than {MAX_SECONDS:,} seconds. Re-encode the file."
            )
        order = np.argsort(stamps, kind="stable")
        is_key = np.asarray([is_keyframe for _, is_keyframe, _ in packets])[order]
        return FrameIndex(
            stamps=stamps[order],
            keyframes=np.flatnonzero(is_key) if has_times and is_key[0] else np.zeros(1, dtype=np.int64),
            time_base=stream.time_base,
            rate=float(stream.average_rate or stream.guessed_rate or 25),
            has_times=has_times,
        )


@contextmanager
def _open_container(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream. FFmpeg's errors become ZooErrors that name the file."""
    with _name_file_in_errors(path), _open(path) as container:
        yield container, _video_stream(path, container)


@contextmanager
def _reuse_container(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Like `_open_container`, at an arbitrary position: the file stays open for the next reader in this process."""
    with _name_file_in_errors(path):
        stat = path.stat()
        # a forked process shares file positions with its parent
        name = (os.getpid(), path, stat.st_size, stat.st_mtime_ns)
        container = _open_files.pop(name, None) or _open(path)
        try:
            yield container, _video_stream(path, container)
        except GeneratorExit:  # the caller has all its frames
            pass
        except BaseException:
            container.close()
            raise
        _open_files[name] = container
        while len(_open_files) > MAX_OPEN_FILES:
            _open_files.pop(next(iter(_open_files))).close()


@contextmanager
def _name_file_in_errors(path: Path) -> Iterator[None]:
    """Turn all errors into ZooErrors that name the file: a damaged one makes PyAV raise errors of any type.

    Raises ZooError for what FFmpeg may not open at all.
    """
    check_is_file(path)
    try:
        check_png(path)
        yield
    except (ZooError, AssertionError):
        raise
    except av.error.FFmpegError as problem:
        raise ZooError(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    except Exception as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200].rstrip(".")
        raise ZooError(f"{path} cannot be read: it is damaged, or no video or image ({reason}).") from problem


def _open(path: Path) -> InputContainer:
    """Open a file with FFMPEG_OPTIONS. Titles and the like may have any encoding; nothing reads them."""
    return av.open(str(path), options=FFMPEG_OPTIONS, metadata_errors="replace")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the first video stream, decoded with one thread: small frames gain nothing from more, and threads do not
    survive a fork."""
    if not container.streams.video:
        raise ZooError(f"{path} contains no video stream.")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ZooError(f"{path} cannot be read: FFmpeg does not know its codec. Re-encode the file, or leave it out.")
    if not 0 < stream.width * stream.height <= MAX_PIXELS:
        found = f"{stream.width}x{stream.height} pixels" if stream.width else "no image"
        raise ZooError(f"{path} cannot be read: it contains {found}; 1 to {MAX_PIXELS:,} pixels are supported.")
    if not stream.codec_context.is_open:
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.codec_context.thread_count = 1
    return stream


def read_image(path: Path) -> RGBFrame:
    """Read an image, (H, W, 3) uint8 RGB."""
    with _open_container(path) as (container, stream):
        return _to_rgb(_decode_first_frame(path, container, stream), VideoReformatter())


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as stored, without decoding it."""
    with _open_container(path) as (_, stream):
        return stream.height, stream.width


def read_ids(path: Path) -> NDArray[np.int64]:
    """Read an image of ids, (H, W): 8-bit or 16-bit grey, or palette indices (not colours). Raises ZooError for other
    formats."""
    with _open_container(path) as (container, stream):
        frame = _decode_first_frame(path, container, stream)
        if frame.format.name == "pal8":
            return np.asarray(frame.to_ndarray()[0], dtype=np.int64)
        if not frame.format.name.startswith("gray"):
            raise ZooError(
                f"{path} has {frame.format.name} pixels; a map of ids must be a PNG with one channel, grey or palette, "
                "whose pixel values are the ids."
            )
        return frame.to_ndarray().astype(np.int64)


def _decode_first_frame(path: Path, container: InputContainer, stream: VideoStream) -> VideoFrame:
    for frame in container.decode(stream):
        return frame
    raise ZooError(f"{path} contains no image.")


class VideoWriter:
    """Write H.264 frame by frame in constant memory. The file appears when the ``with`` block ends without an error.

    An odd height or width is padded by repeating the last row or column: yuv420p requires even sizes.
    """

    def __init__(self, path: Path, fps: float, crf: int = 18) -> None:
        if path.suffix.lower() not in WRITABLE_SUFFIXES:
            raise ZooError(
                f"{path}: videos are written as {joined(WRITABLE_SUFFIXES)}. Type {path.with_suffix('.mp4').name}."
            )
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

    def write(self, frame: RGBFrame) -> None:
        """Append one frame, (H, W, 3) uint8 RGB, of the size of the first. Raises ZooError for another size."""
        assert frame.dtype == np.uint8, "a frame is uint8"
        if self._shape is None:
            self._shape = frame.shape
            self._stream = self._open_stream(*frame.shape[:2])
        if frame.shape != self._shape:
            raise ZooError(
                f"{self.path}: all frames must have one size, but {frame.shape[:2]} follows {self._shape[:2]}."
            )
        height, width = frame.shape[:2]
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation="AREA",  # averages chroma; the default rounds colours down by up to 2 of 255
        )
        self._container.mux(self._stream.encode(picture))

    def _open_stream(self, height: int, width: int) -> VideoStream:
        stream: Any = self._container.add_stream("libx264", rate=self.fps, options={"crf": str(self.crf), **X264})
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries = context.color_trc = BT709
        return stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._shape is not None and error is None:
                self._container.mux(self._stream.encode())
            self._container.close()
            if error is None:
                if self._shape is None:
                    raise ZooError(f"{self.path}: a video needs at least one frame, and none was written.")
                self._part.replace(self.path)
        finally:
            self._part.unlink(missing_ok=True)


def write_video(path: Path, frames: Iterable[RGBFrame], fps: float) -> None:
    """Write frames, each (H, W, 3) uint8 RGB, as H.264. Raises ZooError if there are none or their sizes differ."""
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)
