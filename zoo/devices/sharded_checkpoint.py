"""Checkpoints of sharded weights: a folder with a file a rank, and ``index.json``, which says which files belong to it.

A file is what ``torch.save`` writes, and is read with ``weights_only=True``: nothing is unpickled (PyTorch's own
distributed checkpoints have a pickle in them). In it a sharded tensor stands as ``{SHARD: its rows}``, and the rows of
all ranks, one after another, are the tensor. The index is replaced last and as a whole: whenever a process is killed,
it names the files of one checkpoint, all of them complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.optim import Optimizer

from zoo.errors import ZooError
from zoo.io.atomic import write_atomically, write_text
from zoo.io.safe_load import read_tensors

INDEX, SHARD = "index.json", "__rows_of_a_rank__"


def is_sharded(path: Path) -> bool:
    """Whether it is the folder of such a checkpoint."""
    return (path / INDEX).is_file()


# ---------------------------------------------------------------- writing


def write_sharded(checkpoint: Mapping[str, Any], folder: Path, rank: int, ranks: int) -> None:
    """Write the shards of a rank; every rank calls, and none returns before all is written.

    The checkpoint's tensors may be DTensors, sharded by rows; whatever else it holds is the first rank's.
    """
    if folder.is_file():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    files = _agreed([f"{token_hex(4)}-{number}.pt" for number in range(ranks)], ranks)
    write_atomically(folder / files[rank], lambda file: torch.save(_rows(checkpoint), file))
    _wait(ranks)
    if rank == 0:
        write_text(folder / INDEX, json.dumps({"files": files}))
        for old in folder.glob("*.pt"):
            if old.name not in files:
                old.unlink()
    _wait(ranks)


def _rows(node: Any) -> Any:
    """A tree of dicts and lists on the processor, with the rows of this rank in place of a sharded tensor."""
    if isinstance(node, DTensor):
        assert node.placements in ((Shard(0),),), f"sharded by {node.placements}, and rows are expected"
        return {SHARD: node.to_local().detach().cpu().clone()}
    if isinstance(node, Tensor):
        return node.detach().cpu()
    if isinstance(node, Mapping):
        return {key: _rows(value) for key, value in node.items()}
    return [_rows(value) for value in node] if isinstance(node, list) else node


def _agreed(names: list[str], ranks: int) -> list[str]:
    if ranks > 1:
        distributed.broadcast_object_list(names, 0)
    return names


def _wait(ranks: int) -> None:
    if ranks > 1:
        distributed.barrier()


# ---------------------------------------------------------------- reading


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint in whichever form, every tensor whole and on the processor; a ZooError where it cannot be read."""
    return read_sharded(path) if path.is_dir() else read_tensors(path, "a checkpoint")


def read_sharded(folder: Path) -> dict[str, Any]:
    """The checkpoint of a folder, every tensor whole and on the processor; a ZooError where it cannot be read."""
    try:
        files = json.loads((folder / INDEX).read_text())["files"]
        assert files
        assert all(isinstance(name, str) and Path(name).name == name for name in files)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as problem:
        raise ZooError(f"{folder} cannot be read as a checkpoint: its {INDEX} names no files in it.") from problem
    shards = [read_tensors(folder / name, "a checkpoint") for name in files]
    try:
        return _whole(shards)  # type: ignore[no-any-return]
    except (RuntimeError, KeyError, IndexError, TypeError, AttributeError) as problem:
        raise ZooError(
            f"{folder} cannot be read as a checkpoint: its files do not belong together: {problem}"
        ) from problem


def _whole(nodes: list[Any]) -> Any:
    """Trees of all ranks to one."""
    first = nodes[0]
    if isinstance(first, dict):
        if set(first) == {SHARD}:
            return torch.cat([node[SHARD] for node in nodes])
        return {key: _whole([node[key] for node in nodes]) for key in first}
    if isinstance(first, list):
        return [_whole([node[index] for node in nodes]) for index in range(len(first))]
    return first


# ---------------------------------------------------------------- shards of what was read


def shard_like(like: Tensor, whole: Tensor) -> Tensor:
    """A whole tensor as ``like`` is: as precise, on its device, and of a sharded one the shard of this rank."""
    whole = whole.to(like.device, like.dtype)
    if not isinstance(like, DTensor) or isinstance(whole, DTensor):
        return whole
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)


@torch.no_grad()
def shard_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load whole tensors into a module that may be sharded; a ZooError for names that it does not have, or lacks."""
    own = module.state_dict()
    if own.keys() != state.keys():
        names = ", ".join(sorted(own.keys() ^ state.keys())[:4])
        raise ZooError(f"The checkpoint is of another model: {names}. Resume with the settings of its run.")
    for name, tensor in own.items():
        tensor.copy_(shard_like(tensor, state[name]))


def shard_optimizer_state(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict of an optimizer with whole tensors, sharded as its parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    of_each = {
        index: {
            name: shard_like(parameters[index], value)
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in values.items()
        }
        for index, values in state["state"].items()
    }
    return {**state, "state": of_each}
