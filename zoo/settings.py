"""The settings of a command: names, types and, where conf/ does not choose them, defaults. Imports no torch.

A value stands in one place: here, in the config of a model or data set, or (where it is MISSING here) in conf/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class Budget:
    """clips: how many training clips are consumed, over all ranks; the same number for every model."""

    clips: int = MISSING


@dataclass
class Strategy:
    """name: the option itself. accelerator, devices: as Lightning takes them."""

    name: str = MISSING
    accelerator: str = MISSING
    devices: str = MISSING


@dataclass
class TrainerSettings:
    """precision: as Lightning takes it. log_every: steps between two logged lines. threads: of the processor; None is
    what PyTorch takes. progress: whether a progress bar is shown."""

    precision: str = "32-true"
    log_every: int = 10
    threads: int | None = None
    progress: bool = True


@dataclass
class Evaluation:
    """rounds: how often in a training, the last at its end. clips: how many, always the same. frames: of each; None is
    as many as in training. context: real frames that a model may see first. seed: of the samples."""

    rounds: int = 4
    clips: int = 8
    frames: int | None = None
    context: int = 1
    seed: int = 0


@dataclass
class Callbacks:
    """ema_half_life: clips after which a weight counts half in the average. gallery_clips: how many are shown.
    monitor: the validation metric whose best value is kept as best.ckpt, lower is better."""

    ema_half_life: float = 500.0
    gallery_clips: int = 3
    monitor: str = "l1"


@dataclass
class Logger:
    """wandb: auto (online if a key is at hand, else offline), online, offline or disabled. project, group: of wandb; a
    group of None is the data set."""

    wandb: str = "auto"
    project: str = "zoo"
    group: str | None = None


@dataclass
class Train:
    """Everything `python -m zoo.train` takes. model and data are the configs that the registry knows."""

    model: Any = MISSING
    data: Any = MISSING
    strategy: Strategy = field(default_factory=Strategy)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    callbacks: Callbacks = field(default_factory=Callbacks)
    logger: Logger = field(default_factory=Logger)
    evaluation: Evaluation = field(default_factory=Evaluation)
    budget: Budget = field(default_factory=Budget)
    seed: int = 1
    runs: str = "runs"


@dataclass
class LookSettings:
    """The look of one thing of a sample, taken from a picture, for models that know several.

    image: the picture. instance: which instance of the sample. labels, instances: PNGs of ids, of the picture; with
    labels each class takes the look of its like, without them all of it is taken. source: which instance of the
    picture; None is all of it.
    """

    image: str | None = None
    instance: int = 0
    labels: str | None = None
    instances: str | None = None
    source: int | None = None


@dataclass
class SampleSettings:
    """Everything `python -m zoo.sample` takes.

    run: a run folder or a checkpoint. frames: length; None is that of the run's evaluation. clips: how many of the data
    set's validation clips are given. given: footage, a video or a folder of frames or maps, instead of the data set;
    given_instances: instance maps beside given label maps. context: real frames that the model may see first; None is
    one, and none where several draws or a first frame are asked for. first_frame: given, image or generated, for models
    that know more than one way to begin; None is the model's own. look: of one thing. out: where to write; None is
    <run>/samples.
    """

    run: str = MISSING
    frames: int | None = None
    clips: int = 2
    draws: int = 1
    seed: int = 0
    context: int | None = None
    first_frame: str | None = None
    look: LookSettings = field(default_factory=LookSettings)
    given: str | None = None
    given_instances: str | None = None
    out: str | None = None
