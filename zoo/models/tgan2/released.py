"""Names of the arrays in the release's files and records, by the networks here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import ZooError, joined
from zoo.models.tgan2.networks import ImageGenerator, Renderer

NORM_PARTS = {"weight": "gamma", "bias": "beta", "running_mean": "avg_mean", "running_var": "avg_var"}
LAYERS = (
    (r"^linear$|\.linear$", "fc"),
    (r"cells\.(\d+)\.input", r"decoder\1.w_xifoc"),
    (r"cells\.(\d+)\.state", r"decoder\1.w_hifoc"),
    (r"\bconv(\d)", r"c\1"),
    (r"\bnorm(\d)", r"b\1"),
    (r"\bshortcut", "c_sc"),
    (r"\blevels\.(\d+)", r"level\1"),
    (r"\bembedding", "l_c"),
    (r"^slow$", "l0s"),
    (r"^fast$", "l0f"),
)


def released_names(network: nn.Module, score: bool = False) -> dict[str, str]:
    """Released name of every array of a network -> its name here, such as ``block1/c1/W`` -> ``blocks.0.conv1.weight``.

    score: it is a discriminator, whose linear layer gives a score.
    """
    found = {}
    for ours, layer in network.named_modules():
        name = _layer_name(ours, network, score)
        own = dict(layer.named_parameters(recurse=False)) | dict(layer.named_buffers(recurse=False))
        for part in own:
            if part == "num_batches_tracked":
                continue
            table = NORM_PARTS if isinstance(layer, _BatchNorm) else {"weight": "W", "bias": "b"}
            found[f"{name}.{table[part]}".strip(".").replace(".", "/")] = f"{ours}.{part}".strip(".")
    return found


def _layer_name(ours: str, network: nn.Module, score: bool) -> str:
    """Released name of a layer, with dots."""
    name = ours
    if isinstance(network, Renderer):
        first = len(network.blocks) - len(network.heads)  # heads are counted by the blocks before them
        name = re.sub(r"heads\.(\d+)\.norm", lambda m: f"b{int(m[1]) + first + 1}", name)
        name = re.sub(r"heads\.(\d+)\.conv", lambda m: f"c{int(m[1]) + first + 1}", name)
    if isinstance(network, ImageGenerator):
        last = len(network.blocks) + 2
        name = name.replace("head.norm", f"b{last}").replace("head.conv", f"l{last}")
    shift = 2 if isinstance(network, ImageGenerator) else 1
    name = re.sub(r"blocks\.(\d+)", lambda m: f"block{int(m[1]) + shift}", name)
    if score:
        name = re.sub(r"\blinear$", "l6", name)
    for pattern, replacement in LAYERS:
        name = re.sub(pattern, replacement, name)
    return name


def load_released(network: nn.Module, state: Mapping[str, Tensor], score: bool = False) -> None:
    """Load the arrays of a network of the release. Raises ZooError for unknown or missing ones, or other sizes."""
    names, wanted = released_names(network, score), network.state_dict()
    found = {key: value for key, value in state.items() if not key.endswith("/N")}
    missing = [key for key in names if key not in found]
    unknown = [key for key in found if key not in names]
    misfits = [key for key in found if key in names and found[key].shape != wanted[names[key]].shape]
    if missing or unknown or misfits:
        raise ZooError(f"These arrays do not fit TGANv2: {joined([*missing, *unknown, *misfits][:4])}.")
    network.load_state_dict(wanted | {names[key]: value for key, value in found.items()})
