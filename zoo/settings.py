"""The settings of every command: names, types and, where conf/ does not choose them, defaults. Imports no torch.

A default lives in one place: here, in the config of a model or data set, or (where it is MISSING here) in conf/. The
docstring after a field is its meaning: `--help`, the docs and editors show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from omegaconf import MISSING

from zoo.fields.ranges import (
    LARGEST,
    FrameRate,
    Frames,
    NonNegativeFloat,
    NonNegativeInt,
    Pixels,
    PositiveFloat,
    PositiveInt,
    Range,
    Seed,
)


@dataclass
class Budget:
    """How long a training is."""

    clips: PositiveInt | None = None
    """Number of training clips consumed, summed over all processes. None: the number that the model's card advises."""


@dataclass
class Strategy:
    """How a training uses the devices; an option of conf/strategy."""

    name: str = MISSING
    """Name of the strategy: auto, cpu, ddp, fsdp or deepspeed. Set by strategy=<name>."""

    accelerator: str = MISSING
    """Kind of device, passed to Lightning's Trainer: auto, cpu, gpu or mps."""

    devices: str = MISSING
    """Devices on each machine, passed to Lightning's Trainer: a number, a list of indices or auto (all of them)."""


@dataclass
class TrainerSettings:
    """Precision, memory format, compilation and logging of a training."""

    precision: str = "32"
    """Number format: 32, bf16 or 16 (both mixed with 32), 64, or Lightning's own name such as bf16-true. 16 needs a
    GPU."""

    num_nodes: PositiveInt = 1
    """Number of machines. torchrun and srun set it themselves where strategy.devices is auto."""

    sync_batchnorm: bool = False
    """With several processes: compute batch-norm statistics over the batch of all processes, not of each one."""

    compile: bool = False
    """Compile the networks with torch.compile. Takes about a minute at the start and pays off in long trainings."""

    channels_last: bool | None = None
    """Store images and kernels in the channels-last memory format, which changes rounding. None: whichever is faster
    for the model."""

    log_every: PositiveInt = 10
    """Optimizer steps between two logged lines."""

    threads: Annotated[int, Range(1, 1024)] | None = None
    """CPU threads for PyTorch. None: PyTorch's own default."""

    progress: bool = True
    """Show progress: a bar in a terminal, else a line in the log every 30 seconds and after each validation round.
    Either way, one line after the first steps estimates the time left and the memory."""


@dataclass
class EvaluationTools:
    """Which metrics are computed, and with which networks."""

    metrics: list[str] | None = None
    """Names of the metrics; `python -m zoo.list` lists them all. None: the default ones, as far as the samples and the
    given networks allow. FVD and FID must be asked for by name: they need more clips than the network has features."""

    features: str | None = None
    """Feature network of FVD, KVD, FID, KID and the Inception scores: r3d_18, mvit_v2_s, lite0, i3d, c3d, inception
    and others (see `python -m zoo.list`), or the path of a TorchScript file. None: none of these metrics."""

    features_weights: str | None = None
    """Weights file of the feature network. None: the file in torch's cache; nothing is downloaded."""

    features_sha256: str | None = None
    """Hex digits that the SHA-256 checksum of the weights file must begin with. None: not checked."""

    classifier: str | None = None
    """Run folder of a classifier trained on the same data; enables accuracy and classifier_frechet. None: neither."""

    segmenter: str | None = None
    """Run folder of a segmenter trained on the same data; enables label_miou. None: not computed."""

    flow: str = "dis"
    """Optical flow used by motion metrics: dis, raft_small, raft_large, or exact. exact is the data set's own flow,
    for models whose samples must move as the real clips do."""


@dataclass
class Evaluation(EvaluationTools):
    """The validation rounds of a training."""

    rounds: PositiveInt = 4
    """Number of validation rounds, evenly spaced; the last is at the end of the training."""

    clips: PositiveInt | None = None
    """Number of validation clips; every round uses the same ones. None: the number that the model's card advises, or
    all clips if there are fewer."""

    frames: Frames | None = None
    """Length of a sampled clip in frames, including the context. None: the length of a training clip."""

    context: NonNegativeInt | None = None
    """Number of real frames that the model sees at the start of a clip. None: 1, or the nearest number that the model
    can use: 0 for a model that generates from nothing."""

    seed: Seed = 0
    """Random seed of the samples."""


@dataclass
class Callbacks:
    """Checkpoints, weight averaging and the gallery of samples."""

    save_minutes: NonNegativeFloat = 10.0
    """Longest time between two writes of last.ckpt, in minutes. Every validation round writes it as well."""

    ema_half_life: NonNegativeFloat = 500.0
    """Half-life of the moving average of the weights, in training clips. Samples use the averaged weights. 0: they use
    those of the last step."""

    gallery_clips: NonNegativeInt = 3
    """Number of validation clips shown in gallery.mp4 and gallery.png."""

    monitor: str | None = None
    """Validation metric whose best value is kept as best.ckpt: one that compares a sample with its real clip, or a set
    metric on a feature network or a classifier. None: the first of the former; where samples have no reference clip,
    the first distance of two sets, if one is computed, else no best.ckpt."""


@dataclass
class Logger:
    """Logging to wandb; metrics.csv is always written."""

    wandb: str = "auto"
    """auto (WANDB_MODE, else online if an API key is available, else offline), online, offline or disabled."""

    entity: str | None = None
    """wandb user or team. None: WANDB_ENTITY, else the default of the account."""

    project: str | None = None
    """wandb project. None: WANDB_PROJECT, else zoo."""

    group: str | None = None
    """wandb group. None: WANDB_RUN_GROUP, else the name of the data set."""

    name: str | None = None
    """Name of the wandb run. None: WANDB_NAME, else model, data set, seed, width and run folder."""

    tags: list[str] | None = None
    """wandb tags. None: WANDB_TAGS, else the names of the model and the data set."""

    notes: str | None = None
    """Notes of the wandb run. None: WANDB_NOTES."""


@dataclass
class Train:
    """Settings of `python -m zoo.train`."""

    model: Any = MISSING
    """Settings of the model; model=<name> chooses one."""

    data: Any = MISSING
    """Settings of the data set; data=<name> chooses one."""

    strategy: Strategy = field(default_factory=Strategy)
    """How the training uses the devices; strategy=<name> chooses one."""

    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    """Precision, memory format, compilation and logging."""

    callbacks: Callbacks = field(default_factory=Callbacks)
    """Checkpoints, weight averaging and the gallery of samples."""

    logger: Logger = field(default_factory=Logger)
    """Logging to wandb."""

    evaluation: Evaluation = field(default_factory=Evaluation)
    """The validation rounds."""

    budget: Budget = field(default_factory=Budget)
    """How long the training is."""

    seed: Seed = 1
    """Random seed of the training: initial weights, order and augmentation of the clips, noise."""

    runs: str = "runs"
    """Folder in which a new run folder, or the folder of a sweep, is created."""

    resume: str | None = None
    """Run folder whose training continues, with the settings stored there. None: a new training."""

    overwrite: bool = False
    """Replace a run that is already in the run folder, instead of refusing."""

    trust: bool = False
    """Only with `resume`: use all settings of a run folder that you have not signed, those that run code, start
    processes or lead out of the folder included, and sign it as your own."""

    accept_changed_data: bool = False
    """Only with `resume`: go on although the data has other videos, other files or another split than when the training
    began."""

    slots: str | None = None
    """Only for sweeps (-m) on this machine: <jobs at a time>x<GPUs for each>, such as 4x1. None: one job at a time,
    with all GPUs."""


@dataclass
class AppearanceSettings:
    """Appearance of one instance, taken from an image; for multimodal models."""

    image: str | None = None
    """Image file that the appearance is taken from. None: no appearance is chosen."""

    instance: NonNegativeInt = 0
    """Id of the instance of the sample that gets the appearance."""

    labels: str | None = None
    """PNG with the class ids of the image: each class gets the appearance of the same class in the image. None: every
    class gets the mean over the whole image, or over `appearance.source`."""

    instances: str | None = None
    """PNG with the instance ids of the image; needed for `appearance.source`."""

    source: NonNegativeInt | None = None
    """Id of the instance in the image that the appearance is taken from. None: the whole image."""


@dataclass
class RunData:
    """The data of a run that is sampled from or evaluated."""

    root: str | None = None
    """Folder where the data set of the run lies now, if it was moved. None: where it was in the training."""


@dataclass
class SampleSettings:
    """Settings of `python -m zoo.sample`."""

    run: str = MISSING
    """Run folder, or a checkpoint file in it."""

    frames: Frames | None = None
    """Length of each sample in frames, context included. None: the length of `given` where the model translates or
    reconstructs it, else the length of a training clip."""

    clips: PositiveInt = 2
    """Number of validation clips of the data set to sample from, or number of samples that are made from nothing;
    ignored with `given`."""

    draws: PositiveInt = 1
    """Number of samples drawn for each clip."""

    seed: Seed = 0
    """Random seed. The same seed, draw and clip give the same sample."""

    context: NonNegativeInt | None = None
    """Number of real frames that the model sees first. None: 1, or the nearest number that the model can use; but 0 for
    a model that generates without any (unless `given` is set), for several draws of a multimodal model, and with
    first_frame=image or generated."""

    first_frame: str | None = None
    """How a sample begins: given (a real frame), image (an image model generates it) or generated (from nothing). Only
    for models that support it, such as vid2vid. None: the model's own setting."""

    appearance: AppearanceSettings = field(default_factory=AppearanceSettings)
    """Appearance of one instance, taken from an image; for multimodal models."""

    attributes: dict[str, str] = field(default_factory=dict)
    """Attributes of the sample, attributes.<name>=<value>, for models that take them. A value is a word such as walk,
    or words with the frame that each begins at, such as walk@0,run@5, or free (drawn at random), or inferred (from the
    context frames). Attributes left out are those of the given clip, else drawn at random."""

    content: NonNegativeInt | None = None
    """Number of the sample made from nothing whose content all samples have, so that only their motion differs. Only
    for models that separate the two, such as mocogan. None: every sample has its own."""

    motion: NonNegativeInt | None = None
    """Number of the sample made from nothing whose motion all samples have, so that only their content differs. None:
    every sample has its own."""

    frames_between: NonNegativeInt | None = None
    """Number of frames that are generated between each two frames, so that the video gets longer and slower. Only for
    models that can, such as tgan. None: 0."""

    temperature: NonNegativeFloat | None = None
    """Factor on every standard deviation that is sampled from. None: 1."""

    truncation: PositiveFloat | None = None
    """Largest absolute value of the noise; entries beyond it are drawn again. Smaller values give better and fewer
    kinds of samples. Only for models that support it. None: no limit."""

    reconstruct: bool = False
    """Encode every frame of the clip and decode it again, instead of generating."""

    between: list[NonNegativeInt] | None = None
    """Two numbers, such as [0,3], to interpolate between: of samples made from nothing, or of validation clips if the
    model has an encoder. The codes on the way from one to the other are decoded. None: no interpolation."""

    steps: Annotated[int, Range(2, LARGEST)] = 8
    """Only with `between`: number of videos on the way, both ends included."""

    given: str | None = None
    """Footage to sample from instead of the data set: a video, or a folder of frames or maps. None: validation clips
    of the data set."""

    given_instances: str | None = None
    """Folder of instance maps (PNGs of ids) beside label maps in `given`; for models that draw instance borders."""

    data: RunData = field(default_factory=RunData)
    """The data of the run."""

    out: str | None = None
    """Folder to write to. None: <run>/samples."""

    overwrite: bool = False
    """Replace files that exist, instead of refusing."""

    trust: bool = False
    """Read the data set of a run folder that is not signed as your own, wherever its settings say that it is."""

    accelerator: str = "auto"
    """Device: auto (a GPU if there is one), cpu, gpu or mps."""

    cuda_graphs: bool = False
    """Capture each network as a CUDA graph; faster for small frames. Needs an NVIDIA GPU."""


@dataclass
class EvaluateSettings(EvaluationTools):
    """Settings of `python -m zoo.evaluate`, which measures a run (`run`) or two folders of videos (`real`, `fake`)."""

    run: str | None = None
    """Run folder, or a checkpoint file in it, of a model that generates videos. None: `real` and `fake` are given."""

    trust: bool = False
    """Only for a run: read the data set of a run folder that is not signed as your own, wherever its settings say that
    it is."""

    protocol: str | None = None
    """Named protocol, which sets clips, frames, size, metrics, features and all else at once: styleganv-fvd2048-16f,
    or, of a run on moving digits, svg-smmnist, srvp-smmnist or predrnn-mmnist. None: what the other settings say."""

    protocol_name: str | None = None
    """Name for a measurement that differs from `protocol` in a setting. None: no setting may differ."""

    split: str | None = None
    """Only for a run: held-out clips that are measured, val or test. Checkpoints and defaults are chosen on val, so
    report test. Puppets have it, and other data sets if they were trained with data.test_share or with test files.
    None: val, or the split of the named protocol."""

    clips: PositiveInt | None = None
    """Number of clips, spread evenly over all, the same for every run. None: for a run 256, or all held-out clips if
    there are fewer; for two folders all clips of the smaller one."""

    frames: Frames | None = None
    """Length of a clip in frames; of a run, context included. None: for a run the length of a training clip (with a
    classifier, the length that it was trained on, plus the context); for two folders 16."""

    context: NonNegativeInt | None = None
    """Only for a run: number of real frames that the model sees first; they are not measured. None: 1, and 0 for a
    model that generates without any, one protocol for each number that the model can use."""

    draws: PositiveInt | None = None
    """Only for a run: number of samples drawn for each clip. Diversity metrics need at least 2. None: 1, or the number
    of the named protocol."""

    temperature: NonNegativeFloat | None = None
    """Only for a run: factor on every standard deviation that is sampled from. None: 1."""

    truncation: PositiveFloat | None = None
    """Only for a run: largest absolute value of the noise; entries beyond it are drawn again. None: no limit."""

    samples: PositiveInt | None = None
    """Only for a run whose samples are made from nothing: number of samples, which may exceed the number of real clips
    that they are compared with. None: as many as real clips."""

    seed: Seed = 0
    """Only for a run: random seed of the samples."""

    baselines: bool = True
    """Only for a run: measure trivial samples on the same clips, too, such as the given frame repeated, and say whether
    the model is past them. false: the model alone."""

    real: str | None = None
    """Folder of real videos. Videos with the same name in both folders are compared in pairs."""

    fake: str | None = None
    """Folder of generated videos; results.jsonl is written there."""

    height: Pixels | None = None
    """Only for two folders: height of a clip in pixels. None: that of the first real video."""

    width: Pixels | None = None
    """Only for two folders: width of a clip in pixels. None: that of the first real video."""

    fps: FrameRate | None = None
    """Only for two folders: frame rate of a clip, frames per second, to which every video is resampled by repeating or
    dropping frames. None: that of the videos, which are refused if theirs differ by more than 1 %. Folders of images
    have no frame rate: type it if only some videos are such folders, or if a classifier is used."""

    data: RunData = field(default_factory=RunData)
    """Only for a run: its data."""

    clips_per_video: PositiveInt = 1
    """Only for two folders: number of clips cut from the start of each video."""

    batch_size: Annotated[int, Range(1, 65_536)] = 16
    """Number of clips processed at a time."""

    accelerator: str = "auto"
    """Device: auto (a GPU if there is one), cpu, gpu or mps."""

    cuda_graphs: bool = False
    """Capture each network as a CUDA graph; faster for small frames. Needs an NVIDIA GPU."""


@dataclass
class BenchmarkSettings:
    """Settings of `python -m zoo.benchmark`, beside those of a training."""

    repetitions: PositiveInt = 20
    """Number of measurements of each kind: a training step, a sample, the metrics of a batch, loading."""

    warm_up: NonNegativeInt = 3
    """Number of repetitions before the first measurement."""

    turn: PositiveInt | None = None
    """Only with --compare: number of repetitions of one side before it is the other side's turn. None: 1 on the CPU,
    and 10 on a GPU, where work is queued ahead."""

    out: str | None = None
    """JSON file to write. None: benchmark-<model>-<data>-<time>.json in the current folder."""


@dataclass
class CompareSettings:
    """Settings of `python -m zoo.compare`, beside the runs."""

    out: str | None = None
    """New folder to write to. None: comparison-<time> in the current folder."""

    project: str | None = None
    """wandb project in which the report is saved. None: that of the first run."""


@dataclass
class ConvertSettings:
    """Settings of `python -m zoo.convert`, beside `from` and `to`: what the released weights do not determine."""

    epoch: str = "latest"
    """Epoch of the files, <epoch>_net_<part>.pth."""

    label_count: Annotated[int, Range(1, 65_536)] | None = None
    """Number of classes of the label maps. None: the model takes a drawing, see condition."""

    condition: str | None = None
    """Kind of the drawing that the model takes instead of label maps, such as edges. None: label maps."""

    height: Pixels = MISSING
    """Height of a frame in pixels."""

    width: Pixels = MISSING
    """Width of a frame in pixels."""

    fps: FrameRate = 17.0
    """Frame rate of the videos, frames per second."""

    foreground: list[NonNegativeInt] = MISSING
    """Ids of the classes that the foreground branch generates, such as [26], the release's default (car of Cityscapes).
    Only for weights with such a branch, which require it."""

    region: list[NonNegativeInt] = field(default_factory=list)
    """Ids of the classes that the release's extra discriminator D_f looks at; loads that discriminator. Only for
    vid2vid."""

    norm_statistics: str = "batch"
    """Statistics that batch norm uses: batch (those of the current image, as the releases do) or running (averages over
    the training)."""


@dataclass
class CheckSettings:
    """What `python -m zoo.data.check` and `python -m zoo.data.prepare` take beside the settings of the data set."""

    sheet: str = "contact-sheet.png"
    """PNG file of the contact sheet."""
