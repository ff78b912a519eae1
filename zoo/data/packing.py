"""A batch on its way out of a loading process: one piece of shared memory, whatever the number of its fields.

PyTorch hands over every tensor by a conversation of its own between the two processes, some 0.5 ms each, in which the
training waits: for a batch of four tensors 2.5 ms, packed 1.1 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict, cast

import torch
from torch import Tensor
from torch.utils.data import default_collate

from zoo.types import Clip

ALIGNED = 64
"""Bytes between which a tensor may begin."""


Place = tuple[tuple[str, ...], torch.dtype, tuple[int, ...], int]
"""Of a tensor: its path in a batch, dtype, shape and first byte."""


class Packed(TypedDict):
    """A batch with all its tensors in one memory, each in its place. rest: what is no tensor."""

    memory: Tensor
    layout: list[Place]
    rest: dict[str, Any]


def pack(clips: Sequence[Any]) -> Packed:
    """Clips to a batch as `default_collate` makes it, each tensor stacked in its place of one shared memory."""
    columns = list(_columns(clips))
    layout: list[Place] = []
    size = 0
    for path, column in columns:
        shape = (len(column), *column[0].shape)
        layout.append((path, column[0].dtype, shape, size))
        size += -(-column[0].nbytes * len(column) // ALIGNED) * ALIGNED
    memory = torch.empty(size, dtype=torch.uint8)
    for (_, column), (_, dtype, shape, first) in zip(columns, layout, strict=True):
        torch.stack(column, out=_view(memory, dtype, shape, first))
    packed = {path[0] for path, _ in columns}
    rest = [{name: value for name, value in clip.items() if name not in packed} for clip in clips]
    return {"memory": memory, "layout": layout, "rest": default_collate(rest)}


def unpack(packed: Packed) -> Clip:
    """The batch: views of its memory."""
    batch = dict(packed["rest"])
    for path, dtype, shape, first in packed["layout"]:
        part = batch
        for name in path[:-1]:
            part = part.setdefault(name, {})
        part[path[-1]] = _view(packed["memory"], dtype, shape, first)
    return cast(Clip, batch)


def _columns(clips: Sequence[Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[Tensor]]]:
    """Each tensor's path in a clip, and that tensor of every clip."""
    for name, value in clips[0].items():
        column = [clip[name] for clip in clips]
        if isinstance(value, Tensor):
            yield (*above, name), column
        elif isinstance(value, dict):
            yield from _columns(column, (*above, name))


def _view(memory: Tensor, dtype: torch.dtype, shape: tuple[int, ...], first: int) -> Tensor:
    """A tensor that begins at that byte."""
    size = torch.Size(shape).numel() * dtype.itemsize
    return memory[first : first + size].view(dtype).view(shape)
