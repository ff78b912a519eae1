"""CUDA graphs: the kernels that a network launches for inputs of one signature are captured once and then replayed.

A generator of small frames launches hundreds of short kernels a frame, and launching takes longer than running them.
For inference only: no gradients, no random numbers, and the same operations whatever the values are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

Run = Callable[[], Any]
Capture = Callable[[Run], tuple[Callable[[], None], Any]]
"""Takes a function without arguments; returns a function that replays it in the same memory, and its result there."""
WARM_UP = 3  # runs before the capture, in which libraries choose algorithms and allocate memory


def capture_cuda_graph(run: Run) -> tuple[Callable[[], None], Any]:
    """Capture a function on the current GPU, as PyTorch's notes on CUDA graphs describe."""
    side_stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(side_stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()
    return graph.replay, result


class CapturedNetwork:
    """A forward function that is captured once for each signature of its arguments: nested tensors and plain values.

    Input tensors are copied into the memory that the graph reads, and results are copied out of it, since the next
    replay overwrites them.
    """

    def __init__(self, forward: Callable[..., Any], capture: Capture = capture_cuda_graph) -> None:
        self.forward, self.capture = forward, capture
        self.graphs: dict[Any, tuple[list[Tensor], Callable[[], None], Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Return what the forward function returns for these arguments; capture it first for a new signature."""
        leaves, tree = tree_flatten(args)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        signature = (
            tree,
            *((leaf.shape, leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf for leaf in leaves),
        )
        if signature not in self.graphs:
            inputs = [x.clone() for x in tensors]
            remaining = iter(inputs)
            static = [next(remaining) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            self.graphs[signature] = (inputs, *self.capture(lambda: self.forward(*tree_unflatten(static, tree))))
        inputs, replay, result = self.graphs[signature]
        for static_input, x in zip(inputs, tensors, strict=True):
            static_input.copy_(x)
        replay()
        return tree_map_only(Tensor, torch.clone, result)
