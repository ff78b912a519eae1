"""Tensors of networks that a release has pickled as whole modules, without their classes and without running code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from zoo.errors import ZooError
from zoo.io.safe_load import PickledObject

MOST_DEPTH = 8
"""Modules inside each other in a released network: fewer than that."""
LAYERS = frozenset(
    f"torch.nn.modules.{name}" for name in (
        "container.Sequential", "container.ModuleList", "conv.Conv2d", "conv.ConvTranspose2d",
        "batchnorm.BatchNorm2d", "activation.LeakyReLU", "activation.ReLU", "activation.Tanh", "activation.Sigmoid",
        "pooling.MaxPool2d", "upsampling.UpsamplingNearest2d", "linear.Linear", "rnn.LSTMCell", "rnn.GRUCell",
    )
) | {"torch.nn.backends.thnn._get_thnn_function_backend", "torch.autograd.variable.Variable"}  # fmt: skip
"""PyTorch's own classes and functions in such files, for ``read_tensors``; none of them is imported."""


def state_of_module(module: Any, release: str) -> dict[str, Tensor]:
    """Parameters and buffers of a pickled module by their names in a state dict. release: whose file it is.

    Raises ZooError for anything that is no module.
    """
    return dict(_collect(module, release, "", 0))


def _collect(module: Any, release: str, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if depth > MOST_DEPTH or not isinstance(module, PickledObject):
        raise ZooError(f"The module {prefix or 'at the top'} of the checkpoint is not one of {release}'s.")
    for group in ("_parameters", "_buffers"):
        for name, value in _members(module, group):
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value.detach()
    for name, inner in _members(module, "_modules"):
        yield from _collect(inner, release, f"{prefix}{name}.", depth + 1)


def _members(module: PickledObject, group: str) -> Iterator[tuple[Any, Any]]:
    members = module.get(group, {})
    return iter(members.items() if isinstance(members, Mapping) else ())
