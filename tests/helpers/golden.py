"""Hold the replay of a golden record against the record."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

MODES = ("train", "eval")


def pairs(expected: Any, found: Any, where: str) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Pairs of each tensor and number in the record and in the replay."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            if value is not None:
                yield from pairs(value, found[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), where
        for number, (value, other) in enumerate(zip(expected, found, strict=True)):
            if value is None:
                assert other is None, f"{where}[{number}]"
            else:
                yield from pairs(value, other, f"{where}[{number}]")
    else:
        yield where, *(torch.as_tensor(x).detach().double() for x in (expected, found))


def check_outputs(expected: Any, found: Any, where: str, tolerance: float = 1e-4) -> int:
    """Compare every output, by its norm; the number of outputs that were compared."""
    compared = 0
    for place, wanted, value in pairs(expected, found, where):
        assert value.shape == wanted.shape, place
        assert (value - wanted).norm() <= tolerance * wanted.norm() + 1e-10, place
        compared += 1
    return compared


def check_record(
    path: Path, replay: Callable[[Mapping[str, Any]], dict[str, Any]], hidden: tuple[str, ...] = ()
) -> int:
    """Replay a record without its answers, the modes train and eval, and compare; the number of outputs compared.

    hidden: keys that the replay does not see, either.
    """
    record = torch.load(path, weights_only=True)
    expected = {mode: record.pop(mode) for mode in MODES if mode in record}
    given = {key: value for key, value in record.items() if key not in hidden}
    return check_outputs(expected, replay(given), path.stem)
