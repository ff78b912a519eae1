"""CRC-32C, the checksum of TFRecord files, at the speed of NumPy. Imports no torch.

A checksum is linear over bits. So a long text is cut into LANES parts whose registers are computed side by side, and
two neighbours are joined by moving the left one over as many zero bytes as the right one has (Castagnoli et al. 1993;
the joining is that of zlib's crc32_combine).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
"""The polynomial of Castagnoli, with its bits reversed."""
LANES = 1024
MASK = 0xA282EAD8
"""Constant that TFRecord adds to a rotated checksum, so that files that contain checksums do not check themselves."""

Words = NDArray[np.uint32]


def _make_table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


TABLE = _make_table()
BITS = np.arange(32, dtype=np.uint32)
_small_table: list[int] = TABLE.tolist()


def crc32c(data: bytes | memoryview) -> int:
    """Checksum of some bytes, an integer below 2^32; that of b"123456789" is 0xE3069283."""
    length = len(data) // LANES
    head = len(data) - length * LANES
    register = 0xFFFFFFFF
    for byte in data[:head]:
        register = _small_table[(register ^ byte) & 0xFF] ^ register >> 8
    if length:
        lanes = np.frombuffer(data, np.uint8, offset=head).reshape(LANES, length)
        registers = np.zeros(LANES, np.uint32)
        registers[0] = register
        for column in np.ascontiguousarray(lanes.T):
            registers = TABLE[(registers ^ column) & 0xFF] ^ (registers >> np.uint32(8))
        register = _join(registers, length)
    return register ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """The checksum as TFRecord stores it: rotated right by 15 bits, plus MASK."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def _join(registers: Words, length: int) -> int:
    """Register after the texts of all lanes, each of ``length`` bytes."""
    over = _zeros(length)
    while len(registers) > 1:
        registers = _apply(over, registers[0::2]) ^ registers[1::2]
        over = _apply(over, over)
    return int(registers[0])


def _zeros(count: int) -> Words:
    """What ``count`` zero bytes do to each bit of a register, (32,)."""
    ones = np.uint32(1) << BITS
    power: Words = TABLE[ones & np.uint32(0xFF)] ^ (ones >> np.uint32(8))
    result: Words = ones
    while count:
        if count & 1:
            result = _apply(power, result)
        power = _apply(power, power)
        count >>= 1
    return result


def _apply(matrix: Words, registers: Words) -> Words:
    """Apply what a matrix does to each bit, (32,), to registers, (N,)."""
    bits = (registers[:, None] >> BITS) & np.uint32(1)
    return np.asarray(np.bitwise_xor.reduce(bits * matrix, axis=1), np.uint32)
