"""The base class of every model: a Lightning module that can be sampled from.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast
from zlib import crc32

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map_only

from zoo.card import MODELS, ModelCard, ModelConfig
from zoo.devices.collectives import mean_over_ranks
from zoo.devices.cuda_graphs import Capture, CapturedNetwork, capture_cuda_graph
from zoo.errors import ZooError, joined
from zoo.randomness import generator, mix
from zoo.settings import Train
from zoo.types import AttributeProbabilities, Clip, ClipSpec, CurriculumStage, Sample, SampleRequest

if TYPE_CHECKING:
    from zoo.data.module import VideoData

ConfigT = TypeVar("ConfigT", bound=ModelConfig)
PARALLEL = 1e-4
"""Sine below which two codes count as parallel."""
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Memory format of weights by number of axes: 2-d and 3-d convolutions."""
FUSED_ADAM_DEVICES = ("cpu", "cuda", "mps")
"""Device types for which PyTorch has a fused Adam."""
RECOMPILE_LIMIT = 64
"""Number of compiled versions per network: several instances of a class, with and without gradients, at several sizes.
Beyond PyTorch's default limit of 8, further versions would silently run uncompiled."""


class VideoModel(LightningModule, Generic[ConfigT]):
    """Base class of all models. Subclasses define ``card``, ``training_step``, ``configure_optimizers`` and ``sample``.

    Autoregressive models define ``stream`` instead of ``sample``. Models contain no metrics: validation samples once
    and passes ``(clip, sample)`` to the callbacks.
    """

    card: ClassVar[ModelCard]
    channels_last: ClassVar[bool] = False
    """Whether training is faster with weights in channels-last layout; measured in experiments/speed."""

    optimizer_names: ClassVar[tuple[str, ...]] = ()
    """Names of the optimizers, in the order of ``configure_optimizers``, for `step`."""

    source: str | None = None
    """Field of a clip that the model translates to video: `labels` or `condition`; None for other models."""

    def __init__(self, config: ConfigT, spec: ClipSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.seed = 0
        self.clips_seen = 0
        self.step_clips = 0  # clips of the current batch, over all ranks; included in clips_seen
        # Of a classifier: attribute -> accuracy on held-out clips. Of a segmenter: {"miou": ...}.
        self.accuracy: dict[str, float] = {}
        self.losses: dict[str, Tensor] = {}  # name -> its last logged value
        self.evaluation = SampleRequest(frames=spec.frames)
        # Plain data, so that a checkpoint rebuilds the model without unpickling code.
        self.save_hyperparameters({"model": asdict(config), "spec": asdict(spec)}, logger=False)

    # ---------------------------------------------------------------- methods to override

    @abstractmethod
    def training_step(self, clip: Clip, batch_idx: int) -> Tensor | None:
        """Train on one batch of clips; returns the loss, or None with manual optimization."""

    def sample(self, request: SampleRequest) -> Sample:
        """Generate ``request.frames`` frames; the same request gives the same sample."""
        frames = list(islice(self.stream(request), request.frames))
        details = {name: torch.stack([f.details[name] for f in frames], 1) for name in frames[0].details}
        return Sample(torch.stack([f.video for f in frames], 1), details)

    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Yield a sample frame by frame at constant memory; its tensors have no axis T."""
        raise NotImplementedError(f"{self.card.name} does not stream")

    def encode(self, clip: Clip) -> Tensor:
        """Encode clips: the code of each one, (B, ...), from which ``decode`` makes a similar video."""
        raise NotImplementedError(f"{self.card.name} has no encoder")

    def draw_code(self, request: SampleRequest) -> Tensor:
        """Draw the codes that the samples of a request are made from, (B, ...)."""
        raise NotImplementedError(f"{self.card.name} does not generate from a code")

    def decode(self, code: Tensor, request: SampleRequest) -> Sample:
        """Generate the videos of codes, (B, ...); the request says the rest, such as frames and attributes."""
        raise NotImplementedError(f"{self.card.name} has no code to decode")

    def interpolate(self, one: Tensor, other: Tensor, share: float) -> Tensor:
        """Interpolate between codes, (B, ...): ``one`` at share 0, ``other`` at 1.

        By default along a great circle: points on the line between two draws of a normal distribution are shorter than
        any draw (White 2016, arXiv 1609.04468).
        """
        return slerp(one, other, share)

    def classify(self, video: Tensor) -> AttributeProbabilities:
        """Classify clips, (B, T, C, H, W) in [-1, 1]: attribute -> probabilities of its K values, (B, K)."""
        raise NotImplementedError(f"{self.card.name} does not classify")

    def segment(self, video: Tensor) -> Tensor:
        """Predict the label of every pixel: (B, T, C, H, W) in [-1, 1] -> (B, T, H, W) int64."""
        raise NotImplementedError(f"{self.card.name} does not segment")

    def ema_parts(self) -> dict[str, nn.Module]:
        """Submodules that sampling uses, by attribute name; sampling uses their exponential moving average."""
        return {}

    def networks(self) -> list[nn.Module]:
        """Modules that are sharded, compiled and captured one by one. Training must call their ``forward``.

        Default: the outermost modules with a ``forward`` and trainable parameters. Override it if training calls
        another method of such a module, and return the modules inside it instead.
        """
        return list(_outermost_networks(self.children()))

    def compiled_networks(self) -> list[nn.Module]:
        """Modules that ``trainer.compile=true`` compiles. Default: all of ``networks``.

        Override it for a gradient penalty: PyTorch cannot differentiate a compiled network twice.
        """
        return self.networks()

    def after_step(self, name: str) -> None:
        """Work after each step of the optimizer ``name``, such as clipping singular values; `every` makes it rarer."""

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """Curriculum stage after ``clips_seen`` training clips. The data module calls it, too."""
        return CurriculumStage()

    def for_sampling(self) -> Self:
        """Drop submodules that only training uses; returns the model."""
        return self

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> VideoModel[Any]:
        """Build a model from a checkpoint of its original release. Raises ZooError for any other file."""
        raise ZooError(f"{cls.card.name} has no converter for checkpoints of another release.")

    @property
    def multimodal(self) -> bool:
        """Whether draws differ for the same conditioning, because a map can have several appearances."""
        return False

    @property
    def deterministic(self) -> bool:
        """Whether every seed and draw gives the same sample."""
        return self.card.deterministic and not self.multimodal

    @property
    def batch_statistics(self) -> bool:
        """Whether a sample depends on the other clips of its batch."""
        return self.config.batch_statistics

    @property
    def encodes(self) -> bool:
        """Whether codes come from ``encode``; otherwise from ``draw_code``."""
        return type(self).encode is not VideoModel.encode

    @property
    def conditions(self) -> tuple[str, ...]:
        """Fields of a clip that condition a sample, besides its first frames."""
        return (self.source,) if self.source else ()

    @property
    def max_gradient(self) -> float | None:
        """Largest gradient norm, for gradient clipping of a model with one optimizer; None: no clipping."""
        return None

    def notes(self) -> list[str]:
        """Messages for the user about choices that the model made because of the machine or the data."""
        return []

    # ---------------------------------------------------------------- shared by all models

    def needs_given(self, context: int) -> bool:
        """Whether a sample with ``context`` real frames is made from a clip; otherwise it is made from nothing."""
        return context > 0 or bool(self.conditions)

    def given(self, context: int) -> str:
        """Describe what a sample with ``context`` real frames is made from, for tables: ``labels, 1 frame``."""
        frames = [f"{context} frame{'s' if context > 1 else ''}"] if context else []
        return joined([*self.conditions, *frames]) or "nothing"

    @property
    def progress(self) -> float:
        """Completed share of the training budget: 0 in the first step, just under 1 in the last."""
        completed = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return completed / float(self.trainer.num_training_batches)

    def adam(
        self, parameters: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Optimizer:
        """Build Adam, fused if possible: Lightning cannot clip scaled gradients (fp16) of a fused optimizer."""
        clips_scaled = self.max_gradient is not None and self.trainer.precision == "16-mixed"
        optimizer = torch.optim.Adam(
            parameters, lr, betas, fused=self.device.type in FUSED_ADAM_DEVICES and not clips_scaled
        )
        optimizer.register_load_state_dict_post_hook(_match_memory_format)
        return optimizer

    def with_cosine_schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Return value of ``configure_optimizers``: the learning rate falls to zero along half a cosine."""

        def factor(step: int) -> float:
            return 0.5 + 0.5 * math.cos(math.pi * step / max(self.trainer.num_training_batches, 1))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def step_number(self) -> int:
        """Number of the current training step, from 1: a function of the clips seen, so resumed trainings agree."""
        return self.clips_seen // self.step_clips

    def every(self, steps: int) -> bool:
        """Whether the current training step is the ``steps``-th, the 2·``steps``-th, …"""
        return self.step_number % steps == 0

    def step(self, name: str, losses: Mapping[str, Tensor]) -> None:
        """Step the optimizer ``name`` on the sum of its losses, with manual optimization.

        Losses that are computed afterwards see the new weights, as in alternating training. Only the parameters of this
        optimizer get gradients. Then `after_step` is called. `optimizer_steps` steps all optimizers at once instead.
        """
        optimizers = dict(zip(self.optimizer_names, self._optimizers(), strict=True))
        self._descend(optimizers[name], losses, retain_graph=False)
        self.after_step(name)

    def optimizer_steps(self, *losses: Mapping[str, Tensor]) -> None:
        """Step every optimizer on the sum of its losses, with manual optimization. losses: one mapping per optimizer.

        All losses are computed with the weights before the first step and may share a graph. The parameters of an
        optimizer get only the gradients of its own losses.
        """
        for number, (optimizer, parts) in enumerate(zip(self._optimizers(), losses, strict=True), 1):
            self._descend(optimizer, parts, retain_graph=number < len(losses))
        for name in self.optimizer_names:
            self.after_step(name)

    def _optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return cast("list[LightningOptimizer]", optimizers if isinstance(optimizers, list) else [optimizers])

    def _descend(self, optimizer: LightningOptimizer, losses: Mapping[str, Tensor], retain_graph: bool) -> None:
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # FSDP accumulates gradients in tensors other than these parameters, so there all parameters get
        # gradients; zero_grad discards those of the other losses.
        inputs = None if any(isinstance(parameter, DTensor) for parameter in own) else own
        optimizer.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        self.manual_backward(total, inputs=inputs, retain_graph=retain_graph)
        optimizer.step()

    def sample_indices(self, clip: Clip, count: int | None = None) -> list[int]:
        """Index in the training, from 0, of each clip of this rank's batch; independent of the number of ranks.

        count: of ``count`` samples per rank and step, where it is not the number of clips.
        """
        ranks = self.trainer.world_size
        earlier = self.clips_seen - self.step_clips if count is None else (self.step_number - 1) * count * ranks
        count = len(clip["video"]) if count is None else count
        return [earlier + self.global_rank + index * ranks for index in range(count)]

    def per_sample_noise(
        self, clip: Clip, draw: Callable[[torch.Generator], Tensor], stream: str = "", count: int | None = None
    ) -> Tensor:
        """Stack ``draw(generator)`` for each clip of the batch: (B, ...), on the device of the video.

        Floating-point numbers get the dtype of the video; integers stay integers. stream: name of the use; noises of
        one step under different names are independent. count: number of samples if it is not that of the clips.

        The numbers depend only on the seed, the stream and the clip's index in the training, not on the number of
        ranks. They are drawn on the CPU and copied to the device without synchronising.
        """
        video = clip["video"]
        seeds = (self.seed, crc32(stream.encode())) if stream else (self.seed,)
        noise = torch.stack([draw(generator(*seeds, index)) for index in self.sample_indices(clip, count)])
        if noise.is_floating_point():
            noise = noise.to(video.dtype)
        if video.is_cuda:
            noise = noise.pin_memory()  # copies of more than 64 KiB from pageable memory wait for the device
        return noise.to(video.device, non_blocking=True)

    def random_frames(self, clip: Clip, stream: str = "frames", count: int | None = None) -> Tensor:
        """Real images, (count, C, H, W): image i is a random frame of clip i modulo B. count: None is B."""
        video = clip["video"]
        numbers = self.per_sample_noise(
            clip, lambda source: torch.randint(video.shape[1], (), generator=source), stream, count
        )
        clips = torch.arange(len(numbers), device=video.device) % len(video)
        return video[clips, numbers]

    def random_attributes(self, clip: Clip, stream: str = "attributes", count: int | None = None) -> dict[str, Tensor]:
        """Uniformly random values for generated clips: attribute -> ids (count,) int64. count: None is B."""
        return {
            name: self.per_sample_noise(clip, partial(_random_integer, len(values)), f"{stream}.{name}", count)
            for name, values in self.spec.attributes.items()
        }

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the norm of the gradients to ``max_gradient``."""
        if self.max_gradient is None:
            return
        if self.trainer.precision == "bf16-mixed" and isinstance(self.trainer.precision_plugin, MixedPrecision):
            # Lightning refuses to clip with a fused Adam, assuming scaled gradients; with bfloat16 they are not scaled.
            nn.utils.clip_grad_norm_(self.parameters(), self.max_gradient)
        else:
            self.clip_gradients(optimizer, self.max_gradient, "norm")

    def log_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Log the mean over ranks of each part of the loss as ``train/loss/<part>``, and keep it in ``self.losses``.

        A part that is not computed in every step keeps its last value in the steps between, also in a resumed training.
        """
        means = mean_over_ranks(torch.stack([value.detach() for value in losses.values()]))
        self.losses |= dict(zip(losses, means.unbind(), strict=True))
        self.log_dict({f"train/loss/{part}": value for part, value in self.losses.items()})

    def validation_step(self, clip: Clip, batch_idx: int) -> tuple[Clip, Sample]:  # type: ignore[override]
        """Sample once, for all callbacks that log or measure samples."""
        if self.needs_given(self.evaluation.context):
            return clip, replace(self.sample(replace(self.evaluation, given=clip)), names=tuple(clip["key"]))
        data = cast("VideoData", self.trainer.datamodule)  # type: ignore[attr-defined]
        first = data.evaluation_share.start + batch_idx * data.config.batch_size
        request = replace(self.evaluation, clips=len(clip["video"]), first=first)
        return clip, replace(self.sample(request), names=tuple(request.names))

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """Count clips over all ranks; seed PyTorch, so that no step depends on the random numbers of earlier ones."""
        torch.manual_seed(mix(self.seed, self.clips_seen, self.global_rank))
        self.step_clips = len(batch["video"]) * self.trainer.world_size
        self.clips_seen += self.step_clips

    # ---------------------------------------------------------------- devices and strategies

    def configure_model(self) -> None:
        """Under ``strategy=fsdp``, shard each network over the ranks."""
        mesh = self.device_mesh
        if mesh is None:
            return
        for network in self.networks():
            if not isinstance(network, FSDPModule):
                network.register_forward_hook(_clone_views)
                fully_shard(network, mesh=mesh["data_parallel"], reshard_after_forward=True)

    def apply_memory_format(self, settings: Train) -> None:
        """Apply ``trainer.channels_last``; if it is unset, use channels-last where it is faster, except under FSDP."""
        setting = settings.trainer.channels_last
        if setting or (setting is None and self.channels_last and settings.strategy.name != "fsdp"):
            self.to_channels_last()

    def to_channels_last(self) -> None:
        """Convert all convolution weights to channels-last layout, in place; activations follow."""
        for parameter in self.parameters():
            if parameter.ndim in CHANNELS_LAST:
                parameter.data = parameter.data.contiguous(memory_format=CHANNELS_LAST[parameter.ndim])

    def compile_networks(self, backend: str = "inductor", fullgraph: bool = False) -> None:
        """Compile `compiled_networks` in place; parameter names stay. fullgraph: raise an error at a graph break."""
        from torch import _dynamo, _functorch

        _dynamo.config.recompile_limit = RECOMPILE_LIMIT
        _functorch.config.donated_buffer = False  # losses of several optimizers share a graph, which is kept
        for network in self.compiled_networks():
            network.compile(backend=backend, fullgraph=fullgraph)

    def capture_cuda_graphs(self, capture: Capture = capture_cuda_graph) -> None:
        """Capture every network as a CUDA graph for sampling. Raises ZooError if the model is not on a CUDA device."""
        if capture is capture_cuda_graph and self.device.type != "cuda":
            raise ZooError(f"cuda_graphs=true needs an NVIDIA GPU; this model is on `{self.device}`. Leave it out.")
        for network in self.networks():
            network.forward = CapturedNetwork(network.forward, capture)

    def on_validation_start(self) -> None:
        """Unshard all weights: ranks may then sample different numbers of clips and call any method."""
        for network in self._sharded():
            network.set_reshard_after_forward(False)
            network.unshard()

    def on_validation_end(self) -> None:
        """Reshard the weights."""
        for network in self._sharded():
            network.reshard()
            network.set_reshard_after_forward(True)

    def _sharded(self) -> list[FSDPModule]:
        return [module for module in self.modules() if isinstance(module, FSDPModule)]

    # ---------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the number of clips seen, the last losses, and the accuracy of a classifier or segmenter."""
        checkpoint["clips_seen"], checkpoint["losses"] = self.clips_seen, dict(self.losses)
        if self.accuracy:
            checkpoint["accuracy"] = self.accuracy

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` saved."""
        self.clips_seen, self.losses = checkpoint["clips_seen"], checkpoint.get("losses", {})
        self.accuracy = checkpoint.get("accuracy", {})


def build(model: Mapping[str, Any], spec: ClipSpec) -> VideoModel[Any]:
    """Build a model from its name and settings: ``build({"name": "vid2vid", "width": 32}, spec)``.

    Raises ZooError for an unknown name or setting, or a value that does not fit.
    """
    entry = MODELS.find(model["name"])
    return entry.load()(MODELS.config(model), spec)


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Give the loaded averages of an optimizer the memory layout of their parameters.

    A fused step on the CPU goes through both in memory order and would mix up elements of different layouts.
    """
    for parameter, state in optimizer.state.items():
        for name, average in state.items():
            if average.shape == parameter.shape and average.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(average)


def _outermost_networks(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The outermost modules that define ``forward`` and have trainable parameters."""
    for module in modules:
        if type(module).forward is nn.Module.forward:
            yield from _outermost_networks(module.children())
        elif any(parameter.requires_grad for parameter in module.parameters()):
            yield module


def _clone_views(network: nn.Module, arguments: Any, output: Any) -> Any:
    """Forward hook that clones outputs which are views: FSDP2 cannot track them."""
    return tree_map_only(Tensor, lambda x: x.clone() if x._is_view() else x, output)


def slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Spherical linear interpolation between vectors along the last axis (Shoemake 1985); parallel ones on the line."""
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=-1).clamp(-1, 1)[..., None]
    angle = cosine.acos()
    sine = angle.sin()
    parallel = sine < PARALLEL
    weights = [
        torch.where(parallel, part, (part * angle).sin() / sine.clamp(min=PARALLEL)) for part in (1 - share, share)
    ]
    return weights[0] * one + weights[1] * other


def _random_integer(below: int, source: torch.Generator) -> Tensor:
    return torch.randint(below, (), generator=source)


def name_samples(request: SampleRequest) -> tuple[list[str], Iterator[Clip]]:
    """The names of a request's samples, on which their random numbers depend, and the pieces of what is given.

    The names are the keys of the given clips, or those of the request if nothing is given.
    """
    clips = pieces(request.given)
    first = next(clips, None)
    return (request.names, iter(())) if first is None else (list(first["key"]), chain([first], clips))


def pieces(given: Clip | Iterable[Clip] | None) -> Iterator[Clip]:
    """Iterate over the conditioning of a request, given as one clip, as consecutive pieces of a clip, or not at all."""
    if given is None:
        return
    if isinstance(given, Mapping):
        yield given  # type: ignore[misc]
    else:
        yield from given
