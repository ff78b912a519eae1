"""The times and keyframes of a video, from its packets. Imports neither PyAV nor torch.

Shapes: T frames, K keyframes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_INDEX_BYTES = 1 << 28
"""Memory for the indices of videos that a process has read: 5,000 hours at 25 frames a second. A video whose index was
dropped is read anew, all of its packets."""


@dataclass(frozen=True)
class Packet:
    """A coded frame. time: when it is shown, in units of the stream's time base; None if the file does not say."""

    time: int | None
    is_key: bool


@dataclass(frozen=True)
class FrameIndex:
    """Times and keyframes of a video.

    stamps: (T,) strictly ascending presentation times in units of ``time_base`` seconds; frame numbers if not
    ``has_times``. keyframes: (K,) ascending frame numbers of the keyframes; the first frame is one of them. clock: (T,)
    seconds since the first frame, ascending. rate: nominal frame rate in the header.
    """

    stamps: NDArray[np.int64]
    keyframes: NDArray[np.int64]
    clock: NDArray[np.float64]
    rate: float
    has_times: bool

    @property
    def nbytes(self) -> int:
        """Memory of the index in bytes."""
        return self.stamps.nbytes + self.keyframes.nbytes + self.clock.nbytes

    def keyframe_position(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position in ``keyframes`` of the last keyframe at or before each of these frames."""
        return np.searchsorted(self.keyframes, frames, side="right") - 1


def build_index(packets: Sequence[Packet], time_base: Fraction, rate: float, reordered: bool) -> FrameIndex:
    """Build the index of packets in the order of the file. reordered: frames are shown in another order than they are
    stored in, and the file does not say in which.

    Where several recordings were appended, the clock begins anew in each. Then, and where two frames have one time, the
    file is read from its start, by counting frames. Packets before the first keyframe cannot be decoded and do not
    count.
    """
    times = [packet.time for packet in packets if packet.time is not None]
    has_times = len(times) == len(packets) and not reordered
    if has_times:
        packets = _drop_undecodable(packets)
        times = [packet.time for packet in packets if packet.time is not None]
    stamps = np.asarray(times if has_times else range(len(packets)), dtype=np.int64)
    is_key = np.asarray([packet.is_key for packet in packets])
    if not has_times:
        return _numbered_index(np.arange(len(packets)) / rate, rate)
    parts = np.split(stamps, _restarts(stamps, is_key))
    if len(parts) > 1 or len(np.unique(stamps)) < len(stamps):
        return _numbered_index(_join_clocks(parts, float(time_base), rate), rate)
    order = np.argsort(stamps, kind="stable")
    stamps, is_key = stamps[order], is_key[order]
    keyframes = np.flatnonzero(is_key) if is_key[0] else np.zeros(1, dtype=np.int64)
    return FrameIndex(stamps, keyframes, (stamps - stamps[0]) * float(time_base), rate, True)


def _numbered_index(clock: NDArray[np.float64], rate: float) -> FrameIndex:
    return FrameIndex(np.arange(len(clock)), np.zeros(1, dtype=np.int64), clock, rate, False)


def _drop_undecodable(packets: Sequence[Packet]) -> Sequence[Packet]:
    """Drop what precedes the first keyframe, and what is shown before it: both refer to frames that are not there."""
    first = next((number for number, packet in enumerate(packets) if packet.is_key), 0)
    if first == 0:
        return packets
    start = packets[first].time
    assert start is not None
    rest = packets[first:]
    second = next((number for number, packet in enumerate(rest) if packet.is_key and number), len(rest))
    return [
        packet for number, packet in enumerate(rest) if number > second or packet.time is None or packet.time >= start
    ]


def _restarts(stamps: NDArray[np.int64], is_key: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions of the keyframes that are shown before an earlier frame of the file, which one recording does not
    have."""
    latest = np.maximum.accumulate(stamps)
    return np.asarray(1 + np.flatnonzero(is_key[1:] & (stamps[1:] <= latest[:-1])), dtype=np.int64)


def _join_clocks(parts: Sequence[NDArray[np.int64]], unit: float, rate: float) -> NDArray[np.float64]:
    """Seconds of each frame, with the recordings one after the other."""
    clocks: list[NDArray[np.float64]] = []
    begin = 0.0
    for part in parts:
        seconds = np.sort(part - part.min()) * unit
        clocks.append(begin + seconds)
        begin += float(seconds[-1]) + 1 / rate
    return np.concatenate(clocks)


class IndexCache:
    """Indices by file, size and time, the oldest of which are dropped when they take more memory than allowed."""

    def __init__(self, max_bytes: int = MAX_INDEX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[tuple[Path, int, int], FrameIndex] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Path, int, int], read: Callable[[], FrameIndex]) -> FrameIndex:
        """The index of a file; reads it if it is not kept."""
        index = self._kept.pop(key, None)
        if index is None:
            index = read()
            self._bytes += index.nbytes
        self._kept[key] = index
        while self._bytes > self.max_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return index
