"""Read weights of the original releases of pix2pixHD and vid2vid, which are plain state dicts.

The releases and the zoo number layers alike: keys are renamed, never guessed from shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from zoo.errors import ZooError, joined
from zoo.io.safe_load import read_tensors

State = Mapping[str, Tensor]
BLOCK = "conv_block"  # name of the layers of a residual block in the releases


def read_state(path: Path) -> dict[str, Tensor]:
    """Read one file of a release; only tensors are unpickled. Raises ZooError for anything but a state dict."""
    expected = "Expected a state dict of the original release: a dict of tensors by name."
    state = read_tensors(path, "weights of the original release")
    if isinstance(state, dict) and "state_dict" in state:
        raise ZooError(f"{path} is a training checkpoint; its entry `state_dict` may be what you need. {expected}")
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ZooError(f"{path} is a PyTorch file, but not a state dict. {expected}")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def find_files(folder: Path, epoch: str) -> dict[str, Path]:
    """Find ``<epoch>_net_<part>.pth`` in a folder: part, such as G0 or D_T1, -> path.

    Raises ZooError if there are none.
    """
    if not folder.is_dir():
        raise ZooError(f"from={folder}: there is no such folder. Expected a folder with {epoch}_net_<part>.pth.")
    files = {path.stem.partition("_net_")[2]: path for path in sorted(folder.glob(f"{epoch}_net_*.pth"))}
    if not files:
        found = [path.name for path in sorted(folder.iterdir())]
        epochs = sorted({name.partition("_net_")[0] for name in found if "_net_" in name})
        hint = f" Type epoch={epochs[0]}." if epochs else ""
        raise ZooError(
            f"from={folder} contains no {epoch}_net_<part>.pth; it contains {joined(found[:8]) or 'nothing'}.{hint}"
        )
    return files


def numbered_files(files: Mapping[str, Path], prefix: str) -> list[Path]:
    """Files ``<prefix>0``, ``<prefix>1``, … in order. Raises ZooError if a number is missing."""
    found = {
        int(part.removeprefix(prefix)): path for part, path in files.items() if re.fullmatch(rf"{prefix}\d+", part)
    }
    for number in range(len(found)):
        if number not in found:
            others = joined(path.name for path in found.values())
            raise ZooError(f"{prefix}{number} is missing; found {others}. Add its file, or remove the others.")
    return [found[number] for number in range(len(found))]


def rename(state: State, rules: Mapping[str, str | None], what: str) -> dict[str, Tensor]:
    """Rename the keys of a state dict. Raises ZooError for a key without a rule.

    rules: pattern for the start of a key -> replacement; None: the key is an error. what: the file, for error messages.
    """
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in rules.items():
            match = re.match(pattern, key)
            if match and replacement is not None:
                renamed[match.expand(replacement) + key[match.end() :].replace(BLOCK, "layers")] = value
                break
        else:
            raise ZooError(f"{what} has the layer {key}, which the released networks do not have.")
    return renamed


def shift_layers(state: State, prefix: str, replacement: str, by: int) -> dict[str, Tensor]:
    """Rename keys ``<prefix>.<number>.…`` to ``<replacement>.<number + by>.…``; other keys are dropped."""
    found = {}
    for key, value in state.items():
        if match := re.match(rf"{prefix}\.(\d+)\.", key):
            rest = key[match.end() :].replace(BLOCK, "layers")
            found[f"{replacement}.{int(match[1]) + by}.{rest}"] = value
    return found


def layer_numbers(state: State, pattern: str) -> list[int]:
    """Distinct numbers that the first group of a pattern matches in the keys, ascending."""
    return sorted({int(match[1]) for key in state if (match := re.match(pattern, key))})


def detect_norm(state: State) -> str:
    """Return batch or instance. Only batch norm has weights that are vectors; those of convolutions have four axes."""
    return "batch" if any(key.endswith(".weight") and value.ndim == 1 for key, value in state.items()) else "instance"


def fit_state(state: State, wanted: State, what: str) -> dict[str, Tensor]:
    """Fit a state dict to a network: add or drop running statistics; everything else must match.

    wanted: state dict of the network. what: the file, for error messages. Raises ZooError if they do not match.
    """
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    fitted = {key: value for key, value in state.items() if key in wanted or not key.endswith(statistics)}
    for key, value in wanted.items():
        if key.endswith("num_batches_tracked"):  # missing in files of torch 0.4
            fitted.setdefault(key, value)
    missing = [key for key in wanted if key not in fitted]
    unknown = [key for key in fitted if key not in wanted]
    mismatched = [key for key in wanted if key in fitted and fitted[key].shape != wanted[key].shape]
    if missing or unknown or mismatched:
        kinds = {"missing": missing, "unknown": unknown, "of another shape": mismatched}
        found = "; ".join(f"{len(keys)} {kind}, such as {keys[0]}" for kind, keys in kinds.items() if keys)
        raise ZooError(f"{what} does not match the network that its tensors describe: {found}.")
    return fitted
