"""Which look each region of a sample has, from the first frame it is seen in to the last.

Shapes: D channels of a look, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.blocks.appearance import INSTANCES, AppearanceMixtures, Looks, region_looks
from zoo.errors import ZooError
from zoo.types import Look


class ChosenLook:
    """The look of a picture, class by class, for one instance of a sample.

    features: (D, H, W), what the encoder makes of the picture, not yet pooled.
    """

    def __init__(self, look: Look, features: Tensor) -> None:
        self.instance = look.instance
        taken = torch.ones(features.shape[1:], dtype=torch.bool, device=features.device)
        if look.source is not None:
            if look.instances is None:
                raise ZooError(f"look.source={look.source} names an instance of the picture. Add look.instances=<PNG>.")
            taken = look.instances.to(features.device) == look.source
            if not taken.any():
                known = sorted(torch.unique(look.instances).tolist())
                raise ZooError(f"The picture has no instance {look.source}; it has {known}.")
        self.anywhere = features[:, taken].mean(1)
        self.by_class: Looks = {}
        if look.labels is not None:
            classes = torch.where(taken, look.labels.to(features.device), -1)
            self.by_class = region_looks(features, classes)

    def of(self, number: int) -> Tensor | None:
        """The look for a region, (D,); None for another instance. A class that the picture lacks gets its mean."""
        label, instance = divmod(number, INSTANCES)
        return self.by_class.get(label, self.anywhere) if instance == self.instance else None


class Wardrobe:
    """The looks of one clip's regions: chosen, else seen in a real frame, else drawn; found once, and then kept."""

    def __init__(self, mixtures: AppearanceMixtures, seeds: tuple[int, ...], chosen: ChosenLook | None) -> None:
        self.mixtures, self.seeds, self.chosen = mixtures, seeds, chosen
        self.looks: dict[int, Tensor] = {}

    def see(self, looks: Looks) -> None:
        """Keep the looks of a real frame for the regions that are new in it."""
        for number, look in looks.items():
            self.looks.setdefault(number, look)

    def look(self, number: int) -> Tensor:
        """The look of the region of that number, (D,)."""
        chosen = self.chosen.of(number) if self.chosen else None
        if chosen is not None:
            return chosen
        if number not in self.looks:
            self.looks[number] = self.mixtures.draw(number, *self.seeds)
        return self.looks[number]

    def paint(self, regions: Tensor) -> Tensor:
        """Each pixel gets the look of its region: (H, W) -> (D, H, W)."""
        numbers, index = torch.unique(regions, return_inverse=True)
        table = torch.stack([self.look(number).to(regions.device) for number in numbers.tolist()])
        return table[index].movedim(-1, 0)
