"""Checkpoints of sharded weights: a folder with one file per rank, and ``index.json``, which names these files.

A file is written by ``torch.save`` and read with ``weights_only=True``, so nothing is unpickled (PyTorch's own
distributed checkpoints contain a pickle). It holds a sharded tensor as ``{SHARD: rows of this rank}``; the tensor is
the concatenation of the rows of all ranks. The index is replaced last and atomically: whenever a process is killed,
the index names the complete files of one checkpoint.
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
from zoo.io.own_files import make_folder
from zoo.io.safe_json import read_json
from zoo.io.safe_load import read_tensors

INDEX, SHARD = "index.json", "__rows_of_a_rank__"


def is_sharded(path: Path) -> bool:
    """Whether a path is the folder of a sharded checkpoint."""
    return (path / INDEX).is_file()


# ---------------------------------------------------------------- writing


def write_sharded(checkpoint: Mapping[str, Any], folder: Path, rank: int, ranks: int) -> None:
    """Write the shards of one rank. Every rank must call it, and none returns before all files are written.

    Tensors may be DTensors, sharded by rows; everything else is taken from rank 0.
    """
    if rank == 0 and folder.is_file() and not folder.is_symlink():
        folder.unlink()
    _barrier(ranks)
    make_folder(folder.parent, folder.name)
    files = [f"{token_hex(4)}-{number}.pt" for number in range(ranks)]
    if ranks > 1:
        distributed.broadcast_object_list(files, 0)
    write_atomically(folder / files[rank], lambda file: torch.save(_rows(checkpoint), file))
    _barrier(ranks)
    if rank == 0:
        write_text(folder / INDEX, json.dumps({"files": files}))
        for old in folder.glob("*.pt"):
            if old.name not in files:
                old.unlink()
    _barrier(ranks)


def _rows(node: Any) -> Any:
    """Nested dicts and lists with every tensor on the CPU, and the rows of this rank in place of a sharded tensor."""
    if isinstance(node, DTensor):
        assert node.placements in ((Shard(0),),), f"expected a tensor sharded by rows, found {node.placements}"
        return {SHARD: node.to_local().detach().cpu().clone()}
    if isinstance(node, Tensor):
        return node.detach().cpu()
    if isinstance(node, Mapping):
        return {key: _rows(value) for key, value in node.items()}
    return [_rows(value) for value in node] if isinstance(node, list) else node


def _barrier(ranks: int) -> None:
    if ranks > 1:
        distributed.barrier()


# ---------------------------------------------------------------- reading


def read_sharded(folder: Path) -> dict[str, Any]:
    """Read the checkpoint in a folder, with full tensors on the CPU. Raises ZooError for one that cannot be read."""
    try:
        files = read_json(folder / INDEX, "").get("files")
    except ZooError:
        files = None
    names = set(files) if isinstance(files, list) and all(map(_is_plain_name, files)) else set()
    if not isinstance(files, list) or not files or len(names) < len(files):  # a name that is there twice is read twice
        raise ZooError(
            f"{folder} cannot be read as a checkpoint: its {INDEX} does not name files of this folder. Copy the whole "
            "folder again, or use the other checkpoint of the run."
        )
    shards = [read_tensors(folder / name, "a checkpoint") for name in files]
    try:
        return _merge(shards)
    except (RuntimeError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as problem:
        raise ZooError(
            f"{folder} cannot be read as a checkpoint: its files are not parts of one checkpoint: {problem}"
        ) from problem


def _is_plain_name(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and "\0" not in name


def _merge(nodes: list[Any]) -> Any:
    """Merge the nested containers of all ranks into one, with full tensors."""
    first = nodes[0]
    if isinstance(first, dict):
        if set(first) == {SHARD}:
            return torch.cat([node[SHARD] for node in nodes])
        return {key: _merge([node[key] for node in nodes]) for key in first}
    if isinstance(first, list):
        return [_merge([node[index] for node in nodes]) for index in range(len(first))]
    return first


# ---------------------------------------------------------------- loading into sharded modules


def shard_like(reference: Tensor, full: Tensor) -> Tensor:
    """Convert a full tensor to dtype, device and sharding of ``reference``; a sharded one gets this rank's shard."""
    full = full.to(reference.device, reference.dtype)
    if not isinstance(reference, DTensor) or isinstance(full, DTensor):
        return full
    return distribute_tensor(full, reference.device_mesh, reference.placements, src_data_rank=None)


@torch.no_grad()
def shard_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load full tensors into a module that may be sharded. Raises ZooError if their names differ."""
    own = module.state_dict()
    if own.keys() != state.keys():
        names = ", ".join(sorted(own.keys() ^ state.keys())[:4])
        raise ZooError(
            f"The checkpoint belongs to another model; names that differ: {names}. Resume with its settings."
        )
    for name, tensor in own.items():
        tensor.copy_(shard_like(tensor, state[name]))


def shard_optimizer_state(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """Shard the full tensors in a state dict of an optimizer as its parameters are sharded."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    sharded = {
        index: {
            name: shard_like(parameters[index], value)
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in values.items()
        }
        for index, values in state["state"].items()
    }
    return {**state, "state": sharded}
