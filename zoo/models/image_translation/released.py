"""Reading weights of the original releases of pix2pixHD and vid2vid: plain state dicts, by the names of their layers.

The releases and the zoo number layers alike, so a key is renamed and never guessed from a shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from zoo.errors import ZooError, listed
from zoo.io.safe_load import read_tensors

State = Mapping[str, Tensor]
BLOCK = "conv_block"  # how the releases call the layers of a residual block


def read_state(path: Path) -> dict[str, Tensor]:
    """One file of the release; nothing is unpickled but tensors. A ZooError for anything but a plain state dict."""
    expected = "A state dict as the original release saves it is expected: a dict of tensors by name."
    state = read_tensors(path, "weights of the original release")
    if isinstance(state, dict) and "state_dict" in state:
        raise ZooError(f"{path} is a checkpoint of a training; its entry `state_dict` may be it. {expected}")
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ZooError(f"{path} is a PyTorch file, but no state dict. {expected}")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def find_files(folder: Path, epoch: str) -> dict[str, Path]:
    """``<epoch>_net_<part>.pth`` by part, such as G0 or D_T1; a ZooError that says what was found instead."""
    if not folder.is_dir():
        raise ZooError(f"from={folder}: there is no such folder. It should hold {epoch}_net_G0.pth and its fellows.")
    files = {path.stem.partition("_net_")[2]: path for path in sorted(folder.glob(f"{epoch}_net_*.pth"))}
    if not files:
        found = [path.name for path in sorted(folder.iterdir())]
        epochs = sorted({name.partition("_net_")[0] for name in found if "_net_" in name})
        hint = f" Type epoch={epochs[0]}." if epochs else ""
        raise ZooError(
            f"from={folder} holds no {epoch}_net_<part>.pth; it holds {listed(found[:8]) or 'nothing'}.{hint}"
        )
    return files


def in_a_row(files: Mapping[str, Path], prefix: str) -> list[Path]:
    """The files of ``<prefix>0``, ``<prefix>1``, …; a ZooError where a number between them is missing."""
    found = {
        int(part.removeprefix(prefix)): path for part, path in files.items() if re.fullmatch(rf"{prefix}\d+", part)
    }
    for number in range(len(found)):
        if number not in found:
            there = listed(path.name for path in found.values())
            raise ZooError(f"{prefix}{number} is missing beside {there}. Put its file there, or take the others away.")
    return [found[number] for number in range(len(found))]


def rename(state: State, rules: Mapping[str, str | None], what: str) -> dict[str, Tensor]:
    """Replace the part of each key that a rule names; a ZooError for a key that no rule knows.

    rules: a pattern for the start of a key, to what replaces it. Within residual blocks the rest is the same.
    """
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in rules.items():
            match = re.match(pattern, key)
            if match and replacement is not None:
                renamed[match.expand(replacement) + key[match.end() :].replace(BLOCK, "layers")] = value
                break
        else:
            raise ZooError(f"{what} has the layer {key}, which the released networks have not.")
    return renamed


def shifted(state: State, prefix: str, replacement: str, by: int) -> dict[str, Tensor]:
    """The keys ``<prefix>.<number>.…`` as ``<replacement>.<number + by>.…``."""
    found = {}
    for key, value in state.items():
        if match := re.match(rf"{prefix}\.(\d+)\.", key):
            rest = key[match.end() :].replace(BLOCK, "layers")
            found[f"{replacement}.{int(match[1]) + by}.{rest}"] = value
    return found


def numbers(state: State, pattern: str) -> list[int]:
    """The numbers that the first group of a pattern matches in the keys, ascending, each once."""
    return sorted({int(match[1]) for key in state if (match := re.match(pattern, key))})


def norm_of(state: State) -> str:
    """batch or instance: only batch norm has a scale, a vector where a convolution's weight has four axes."""
    return "batch" if any(key.endswith(".weight") and value.ndim == 1 for key, value in state.items()) else "instance"


def fit_state(state: State, wanted: State, what: str) -> dict[str, Tensor]:
    """The state as a network wants it: running statistics left out or in, all else strictly the same."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    fitted = {key: value for key, value in state.items() if key in wanted or not key.endswith(statistics)}
    for key, value in wanted.items():
        if key.endswith("num_batches_tracked"):  # files of torch 0.4 lack it
            fitted.setdefault(key, value)
    missing = [key for key in wanted if key not in fitted]
    more = [key for key in fitted if key not in wanted]
    other = [key for key in wanted if key in fitted and fitted[key].shape != wanted[key].shape]
    if missing or more or other:
        faults = {"missing": missing, "not known": more, "of another shape": other}
        found = "; ".join(f"{len(keys)} {kind}, such as {keys[0]}" for kind, keys in faults.items() if keys)
        raise ZooError(f"{what} does not fit the network that the tensors describe: {found}.")
    return fitted
