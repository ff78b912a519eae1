"""Source and summary for `python -m zoo.data.prepare moving_mnist`."""

from __future__ import annotations

import numpy as np

from zoo.data.sequences.labelled import Survey
from zoo.data.sets.moving_mnist.clips import SPLITS, MovingMNISTClips
from zoo.data.sets.moving_mnist.config import CLASSES, MovingMNISTConfig
from zoo.data.sets.moving_mnist.digits import load_digits
from zoo.data.sets.moving_mnist.files import LAYOUT, MNIST, find_files

SOURCE = (
    "10,000 digits of MNIST (Yann LeCun and Corinna Cortes, CC BY-SA 3.0) travel with the zoo, so nothing needs to be "
    "downloaded. To use all 70,000, put MNIST's four IDX files in a folder, as torchvision.datasets.MNIST does; the "
    f"published test clips of PredRNN can be there, too: {LAYOUT}."
)


def summarise(config: MovingMNISTConfig) -> Survey:
    """Count the digits of every class, and the clips, in every split. Raises ZooError for unusable files."""
    rows = []
    for split in SPLITS:
        counts = np.bincount(load_digits(config.root, split).labels, minlength=len(CLASSES))
        clips = len(MovingMNISTClips(config, split, frozenset(), seed=0))
        rows.append((split, *(str(count) for count in counts), str(counts.sum()), str(clips)))
    published = config.published_test
    notes = [f"Test clips: {published}. They have a video only, so no clip has other fields."] if published else []
    whole = bool(config.root) and find_files(str(config.root)).source == MNIST
    title = f"Digits of MNIST under {config.root}" if whole else "Digits that travel with the zoo"
    return Survey(title, ("", *CLASSES, "digits", "clips"), tuple(rows), tuple(notes))
