"""The base class of every model: a Lightning module that can be sampled from.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map_only

from zoo.card import MODELS, ModelCard
from zoo.devices.collectives import mean_over_ranks
from zoo.devices.cuda_graphs import Capture, CapturedNetwork, capture_cuda_graph
from zoo.errors import ZooError, joined
from zoo.randomness import generator, mix
from zoo.settings import Train
from zoo.types import AttributeProbabilities, Clip, ClipSpec, CurriculumStage, Sample, SampleRequest

ConfigT = TypeVar("ConfigT")
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
        self.losses: dict[str, Tensor] = {}  # name -> logged value of the last step
        self.evaluation = SampleRequest(frames=spec.frames)
        # Plain data, so that a checkpoint rebuilds the model without unpickling code.
        self.save_hyperparameters({"model": asdict(config), "spec": asdict(spec)}, logger=False)  # type: ignore[call-overload]

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

    def classify(self, video: Tensor) -> AttributeProbabilities:
        """Classify clips, (B, T, 3, H, W) in [-1, 1]: attribute -> probabilities of its K values, (B, K)."""
        raise NotImplementedError(f"{self.card.name} does not classify")

    def segment(self, video: Tensor) -> Tensor:
        """Predict the label of every pixel: (B, T, 3, H, W) in [-1, 1] -> (B, T, H, W) int64."""
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

    def optimizer_steps(self, *losses: Mapping[str, Tensor]) -> None:
        """Step every optimizer on the sum of its losses, with manual optimization. losses: one mapping per optimizer.

        All losses are computed with the weights before the first step and may share a graph. The parameters of an
        optimizer get only the gradients of its own losses.
        """
        optimizers = cast("list[LightningOptimizer]", self.optimizers())
        for number, (optimizer, parts) in enumerate(zip(optimizers, losses, strict=True), 1):
            own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            # FSDP accumulates gradients in tensors other than these parameters, so there all parameters get
            # gradients; zero_grad discards those of the other losses.
            inputs = None if any(isinstance(parameter, DTensor) for parameter in own) else own
            optimizer.zero_grad()
            total = torch.stack(list(parts.values())).sum()
            self.manual_backward(total, inputs=inputs, retain_graph=number < len(losses))
            optimizer.step()

    def sample_indices(self, clip: Clip) -> list[int]:
        """Index in the training, from 0, of each clip of this rank's batch; independent of the number of ranks."""
        first = self.clips_seen - self.step_clips + self.global_rank
        return [first + index * self.trainer.world_size for index in range(len(clip["video"]))]

    def per_sample_noise(self, clip: Clip, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """Stack ``draw(generator)`` for each clip of the batch: (B, ...), with device and dtype of the video.

        The numbers depend only on the seed and on the clip's index in the training, not on the number of ranks. They
        are drawn on the CPU and copied to the device without synchronising.
        """
        video = clip["video"]
        noise = torch.stack([draw(generator(self.seed, index)) for index in self.sample_indices(clip)]).to(video.dtype)
        if video.is_cuda:
            noise = noise.pin_memory()  # copies of more than 64 KiB from pageable memory wait for the device
        return noise.to(video.device, non_blocking=True)

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
        """Log the mean over ranks of each part of the loss as ``train/loss/<part>``, and keep it in ``self.losses``."""
        means = mean_over_ranks(torch.stack([value.detach() for value in losses.values()]))
        self.losses = dict(zip(losses, means.unbind(), strict=True))
        self.log_dict({f"train/loss/{part}": value for part, value in self.losses.items()})

    def validation_step(self, clip: Clip, batch_idx: int) -> tuple[Clip, Sample]:  # type: ignore[override]
        """Sample once, for all callbacks that log or measure samples."""
        return clip, self.sample(replace(self.evaluation, given=clip))

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
        """Compile every network in place; parameter names stay. fullgraph: raise an error at a graph break."""
        from torch import _dynamo

        _dynamo.config.recompile_limit = RECOMPILE_LIMIT
        for network in self.networks():
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
        """Save the number of clips seen, and the accuracy of a classifier or segmenter."""
        checkpoint["clips_seen"] = self.clips_seen
        if self.accuracy:
            checkpoint["accuracy"] = self.accuracy

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the number of clips seen and the accuracy."""
        self.clips_seen = checkpoint["clips_seen"]
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


def pieces(given: Clip | Iterable[Clip] | None) -> Iterator[Clip]:
    """Iterate over the conditioning of a request, given as one clip, as consecutive pieces of a clip, or not at all."""
    if given is None:
        return
    if isinstance(given, Mapping):
        yield given  # type: ignore[misc]
    else:
        yield from given
