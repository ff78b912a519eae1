"""Video-generation models behind one interface: ``python -m zoo.train model=vid2vid data=puppets``.

Messages go to the logger ``zoo``.
"""

# ruff: noqa: E402
import os
import sys


def _leave_out_current_folder() -> None:
    """Take the current folder off the path of imports, where ``python -m zoo…`` has put it: it may be a download.

    Nothing is imported before that, and processes that are started do the same. A checkout of the zoo stays, since the
    zoo itself is imported from there.
    """
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib is not imported yet
    here = os.path.realpath(os.getcwd())  # noqa: PTH109
    if sys.argv[:1] == ["-m"] and here != home and sys.path and os.path.realpath(sys.path[0]) == here:
        del sys.path[0]
        os.environ["PYTHONSAFEPATH"] = "1"


_leave_out_current_folder()

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.card import MODELS, ModelCard, ModelConfig, register
from zoo.errors import ZooError
from zoo.types import Clip, ClipSpec, Sample, SampleRequest

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor

    from zoo.model import VideoModel
    from zoo.training.session import FinishedRun
    from zoo.types import Split

logging.getLogger("zoo").addHandler(logging.NullHandler())  # a library prints nothing unless its user asks

list_models = MODELS.names

__all__ = [
    "Clip",
    "ClipSpec",
    "ModelCard",
    "ModelConfig",
    "Sample",
    "SampleRequest",
    "ZooError",
    "build",
    "clips",
    "fit",
    "list_models",
    "load",
    "register",
    "save_video",
]


def clips(
    data: str = "puppets",
    *,
    split: "Split" = "val",
    frames: int | None = None,
    batch: int = 4,
    first: int = 0,
    **settings: Any,
) -> Clip:
    """A batch of clips of a data set, with every field that it provides.

    data, settings: the data set and its settings, as ``data=`` and ``data.<setting>=`` on the command line. frames:
    length of a clip; None is the setting's default. batch: number of clips; they are those from ``first`` on, in the
    order of the split. The clips of ``val`` and ``test`` are the same for everybody.

    Raises ZooError for an unknown data set or setting, and where there are fewer clips.

    >>> zoo.clips("puppets", frames=8, batch=2, height=64)["video"].shape
    torch.Size([2, 8, 3, 64, 64])
    """
    from zoo.data.batch import read_batch  # imports torch, which `import zoo` does not

    return read_batch({"name": data, **settings}, split, frames, range(first, first + batch))


def fit(*overrides: str) -> "FinishedRun":
    """Train a model in this process: ``zoo.fit("model=vid2vid", "budget.clips=800")``.

    overrides: what would follow ``zoo train`` on the command line, except ``-m``; ``"resume=runs/<run>"`` continues a
    training. Returns the run folder and the metrics of the last round.

    Raises ZooError for settings that do not fit each other, before anything is trained.
    """
    from zoo.config.compose import compose_run
    from zoo.training.resume import prepare_overrides
    from zoo.training.session import run_training

    config, folder = compose_run("train", prepare_overrides(overrides))
    return run_training(config, folder, overrides)


def build(model: Mapping[str, Any], spec: ClipSpec) -> "VideoModel[Any]":
    """Build a model from plain settings, for clips of a given spec: ``build({"name": "vid2vid"}, spec)``.

    Raises ZooError for an unknown model or setting.
    """
    from zoo.model import build  # imports torch, which `import zoo` does not

    return build(model, spec)


def load(run: "str | PathLike[str]") -> "VideoModel[Any]":
    """Load a trained model from a run folder or a checkpoint, in evaluation mode on the CPU.

    Raises ZooError if there is no checkpoint, or if it cannot be read.
    """
    from zoo.runs.load import load  # imports torch, which `import zoo` does not

    return load(str(run))


def save_video(video: "Tensor", path: "str | PathLike[str]", fps: float) -> None:
    """Write a video (T, C, H, W) in [-1, 1], RGB or grey, such as ``sample.video[0]``, as an MP4 file."""
    from zoo.visualization.grids import write_mp4  # imports torch, which `import zoo` does not

    write_mp4(video, path, fps)
