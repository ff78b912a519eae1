"""Which appearance each region of a sample has, from the first frame it is seen in to the last.

Shapes: D channels of an appearance, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.blocks.appearance import MAX_INSTANCES, AppearanceMixtures, Appearances, region_appearances
from zoo.errors import ZooError
from zoo.types import Appearance


class ChosenAppearance:
    """The appearance of a picture, class by class, for one instance of a sample.

    features: (D, H, W), what the encoder makes of the picture, not yet pooled.
    """

    def __init__(self, appearance: Appearance, features: Tensor) -> None:
        self.instance = appearance.instance
        taken = torch.ones(features.shape[1:], dtype=torch.bool, device=features.device)
        if appearance.source is not None:
            if appearance.instances is None:
                raise ZooError(
                    f"appearance.source={appearance.source} names an instance of the picture. "
                    "Add appearance.instances=<PNG>."
                )
            taken = appearance.instances.to(features.device) == appearance.source
            if not taken.any():
                known = sorted(torch.unique(appearance.instances).tolist())
                raise ZooError(f"The picture has no instance {appearance.source}; it has {known}.")
        self.anywhere = features[:, taken].mean(1)
        self.by_class: Appearances = {}
        if appearance.labels is not None:
            classes = torch.where(taken, appearance.labels.to(features.device), -1)
            self.by_class = region_appearances(features, classes)

    def of(self, number: int) -> Tensor | None:
        """The appearance for a region, (D,); None for another instance. A class that the picture lacks gets its
        mean."""
        label, instance = divmod(number, MAX_INSTANCES)
        return self.by_class.get(label, self.anywhere) if instance == self.instance else None


class AppearanceMemory:
    """The appearances of one clip's regions: chosen, else seen in a real frame, else drawn; found once, and then
    kept."""

    def __init__(self, mixtures: AppearanceMixtures, seeds: tuple[int, ...], chosen: ChosenAppearance | None) -> None:
        self.mixtures, self.seeds, self.chosen = mixtures, seeds, chosen
        self.appearances: dict[int, Tensor] = {}

    def see(self, appearances: Appearances) -> None:
        """Keep the appearances of a real frame for the regions that are new in it."""
        for number, appearance in appearances.items():
            self.appearances.setdefault(number, appearance)

    def appearance(self, number: int) -> Tensor:
        """The appearance of the region of that number, (D,)."""
        chosen = self.chosen.of(number) if self.chosen else None
        if chosen is not None:
            return chosen
        if number not in self.appearances:
            self.appearances[number] = self.mixtures.draw(number, *self.seeds)
        return self.appearances[number]

    def paint(self, regions: Tensor) -> Tensor:
        """Each pixel gets the appearance of its region: (H, W) -> (D, H, W)."""
        numbers, index = torch.unique(regions, return_inverse=True)
        table = torch.stack([self.appearance(number).to(regions.device) for number in numbers.tolist()])
        return table[index].movedim(-1, 0)
