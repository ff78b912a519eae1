"""Memory and operations of DVD-GAN's published sizes: shapes alone pass through the model, and nothing is computed.

    python experiments/dvdgan/paper_cost.py

Prints a row for each resolution. Parameters. GiB for weights, gradients, Adam's averages, the average of the weights,
and the weights divided by their norms. GiB for each clip of a batch: what the backward pass of the generator's step
needs, in float32. Operations for each clip, of one step of the generator with its steps of the discriminators; a
multiplication and an addition count as two.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from zoo.card import PAPER
from zoo.models.dvdgan.config import DVDGANConfig
from zoo.models.dvdgan.model import DVDGAN
from zoo.types import ClipSpec

FRAMES, CLASSES, BATCH = 16, 101, 2
FLOAT, GIB = 4, 2**30


def paper_cost(side: int, frames: int = FRAMES) -> dict[str, float]:
    """The figures of one row, by name. side: pixels.

    What every further clip needs is the difference between two sizes of a batch.
    """
    values = tuple(map(str, range(CLASSES)))
    spec = ClipSpec(
        ("video", "attributes"), frames, side, side, 25.0, attributes={"class": values}, constant=("class",)
    )
    with FakeTensorMode():
        model = DVDGAN(DVDGANConfig(preset=PAPER, category="class"), spec)
        few, _ = step_cost(model, BATCH)
        more, operations = step_cost(model, BATCH + 1)
    generator = sum(weight.numel() for weight in model.generator.parameters())
    parameters = sum(weight.numel() for weight in model.parameters())
    clip = more - few
    return {
        "parameters": parameters,
        "fixed": (FLOAT * (4 * parameters + generator) + few - BATCH * clip) / GIB,
        "clip": clip / GIB,
        "operations": operations / (BATCH + 1),
    }


def step_cost(model: DVDGAN, batch: int) -> tuple[int, int]:
    """Bytes that the generator's step keeps besides the weights, and operations of it and its discriminators' steps."""
    spec, saved = model.spec, Saved()
    noise, classes = torch.randn(batch, model.config.noise), torch.zeros(batch, dtype=torch.long)
    real = torch.randn(batch, spec.frames, spec.channels, spec.height, spec.width)
    with FlopCounterMode(display=False) as counter:
        with saved_tensors_hooks(saved.add, lambda kept: kept):
            scores = score(model, model.generator(noise, classes, spec.frames, None), classes)
        scores.backward()
        generator_step = counter.get_total_flops()
        with torch.no_grad():
            generated = model.generator(noise, classes, spec.frames, None)
        score(model, torch.cat([real, generated]), torch.cat([classes, classes])).backward()
        discriminator_step = counter.get_total_flops() - generator_step
    own = {storage_of(weight) for weight in model.parameters()}
    return saved.bytes(own), generator_step + model.config.discriminator_steps * discriminator_step


def score(model: DVDGAN, video: Tensor, classes: Tensor) -> Tensor:
    """Sum of the scores of clips (B, T, C, H, W) by both discriminators."""
    frames = video[:, : model.config.scored_frames]
    return model.spatial_discriminator(frames, classes).sum() + model.temporal_discriminator(video, classes).sum()


def storage_of(tensor: Tensor) -> int:
    """A number that tensors share that share their memory."""
    return StorageWeakRef(tensor.untyped_storage()).cdata


class Saved:
    """Tensors that a forward pass keeps for the backward pass, each storage once."""

    def __init__(self) -> None:
        self.kept: dict[int, Tensor] = {}

    def add(self, tensor: Tensor) -> Tensor:
        """Note a tensor, and return it."""
        self.kept[storage_of(tensor)] = tensor
        return tensor

    def bytes(self, without: set[int]) -> int:
        """Bytes of the storages that are not in ``without``."""
        return sum(kept.untyped_storage().nbytes() for key, kept in self.kept.items() if key not in without)


if __name__ == "__main__":
    print("| pixels | parameters | GiB, whatever the batch | GiB a clip | operations a clip and step |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for side in (64, 128, 256):
        cost = paper_cost(side)
        print(
            f"| {side} x {side} | {cost['parameters']:,.0f} | {cost['fixed']:.1f} | {cost['clip']:.1f} | "
            f"{cost['operations']:.1e} |"
        )
