"""Helpers for tests of models: the tiny variant of every model, clips for it, and a quiet trainer.

Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, default_collate

from zoo.card import MODELS
from zoo.data.base import DataConfig, build_set
from zoo.data.module import VideoData
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.devices.cuda_graphs import Run
from zoo.model import VideoModel, build
from zoo.types import Clip, SampleRequest

FRAMES = 8
SIZE = 32
CLIPS = 2


def tiny_data(name: str, **settings: Any) -> DataConfig:
    """Settings of puppets at 32 px with every field that the model uses."""
    card = MODELS.find(name).card
    data = PuppetsConfig(
        frames=FRAMES, height=SIZE, width=SIZE, condition="edges", clips=CLIPS, transitions=0.0, workers=0
    )
    channels = 3 if 3 in card.channels else card.channels[0]
    return replace(data, **{"channels": channels, **settings}).suited_to(card)


def tiny_model(name: str) -> VideoModel[Any]:
    """Build the tiny variant of a model, with the same weights every time."""
    torch.manual_seed(0)
    return build(asdict(MODELS.find(name).config.tiny()), tiny_data(name).spec())


def tiny_clip(name: str) -> Clip:
    """A batch of CLIPS clips for the tiny variant of a model."""
    clips = build_set(tiny_data(name), "train", MODELS.find(name).card.wanted(), seed=0)
    return default_collate([clips.clip(index, 0, FRAMES) for index in range(CLIPS)])


def request_for(model: VideoModel[Any], clip: Clip, frames: int = FRAMES, seed: int = 0) -> SampleRequest:
    """A request to sample from a clip with one context frame, as far as the model can use it; else from nothing."""
    context = model.config.clamp_context(1)
    if model.needs_given(context):
        return SampleRequest(frames, clip, context, seed)
    return SampleRequest(frames, seed=seed, clips=len(clip["video"]))


def one_of(request: SampleRequest, index: int) -> SampleRequest:
    """The same request for one clip of the batch, or for one sample made from nothing."""
    if request.given is None:
        return replace(request, clips=1, first=request.first + index)

    def pick(value: Any) -> Any:
        return {key: pick(part) for key, part in value.items()} if isinstance(value, dict) else value[index : index + 1]

    return replace(request, given=pick(request.given))


@torch.no_grad()
def answer(model: VideoModel[Any], clip: Clip) -> torch.Tensor:
    """The model's output for a clip: a sample as of ``request_for``, or labels (B, T, H, W), or the probabilities of
    all attributes (B, K)."""
    if model.card.samples:
        return model.sample(request_for(model, clip)).video
    if "segment" in model.card.tasks:
        return model.segment(clip["video"])
    return torch.cat(list(model.classify(clip["video"]).values()), -1)


def train_on(
    model: VideoModel[Any], clip: Clip, steps: int, folder: Path, *callbacks: Callback, **trainer: Any
) -> Trainer:
    """Train on one batch for a number of steps; returns the trainer."""
    loader: DataLoader[Clip] = DataLoader([clip] * steps, batch_size=None)  # type: ignore[arg-type]
    runner = quiet_trainer(folder, *callbacks, **trainer)
    runner.fit(model, loader)
    return runner


def quiet_trainer(folder: Path, *callbacks: Callback, accelerator: str = "cpu", **trainer: Any) -> Trainer:
    """Build a trainer for one epoch that neither writes nor prints anything."""
    return Trainer(
        default_root_dir=folder,
        accelerator=accelerator,
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        use_distributed_sampler=False,
        **trainer,
    )


def train_as_commanded(model: VideoModel[Any], name: str, budget: int, folder: Path) -> Trainer:
    """Train on clips of the data module, through every curriculum stage, and validate. budget: number of clips."""
    fields = MODELS.find(name).card.wanted()
    data = replace(tiny_data(name), batch_size=CLIPS)
    loaders = VideoData(data, fields, budget, 0, CLIPS, FRAMES, model.curriculum_stage)
    runner = quiet_trainer(folder, num_sanity_val_steps=0)
    runner.fit(model, loaders)
    return runner


@contextmanager
def recorded_reads(kind: type[Any]) -> Iterator[set[str]]:
    """Context that yields the set of fields of a dataclass that are read in it.

    Reads by dataclasses, OmegaConf and the check of ranges do not count: they read every field.
    """
    read: set[str] = set()
    original: Any = kind.__getattribute__

    def record(self: Any, name: str) -> Any:
        reader = str(sys._getframe(1).f_globals.get("__name__"))
        if reader.partition(".")[0] not in ("dataclasses", "omegaconf") and reader != "zoo.fields.ranges":
            read.add(name)
        return original(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "__getattribute__", record)
        yield read


def capture_on_cpu(run: Run) -> tuple[Callable[[], None], Any]:
    """Imitate `capture_cuda_graph` on the CPU: every replay overwrites the results of the one before."""
    result = run()

    def replay() -> None:
        for static, value in zip(tree_leaves(result), tree_leaves(run()), strict=True):
            if isinstance(static, torch.Tensor):
                static.copy_(value)

    return replay, result


def note_gradient(reached: set[str], key: str, parameter: torch.Tensor) -> None:
    """Hook that adds the key of a parameter to ``reached`` if its gradient is not zero."""
    if parameter.grad is not None and parameter.grad.abs().sum() > 0:
        reached.add(key)
