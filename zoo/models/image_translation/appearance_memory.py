"""Appearances of the regions of a sample, each constant from the first frame that contains the region to the last.

Shapes: D channels of an appearance, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.blocks.appearance import MAX_INSTANCES, AppearanceMixtures, Appearances, region_appearances
from zoo.errors import ZooError
from zoo.types import Appearance


class ChosenAppearance:
    """Appearance that a user chose for one instance of a sample: that of an image, class by class.

    features: (D, H, W), output of the appearance encoder for the image before pooling.
    Raises ZooError if the instance of the image that the appearance names does not exist.
    """

    def __init__(self, appearance: Appearance, features: Tensor) -> None:
        self.instance = appearance.instance
        selected = torch.ones(features.shape[1:], dtype=torch.bool, device=features.device)
        if appearance.source is not None:
            if appearance.instances is None:
                raise ZooError(
                    f"appearance.source={appearance.source} is an instance id, but the image has no instance map. "
                    "Add appearance.instances=<PNG>."
                )
            selected = appearance.instances.to(features.device) == appearance.source
            if not selected.any():
                known = sorted(torch.unique(appearance.instances).tolist())
                raise ZooError(f"appearance.source={appearance.source} is not an instance of the image. Known: {known}")
        self.mean = features[:, selected].mean(1)
        self.by_class: Appearances = {}
        if appearance.labels is not None:
            classes = torch.where(selected, appearance.labels.to(features.device), -1)
            self.by_class = region_appearances(features, classes)

    def of(self, region: int) -> Tensor | None:
        """Appearance of a region, (D,); None for regions of other instances.

        Classes that the image does not contain get its mean appearance.
        """
        label, instance = divmod(region, MAX_INSTANCES)
        return self.by_class.get(label, self.mean) if instance == self.instance else None


class AppearanceMemory:
    """Appearances of one clip's regions: chosen by the user, else observed in a real frame, else drawn; then constant.

    seeds: the random numbers of a draw depend on them and on the region id.
    """

    def __init__(self, mixtures: AppearanceMixtures, seeds: tuple[int, ...], chosen: ChosenAppearance | None) -> None:
        self.mixtures, self.seeds, self.chosen = mixtures, seeds, chosen
        self.appearances: dict[int, Tensor] = {}

    def observe(self, appearances: Appearances) -> None:
        """Store the appearances of a real frame, for regions that have none yet."""
        for region, appearance in appearances.items():
            self.appearances.setdefault(region, appearance)

    def appearance(self, region: int) -> Tensor:
        """Appearance of a region, (D,)."""
        chosen = self.chosen.of(region) if self.chosen else None
        if chosen is not None:
            return chosen
        if region not in self.appearances:
            self.appearances[region] = self.mixtures.draw(region, *self.seeds)
        return self.appearances[region]

    def appearance_map(self, regions: Tensor) -> Tensor:
        """Appearance of every pixel's region: ids (H, W) -> (D, H, W)."""
        ids, index = torch.unique(regions, return_inverse=True)
        table = torch.stack([self.appearance(region).to(regions.device) for region in ids.tolist()])
        return table[index].movedim(-1, 0)
