"""The settings of a command: names, types and, where conf/ does not choose them, defaults. Imports no torch.

A value stands in one place: here, in the config of a model or data set, or (where it is MISSING here) in conf/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class Budget:
    """clips: how many training clips are consumed, over all ranks; None is what the model's card advises."""

    clips: int | None = None


@dataclass
class Strategy:
    """name: the option itself. accelerator, devices: as Lightning takes them, the devices of each machine."""

    name: str = MISSING
    accelerator: str = MISSING
    devices: str = MISSING


@dataclass
class TrainerSettings:
    """precision: 32, bf16 or 16 (mixed with 32), 64, or Lightning's own name. num_nodes: machines. sync_batchnorm:
    whether, with several processes, batch norm sees the batch of all of them. compile: whether the networks are
    compiled, which takes a minute and pays in long trainings. channels_last: whether convolutions work on pictures with
    their channels last in memory, which rounds otherwise; None is what is faster for the model. log_every: steps
    between two logged lines. threads: of the processor; None is what PyTorch takes. progress: whether a progress bar is
    shown.
    """

    precision: str = "32"
    num_nodes: int = 1
    sync_batchnorm: bool = False
    compile: bool = False
    channels_last: bool | None = None
    log_every: int = 10
    threads: int | None = None
    progress: bool = True


@dataclass
class EvaluationTools:
    """What is measured, and with what.

    metrics: names, see `python -m zoo.list`; None is what is usual. features: a network for fvd, kvd, fid, kid and the
    Inception scores: r3d_18, mvit_v2_s, lite0, i3d, c3d, inception and others, or a TorchScript file. features_weights:
    its file, where torch's cache does not hold it. features_sha256: what the file's checksum must begin with.
    classifier, segmenter: runs of these models, trained on the same data. flow: dis, raft_small, raft_large, or exact,
    the data set's own, for models whose samples should move as the real clips do.
    """

    metrics: list[str] | None = None
    features: str | None = None
    features_weights: str | None = None
    features_sha256: str | None = None
    classifier: str | None = None
    segmenter: str | None = None
    flow: str = "dis"


@dataclass
class Evaluation(EvaluationTools):
    """rounds: how often in a training, the last at its end. clips: how many, always the same; None is what the model's
    card advises, or all that there are. frames: of each; None is as many as in training. context: real frames that a
    model may see first. seed: of the samples."""

    rounds: int = 4
    clips: int | None = None
    frames: int | None = None
    context: int = 1
    seed: int = 0


@dataclass
class Callbacks:
    """ema_half_life: clips after which a weight counts half in the average. gallery_clips: how many are shown.
    monitor: the validation metric whose best value is kept as best.ckpt; None is the first that the model has, and none
    where samples have no real clip to be compared with. save_minutes: how old last.ckpt may become between two rounds
    of evaluation."""

    save_minutes: float = 10.0
    ema_half_life: float = 500.0
    gallery_clips: int = 3
    monitor: str | None = None


@dataclass
class Logger:
    """wandb: auto (online if a key is at hand, else offline), online, offline or disabled. project, group: of wandb; a
    group of None is the data set."""

    wandb: str = "auto"
    project: str = "zoo"
    group: str | None = None


@dataclass
class Train:
    """Everything `python -m zoo.train` takes. model and data are the configs that the registry knows. resume: a run
    folder whose training goes on; its own settings count. overwrite: whether a run that is in the folder already may be
    replaced. slots: of a sweep on this machine, jobs at a time and GPUs for each, such as 4x1; None is one job with
    everything."""

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
    resume: str | None = None
    overwrite: bool = False
    slots: str | None = None


@dataclass
class AppearanceSettings:
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
    one, but none for a model that needs none, and where several draws or a first frame are asked for. first_frame:
    given, image or generated, for models that know more than one way to begin; None is the model's own. appearance: of
    one thing. attributes: for models that know them, name -> a value, such as `walk`, or values with the frames that
    they begin at, `walk@0,run@5`, or `free` (drawn), or `inferred` (from the frames that are shown); those left out are
    the given clip's own, or else drawn. temperature: by which every deviation of what is drawn is multiplied.
    reconstruct: see every frame, and write what the model keeps of it. out: where to write; None is <run>/samples.
    overwrite: whether a sample that is there already may be replaced. accelerator: auto, which takes a GPU where there
    is one, cpu, gpu or mps. cuda_graphs: whether a GPU is asked for each network in one go, which is faster where
    frames are small.
    """

    run: str = MISSING
    frames: int | None = None
    clips: int = 2
    draws: int = 1
    seed: int = 0
    context: int | None = None
    first_frame: str | None = None
    appearance: AppearanceSettings = field(default_factory=AppearanceSettings)
    attributes: dict[str, str] = field(default_factory=dict)
    temperature: float | None = None
    reconstruct: bool = False
    given: str | None = None
    given_instances: str | None = None
    out: str | None = None
    overwrite: bool = False
    accelerator: str = "auto"
    cuda_graphs: bool = False


@dataclass
class EvaluateSettings(EvaluationTools):
    """Everything `python -m zoo.evaluate` takes.

    run: a run folder or a checkpoint of a model that makes videos. clips: how many of its held-out clips, always the
    first ones; None is 256, or all that there are. frames: that are made of each; None is as many as in training.
    context: real frames that the model sees first, which are not measured; None is one and, for models that begin from
    nothing as well, also none. draws: samples for each clip. temperature: of the samples. seed: of the samples.

    real, fake: instead of a run, two folders of videos. frames, height, width, fps: of the clips that are cut out of
    them; None is what the first real video has, and 16 frames; folders of images have no fps, and it is asked for where
    it matters. clips_per_video: from the start of each video.

    batch_size: clips at a time. accelerator, cuda_graphs: as for `python -m zoo.sample`.
    """

    run: str | None = None
    clips: int | None = None
    frames: int | None = None
    context: int | None = None
    draws: int = 1
    temperature: float | None = None
    seed: int = 0
    real: str | None = None
    fake: str | None = None
    height: int | None = None
    width: int | None = None
    fps: float | None = None
    clips_per_video: int = 1
    batch_size: int = 16
    accelerator: str = "auto"
    cuda_graphs: bool = False


@dataclass
class BenchmarkSettings:
    """What `python -m zoo.benchmark` takes beside the settings of a training.

    repetitions: how often each thing is measured: a training step, a sample, the metrics of a batch, loading. warm_up:
    how often it is done before, unmeasured. turn: with --compare, repetitions that one side takes before it is the
    other's turn; None is 1 on the processor, and 10 on a GPU, where work is queued ahead. out: the JSON file; None is
    benchmark-<model>-<data>-<time>.json in this folder.
    """

    repetitions: int = 20
    warm_up: int = 3
    turn: int | None = None
    out: str | None = None
