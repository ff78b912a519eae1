"""CUDA graphs: what a network asks of a GPU for arguments of one form is recorded once, and then asked in one go.

A generator of small frames has hundreds of short operations a frame, and asking for them one by one takes longer than
they do. Only for networks in use: no gradients, no random numbers, and the same operations whatever the values are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

Run = Callable[[], Any]
Capture = Callable[[Run], tuple[Callable[[], None], Any]]
"""Takes a call without arguments; gives a way to repeat it in the same memory, and what the call returns there."""
WARM = 3  # runs ahead of the recording, in which libraries choose their algorithms and take their memory


def capture_cuda_graph(run: Run) -> tuple[Callable[[], None], Any]:
    """Capture on the GPU at hand; after PyTorch's notes on CUDA graphs."""
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM):
            run()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = run()
    return graph.replay, made


class CapturedNetwork:
    """A forward whose positional arguments are trees of tensors and plain values; there is a recording for each form.

    Tensors are copied to where the recording reads, and what it makes is copied out: the next replay writes over it.
    """

    def __init__(self, forward: Callable[..., Any], capture: Capture = capture_cuda_graph) -> None:
        self.forward, self.capture = forward, capture
        self.recordings: dict[Any, tuple[list[Tensor], Callable[[], None], Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """What the forward returns for these arguments."""
        leaves, tree = tree_flatten(args)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        form = (tree, *(_form(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves))
        if form not in self.recordings:
            places = [x.clone() for x in tensors]
            inside = iter(places)
            kept = [next(inside) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            self.recordings[form] = (places, *self.capture(lambda: self.forward(*tree_unflatten(kept, tree))))
        places, replay, made = self.recordings[form]
        for place, x in zip(places, tensors, strict=True):
            place.copy_(x)
        replay()
        return tree_map_only(Tensor, torch.clone, made)


def _form(x: Tensor) -> tuple[Any, ...]:
    return (tuple(x.shape), x.dtype, x.device)
