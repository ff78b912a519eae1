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
from zoo.errors import ZooError, listed
from zoo.randomness import generator, mix
from zoo.settings import Train
from zoo.types import AttributeProbabilities, Clip, ClipSpec, CurriculumStage, Sample, SampleRequest

ConfigT = TypeVar("ConfigT")
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The layout of a kernel in 2-d, and in 3-d."""
FUSED = ("cpu", "cuda", "mps")
"""Devices whose Adam goes over the weights once."""
FORMS = 64
"""In which the code of a network may be compiled: there may be several of a class, each called with and without
gradients, at several sizes. Beyond PyTorch's own limit of 8, the rest would run as it is, and nobody would know."""


class VideoModel(LightningModule, Generic[ConfigT]):
    """A model of the zoo. A subclass gives ``card``, ``training_step``, ``configure_optimizers`` and ``sample``.

    A model that makes frames one after another gives ``stream`` instead of ``sample``. Models hold no metrics:
    validation samples once and hands ``(clip, sample)`` to the callbacks.
    """

    card: ClassVar[ModelCard]
    channels_last: ClassVar[bool] = (
        False  # whether its steps are faster with kernels so laid out, see experiments/speed
    )
    source: str | None = None  # the field that a model translates from, `labels` or `condition`

    def __init__(self, config: ConfigT, spec: ClipSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.seed = 0
        self.clips_seen = 0
        self.step_clips = 0  # of them, those of the batch at hand
        self.accuracy: dict[str, float] = {}  # of a model that reads clips, on held-out ones: by attribute, or its miou
        self.losses: dict[str, Tensor] = {}  # of the last step, by part
        self.evaluation = SampleRequest(frames=spec.frames)
        # Plain data, so that a checkpoint rebuilds the model without unpickling code.
        self.save_hyperparameters({"model": asdict(config), "spec": asdict(spec)}, logger=False)  # type: ignore[call-overload]

    # ---------------------------------------------------------------- what a model gives

    @abstractmethod
    def training_step(self, clip: Clip, batch_idx: int) -> Tensor | None:
        """One step on a batch of clips."""

    def sample(self, request: SampleRequest) -> Sample:
        """Make ``request.frames`` frames; the same request gives the same sample."""
        frames = list(islice(self.stream(request), request.frames))
        details = {name: torch.stack([f.details[name] for f in frames], 1) for name in frames[0].details}
        return Sample(torch.stack([f.video for f in frames], 1), details)

    def stream(self, request: SampleRequest) -> Iterator[Sample]:
        """Yield the frames of a sample one by one, without the axis T, at constant memory."""
        raise NotImplementedError(f"{self.card.name} does not stream")

    def classify(self, video: Tensor) -> AttributeProbabilities:
        """Classifiers only: predict the attributes of clips, (B, T, 3, H, W)."""
        raise NotImplementedError(f"{self.card.name} does not classify")

    def segment(self, video: Tensor) -> Tensor:
        """Of a model that segments: the label of every pixel, (B, T, 3, H, W) -> (B, T, H, W) int64."""
        raise NotImplementedError(f"{self.card.name} does not segment")

    def ema_parts(self) -> dict[str, nn.Module]:
        """The parts that sampling uses, by attribute name: their moving average is kept and sampled from."""
        return {}

    def networks(self) -> list[nn.Module]:
        """What is sharded and compiled, each as a whole: modules whose ``forward`` is what training calls.

        By default the outermost ones that have a ``forward`` and parameters. A model that in training calls another
        method of one of them names the modules inside it instead.
        """
        return list(_with_forward(self.children()))

    def curriculum_stage(self, clips_seen: int) -> CurriculumStage:
        """Where the curriculum stands when so many clips have been seen; the data module asks, too."""
        return CurriculumStage()

    def for_sampling(self) -> Self:
        """Give up the parts that only training uses."""
        return self

    @classmethod
    def convert(cls, folder: Path, settings: Mapping[str, Any]) -> VideoModel[Any]:
        """A model from a checkpoint of the original release; a ZooError for what is none."""
        raise ZooError(f"{cls.card.name} reads no checkpoints of another release.")

    @property
    def multimodal(self) -> bool:
        """Whether one map can be painted in several ways, so that draws differ."""
        return False

    @property
    def conditions(self) -> tuple[str, ...]:
        """The fields of a clip, besides its first frames, that a sample is made from."""
        return (self.source,) if self.source else ()

    @property
    def max_gradient(self) -> float | None:
        """The norm that the gradients of a model of one optimizer are clipped to; None for those that clip nothing."""
        return None

    def notes(self) -> list[str]:
        """Sentences for the user about choices that this model made for the machine or the data at hand."""
        return []

    # ---------------------------------------------------------------- what every model has

    def given(self, context: int) -> str:
        """What a sample with so many real frames is made from, in words, for tables: ``labels, 1 frame``."""
        frames = [f"{context} frame{'s' if context > 1 else ''}"] if context else []
        return listed([*self.conditions, *frames]) or "nothing"

    @property
    def progress(self) -> float:
        """The share of the training budget that is behind: 0 in the first step, just under 1 in the last."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return done / float(self.trainer.num_training_batches)

    def adam(
        self, parameters: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Optimizer:
        """Adam in one pass over the weights; where gradients are scaled, Lightning clips none for that."""
        clipped = self.max_gradient is not None and self.trainer.precision == "16-mixed"
        optimizer = torch.optim.Adam(parameters, lr, betas, fused=self.device.type in FUSED and not clipped)
        optimizer.register_load_state_dict_post_hook(_match_memory_format)
        return optimizer

    def annealed(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """What ``configure_optimizers`` returns for a rate that falls to zero along half a cosine over the budget."""

        def share(step: int) -> float:
            return 0.5 + 0.5 * math.cos(math.pi * step / max(self.trainer.num_training_batches, 1))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_steps(self, *losses: Mapping[str, Tensor]) -> None:
        """One step of every optimizer, each on the sum of its losses, in manual optimization.

        All losses come from the weights before the step, and may share what they were computed through: an optimizer's
        parameters get the gradients of its own losses only.
        """
        optimizers = cast("list[LightningOptimizer]", self.optimizers())
        for number, (optimizer, parts) in enumerate(zip(optimizers, losses, strict=True), 1):
            own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            # Of sharded parameters the gradients come to other tensors, so there all get them; the next one throws
            # away what it has not asked for.
            inputs = None if any(isinstance(parameter, DTensor) for parameter in own) else own
            optimizer.zero_grad()
            total = torch.stack(list(parts.values())).sum()
            self.manual_backward(total, inputs=inputs, retain_graph=number < len(losses))
            optimizer.step()

    def sample_indices(self, clip: Clip) -> list[int]:
        """Where in the training each clip of the batch stands, from 0, whichever rank has it."""
        first = self.clips_seen - self.step_clips + self.global_rank
        return [first + index * self.trainer.world_size for index in range(len(clip["video"]))]

    def per_sample_noise(self, clip: Clip, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """What ``draw(generator)`` gives for each clip of the batch, (B, ...): a function of the seed and of the clip's
        place in the training, whoever trains on it. Drawn on the processor; nobody waits for it to reach the device."""
        video = clip["video"]
        drawn = torch.stack([draw(generator(self.seed, place)) for place in self.sample_indices(clip)]).to(video.dtype)
        if video.is_cuda:
            drawn = drawn.pin_memory()  # else more than 64 KiB are copied when all that was asked before is done
        return drawn.to(video.device, non_blocking=True)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """One bad clip moves the weights no further than this."""
        if self.max_gradient is None:
            return
        if self.trainer.precision == "bf16-mixed" and isinstance(self.trainer.precision_plugin, MixedPrecision):
            # Lightning refuses to where Adam is fused, as if gradients of bfloat16 were scaled; they are not.
            nn.utils.clip_grad_norm_(self.parameters(), self.max_gradient)
        else:
            self.clip_gradients(optimizer, self.max_gradient, "norm")

    def log_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Log each part of the loss, over all ranks, as ``train/loss/<part>``."""
        means = mean_over_ranks(torch.stack([value.detach() for value in losses.values()]))
        self.losses = dict(zip(losses, means.unbind(), strict=True))
        self.log_dict({f"train/loss/{part}": value for part, value in self.losses.items()})

    def validation_step(self, clip: Clip, batch_idx: int) -> tuple[Clip, Sample]:  # type: ignore[override]
        """Sample once for all the callbacks that look at it or measure it."""
        request = self.evaluation
        return clip, self.sample(replace(request, given=clip))

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """Count clips over all ranks, the clock of every curve; no step depends on what was drawn in others."""
        torch.manual_seed(mix(self.seed, self.clips_seen, self.global_rank))
        self.step_clips = len(batch["video"]) * self.trainer.world_size
        self.clips_seen += self.step_clips

    # ---------------------------------------------------------------- on several devices

    def configure_model(self) -> None:
        """Under ``strategy=fsdp``, shard every network over the ranks, by itself."""
        mesh = self.device_mesh
        if mesh is None:
            return
        for network in self.networks():
            if not isinstance(network, FSDPModule):
                network.register_forward_hook(_without_views)
                fully_shard(network, mesh=mesh["data_parallel"], reshard_after_forward=True)

    def apply_memory_format(self, settings: Train) -> None:
        """Lay the kernels out as a training is asked to, or as is faster for this model; shards are as they are."""
        asked = settings.trainer.channels_last
        if asked or (asked is None and self.channels_last and settings.strategy.name != "fsdp"):
            self.to_channels_last()

    def to_channels_last(self) -> None:
        """Lay every kernel out with its channels last, in place; pictures that are convolved with it follow."""
        for parameter in self.parameters():
            if parameter.ndim in CHANNELS_LAST:
                parameter.data = parameter.data.contiguous(memory_format=CHANNELS_LAST[parameter.ndim])

    def compile_networks(self, backend: str = "inductor", fullgraph: bool = False) -> None:
        """Compile every network, in place: the names of parameters stay. fullgraph: refuse what is no single graph."""
        from torch import _dynamo

        _dynamo.config.recompile_limit = FORMS
        for network in self.networks():
            network.compile(backend=backend, fullgraph=fullgraph)

    def capture_cuda_graphs(self, capture: Capture = capture_cuda_graph) -> None:
        """Capture every network as a CUDA graph, for sampling; raises ZooError for a model that is not on a GPU."""
        if capture is capture_cuda_graph and self.device.type != "cuda":
            raise ZooError(f"cuda_graphs=true needs an NVIDIA GPU; this model is on `{self.device}`. Leave it out.")
        for network in self.networks():
            network.forward = CapturedNetwork(network.forward, capture)

    def on_validation_start(self) -> None:
        """Hold all weights while sampling: ranks may then have different numbers of clips, and call any method."""
        for network in self._sharded():
            network.set_reshard_after_forward(False)
            network.unshard()

    def on_validation_end(self) -> None:
        """Each rank keeps its shard."""
        for network in self._sharded():
            network.reshard()
            network.set_reshard_after_forward(True)

    def _sharded(self) -> list[FSDPModule]:
        return [module for module in self.modules() if isinstance(module, FSDPModule)]

    # ---------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the clock, and how good a model that reads clips is."""
        checkpoint["clips_seen"] = self.clips_seen
        if self.accuracy:
            checkpoint["accuracy"] = self.accuracy

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock, and know how good it is."""
        self.clips_seen = checkpoint["clips_seen"]
        self.accuracy = checkpoint.get("accuracy", {})


def build(model: Mapping[str, Any], spec: ClipSpec) -> VideoModel[Any]:
    """Build a model from plain data: ``build({"name": "vid2vid", "width": 32}, spec)``."""
    entry = MODELS.find(model["name"])
    return entry.load()(MODELS.config(model), spec)  # type: ignore[no-any-return]


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Lay the averages of an optimizer that was loaded out in memory as the weights are: a fused step on the processor
    goes through both as they lie, and would take one for another."""
    for parameter, state in optimizer.state.items():
        for name, average in state.items():
            if average.shape == parameter.shape and average.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(average)


def _with_forward(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    for module in modules:
        if type(module).forward is nn.Module.forward:
            yield from _with_forward(module.children())
        elif any(parameter.requires_grad for parameter in module.parameters()):
            yield module


def _without_views(network: nn.Module, given: Any, made: Any) -> Any:
    """A hook: what a sharded network returns must be no view, or FSDP2 loses sight of it."""
    return tree_map_only(Tensor, lambda x: x.clone() if x._is_view() else x, made)


def pieces(given: Clip | Iterable[Clip] | None) -> Iterator[Clip]:
    """The given as consecutive pieces of a clip, whichever way it came."""
    if given is None:
        return
    if isinstance(given, Mapping):
        yield given  # type: ignore[misc]
    else:
        yield from given
