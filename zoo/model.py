"""The base class of every model: a Lightning module that can be sampled from.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.utils._pytree import tree_map_only

from zoo.blocks.interpolation import slerp
from zoo.card import MODELS, ModelCard, ModelConfig
from zoo.devices.cuda_graphs import Capture, CapturedNetwork, capture_cuda_graph
from zoo.errors import ZooError, joined
from zoo.settings import Train
from zoo.trainable import TrainableModule
from zoo.types import AttributeProbabilities, Clip, ClipSpec, CurriculumStage, Sample, SampleRequest

if TYPE_CHECKING:
    from zoo.data.module import VideoData

ConfigT = TypeVar("ConfigT", bound=ModelConfig)
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Memory format of weights by number of axes: 2-d and 3-d convolutions."""
RECOMPILE_LIMIT = 64
"""Number of compiled versions per network: several instances of a class, with and without gradients, at several sizes.
Beyond PyTorch's default limit of 8, further versions would silently run uncompiled."""


class VideoModel(TrainableModule, Generic[ConfigT]):
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
        # Of a classifier: attribute -> accuracy on held-out clips. Of a segmenter: {"miou": ...}.
        self.accuracy: dict[str, float] = {}
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

    def discriminator_scores(self, video: Tensor) -> dict[str, Tensor]:
        """What each discriminator says of clips, (B, T, C, H, W): its name -> scores (B,), large is real.

        Validation rounds log how well it tells samples from real clips. Default: none is asked.
        """
        return {}

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

    def validation_step(self, clip: Clip, batch_idx: int) -> tuple[Clip, Any]:  # type: ignore[override]
        """Run once, for all callbacks that log or measure what the model makes of a batch."""
        if not self.card.samples or self.needs_given(self.evaluation.context):
            return clip, self.run_on(clip, self.evaluation.frames)
        data = cast("VideoData", self.trainer.datamodule)  # type: ignore[attr-defined]
        first = data.evaluation_share.start + batch_idx * data.config.batch_size
        return clip, self.run_on(clip, self.evaluation.frames, first)

    def run_on(self, clip: Clip, frames: int, first: int = 0) -> Any:
        """Use the model as in a validation round: sample ``frames`` frames from a batch of clips, or as many clips from
        nothing. first: index of the first of these samples. Classifiers and segmenters return their predictions."""
        request = replace(self.evaluation, frames=frames, context=min(self.evaluation.context, frames - 1))
        if self.needs_given(request.context):
            return replace(self.sample(replace(request, given=clip)), names=tuple(clip["key"]))
        request = replace(request, clips=len(clip["video"]), first=first)
        return replace(self.sample(request), names=tuple(request.names))

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
        """Save the accuracy of a classifier or segmenter, too."""
        super().on_save_checkpoint(checkpoint)
        if self.accuracy:
            checkpoint["accuracy"] = self.accuracy

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the accuracy, too."""
        super().on_load_checkpoint(checkpoint)
        self.accuracy = checkpoint.get("accuracy", {})


def build(model: Mapping[str, Any], spec: ClipSpec) -> VideoModel[Any]:
    """Build a model from its name and settings: ``build({"name": "vid2vid", "width": 32}, spec)``.

    Raises ZooError for an unknown name or setting, or a value that does not fit.
    """
    entry = MODELS.find(model["name"])
    return entry.load()(MODELS.config(model), spec)


def build_for_sampling(model: Mapping[str, Any], spec: ClipSpec) -> VideoModel[Any]:
    """Build a model from the settings in a checkpoint, without what its training alone needs: `training_only`.

    Raises ZooError as `build` does.
    """
    unused = MODELS.find(model["name"]).config.training_only
    return build({**model, **{name: value for name, value in unused.items() if name in model}}, spec)


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
