"""Read and write videos and images. The only file that imports PyAV; it imports no torch.

Frames are read by number, in presentation order. One pass over the packets, without decoding, finds the time of every
frame and the keyframes, so variable frame rates, B-frames and headers without a frame count work: to read a frame, seek
to the keyframe before it and decode up to it.

Shapes: T frames, H x W pixels; frames are uint8 RGB, (H, W, 3).
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from zoo.data.file_kinds import describe_unreadable
from zoo.data.frame_index import FrameIndex, IndexCache, Packet, build_index
from zoo.data.mp4_boxes import check_claimed_frames
from zoo.data.orientation import (
    UPRIGHT,
    Orientation,
    from_matrix,
    from_rotation,
    holds_jpeg,
    image_orientation,
    png_grey_bits,
)
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
MAX_FRAMES = 5_000_000
"""Largest number of frames of a file, 46 hours at 30 frames per second. A GIF may have a frame in 20 bytes."""
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
_indices = IndexCache()

HDR = {16: "PQ", 18: "HLG"}
"""Number of a transfer characteristic of high dynamic range in ITU-T H.273 -> its name."""
LOSSY = {"mjpeg": "JPEG", "jpeg2000": "JPEG 2000"}
"""Name of a codec that changes pixels -> name of its format."""
BT709 = 1
"""Number of BT.709 among the colour primaries and transfer characteristics of ITU-T H.273."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a stored video as it is shown: turned upright, with square pixels. fps is the mean rate if the rate
    varies. pixel: width of a stored pixel divided by its height."""

    frames: int
    fps: float
    height: int
    width: int
    pixel: float = 1.0


def probe(path: Path) -> VideoInfo:
    """Read the number of frames, the mean rate and the size of a video. Reads every packet, decodes the first frame.

    Raises ZooError, naming the file, if it is empty, truncated or not a video.
    """
    with _name_file_in_errors(path):
        height, width, _ = read_frames(path, [0])[0].shape
        with _open_container(path) as (_, stream):
            pixel = _pixel_aspect(stream)
        return VideoInfo(len(_get_index(path).stamps), frame_rate(path), height, width, round(pixel, 4))


def frame_rate(path: Path) -> float:
    """Frames per second: the mean rate, or the nominal one if that is within 1 % of it. Decodes nothing."""
    index = _get_index(path)
    with _name_file_in_errors(path):
        seconds = index.clock
        fps = float((len(seconds) - 1) / seconds[-1]) if seconds[-1] > 0 else index.rate
        # containers round times; mkv to a millisecond
        return index.rate if abs(fps / index.rate - 1) < 0.01 else fps


def frame_times(path: Path) -> NDArray[np.float64]:
    """Presentation times in seconds since the first frame, (T,)."""
    with _name_file_in_errors(path):
        return _get_index(path).clock


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
    shown, pixel = first[1:]
    converter = VideoReformatter()  # reused: PyAV's default, a new one per frame, takes four times as long
    for stamp, frame, _ in decoded:
        while pending and stamp > pending[0]:
            pending.pop(0)
            yield _to_rgb(shown, converter, pixel)
        if not pending:
            return
        shown = frame
    for _ in pending:
        yield _to_rgb(shown, converter, pixel)


def _decode_from(path: Path, index: FrameIndex, key: int) -> Iterator[tuple[int, VideoFrame, float]]:
    """Yield frames with their time stamps and the aspect ratio of their pixels from a keyframe on; from the start if
    ``key`` is -1 or the file has no times."""
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
                stamp = number if frame.pts is None or not index.has_times else frame.pts
                yield stamp, frame, _pixel_aspect(stream)


def _to_rgb(
    frame: VideoFrame, converter: VideoReformatter, pixel: float = 1.0, orientation: Orientation | None = None
) -> RGBFrame:
    """Convert to RGB, scale the width to square pixels, and turn the frame upright: telephones store beside the
    sensor's image how it is shown. orientation: by default that of the frame."""
    width = max(1, round(frame.width * pixel))
    pixels = cast(RGBFrame, converter.reformat(frame, width=width, format="rgb24").to_ndarray())
    return (orientation or _orientation(frame)).apply(pixels)


def _orientation(frame: VideoFrame) -> Orientation:
    """The orientation of the display matrix; of the rotation alone if PyAV cannot read the frame's side data."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of a type that PyAV does not know
        return from_rotation(frame.rotation)
    return UPRIGHT if matrix is None else from_matrix(np.frombuffer(cast(Any, matrix), np.int32).tolist())


def _pixel_aspect(stream: VideoStream) -> float:
    """Width of a stored pixel divided by its height; 1 if the file does not say."""
    aspect = stream.sample_aspect_ratio
    return float(aspect) if aspect else 1.0


def _get_index(path: Path) -> FrameIndex:
    try:
        stat = path.stat()
    except OSError as problem:
        raise ZooError(f"{path} cannot be opened: {problem.strerror}.") from problem
    check_is_file(path)
    if stat.st_size == 0:
        raise ZooError(f"{path} is empty (0 bytes).")
    return _indices.get((path, stat.st_size, stat.st_mtime_ns), lambda: _read_index(path))


def _read_index(path: Path) -> FrameIndex:
    """Read all packets."""
    with _name_file_in_errors(path):
        check_claimed_frames(path)
    with _open_container(path) as (container, stream):
        packets, damaged = [], 0  # not the packets themselves, which take as much memory as the file
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                packets.append(Packet(packet.pts, packet.is_keyframe))
                if len(packets) > MAX_FRAMES:
                    raise ZooError(f"{path} cannot be read: it has more than {MAX_FRAMES:,} frames. Split the file.")
                damaged += packet.is_corrupt
        if damaged:
            promised = f" of the {stream.frames} in its header" if stream.frames else ""
            raise ZooError(
                f"{path} is truncated or damaged: {len(packets) - damaged} frames can be read{promised}. Copy it "
                f"again, or keep what can be decoded: ffmpeg -i {path.name} -crf 12 whole.mp4"
            )
        if not packets or stream.time_base is None:
            raise ZooError(f"{path} contains no frames.")
        # AVI stores no presentation times: with B-frames only the order of the decoded frames is reliable
        reordered = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        index = build_index(packets, stream.time_base, rate, reordered)
        if index.clock[-1] > MAX_SECONDS:
            raise ZooError(
                f"{path} cannot be read: its time stamps span more than {MAX_SECONDS:,} seconds. Re-encode the file."
            )
        return index


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
        raise _unreadable(path, f"{problem.strerror or problem}. Copy it again, or re-encode it") from problem
    except Exception as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200].rstrip(".")
        raise _unreadable(path, f"it is damaged, or no video or image ({reason})") from problem


def _open(path: Path) -> InputContainer:
    """Open a file with FFMPEG_OPTIONS. Titles and the like may have any encoding; nothing reads them."""
    return av.open(_address(path), options=FFMPEG_OPTIONS, metadata_errors="replace")


def _unreadable(path: Path, reason: str) -> ZooError:
    """The error for a file that is no image or video: what it is if its bytes tell, else ``reason``."""
    known = describe_unreadable(path)
    return ZooError(f"{path} cannot be read: {f'it {known}' if known else f'{reason}.'}")


def _address(path: Path) -> str:
    """A path as FFmpeg takes it: absolute, since it takes the part before a colon in `2021-05-01T10:30.mp4` for a
    protocol."""
    return str(path.absolute())


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the video stream that players show, decoded with one thread: small frames gain nothing from more, and
    threads do not survive a fork."""
    stream = _shown_stream(container)
    if stream is None:
        raise _unreadable(path, "it contains no video stream")
    if stream.codec_context is None:
        raise ZooError(f"{path} cannot be read: FFmpeg does not know its codec. Re-encode the file, or leave it out.")
    if not stream.width:
        raise _unreadable(path, f"it contains no image of 1 to {MAX_PIXELS:,} pixels. Copy or download it again")
    if not 0 < stream.width * stream.height * max(1.0, _pixel_aspect(stream)) <= MAX_PIXELS:
        raise ZooError(
            f"{path} cannot be read: it contains {stream.width}x{stream.height} pixels; 1 to {MAX_PIXELS:,} are "
            "supported."
        )
    if (kind := HDR.get(stream.codec_context.color_trc)) is not None:
        raise ZooError(
            f"{path} is a video of high dynamic range ({kind}), which would come out grey. Convert it: ffmpeg -i "
            f"{shlex.quote(path.name)} -vf zscale=t=linear:npl=100,tonemap=hable,zscale=p=709:t=709:m=709,"
            "format=yuv420p sdr.mp4"
        )
    if not stream.codec_context.is_open:
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.codec_context.thread_count = 1
    return stream


def _shown_stream(container: InputContainer) -> VideoStream | None:
    """Of several video streams the one that is marked as the default, and of these the largest; not a cover, and rather
    one whose codec FFmpeg knows: the others have no size."""
    streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
    return max(
        streams or list(container.streams.video),
        key=lambda each: (
            each.codec_context is not None,
            bool(each.disposition & Disposition.default),
            each.width * each.height if each.codec_context is not None else 0,
        ),
        default=None,
    )


def read_image(path: Path) -> RGBFrame:
    """Read an image upright, (H, W, 3) uint8 RGB."""
    if holds_jpeg(path):
        raise ZooError(f"{path} is a TIFF with JPEG inside, which cannot be decoded. Save it as PNG.")
    with _open_container(path) as (container, stream):
        frame = _decode_first_frame(path, container, stream)
        return _to_rgb(frame, VideoReformatter(), orientation=image_orientation(path))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as stored, without decoding it."""
    with _open_container(path) as (_, stream):
        return stream.height, stream.width


def read_ids(path: Path) -> NDArray[np.int64]:
    """Read an image of ids, (H, W): grey of 1 to 16 bits, with alpha or not, palette indices (not colours), or RGB with
    three equal channels. Raises ZooError for colours, and for JPEG, which changes ids."""
    if holds_jpeg(path):
        raise ZooError(f"{path} is a TIFF with JPEG inside, which changes ids. Save maps of ids as PNG.")
    with _open_container(path) as (container, stream):
        if stream.codec_context.name in LOSSY:
            raise ZooError(
                f"{path} is a {LOSSY[stream.codec_context.name]}, which changes pixels, so it contains ids that nobody "
                "drew. Save maps of ids as PNG."
            )
        frame = _decode_first_frame(path, container, stream)
    ids = _ids_of(frame)
    if ids is None:
        raise ZooError(
            f"{path} has {frame.format.name} pixels in colours; a map of ids must be a PNG with one channel, grey or "
            "palette, whose pixel values are the ids."
        )
    if frame.format.name == "gray" and (bits := png_grey_bits(path)) in (2, 4):
        ids = ids // (255 // (2**bits - 1))  # FFmpeg scales these to 8 bits
    return image_orientation(path).apply(ids.astype(np.int64))


def _ids_of(frame: VideoFrame) -> NDArray[Any] | None:
    """The ids of a decoded image, (H, W); None for colours."""
    name = frame.format.name
    if name == "pal8":
        return np.asarray(frame.to_ndarray()[0])
    if name in ("monob", "monow"):
        return (frame.reformat(format="gray").to_ndarray() > 127).astype(np.uint8)
    if name == "ya8":
        plane = frame.planes[0]
        rows = np.frombuffer(cast(Any, plane), np.uint8).reshape(frame.height, plane.line_size)
        return rows[:, : 2 * frame.width : 2].copy()
    if name.startswith("gray"):
        return frame.to_ndarray()
    if not name.startswith(("rgb", "bgr", "gbr", "argb", "abgr")):
        return None
    deep = "rgb48le" if frame.format.components[0].bits > 8 else "rgb24"
    pixels = frame.to_ndarray(format=deep)
    return pixels[..., 0] if (pixels == pixels[..., :1]).all() else None


def _decode_first_frame(path: Path, container: InputContainer, stream: VideoStream) -> VideoFrame:
    for frame in container.decode(stream):
        return frame
    raise _unreadable(path, f"it contains no image of 1 to {MAX_PIXELS:,} pixels. Copy or download it again")


@contextmanager
def explain_unwritable(path: Path) -> Iterator[None]:
    """Context that raises a ZooError if a file cannot be begun, such as one in a folder that is a file."""
    try:
        yield
    except OSError as problem:
        raise ZooError(f"{path} cannot be written: {problem.strerror or problem}. Type another path.") from problem


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
        options = {} if self.path.suffix.lower() == ".mkv" else {"movflags": "+faststart"}
        with explain_unwritable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()  # FFmpeg opens it with the first frame only
            self._container = av.open(_address(self._part), "w", options=options)
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
