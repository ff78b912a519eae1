"""Run a planned training: Lightning's trainer with the zoo's callbacks, loggers and strategy."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.plugins.precision import DoublePrecision

from zoo.callbacks.checkpoints import BestCheckpoint, FinalValidation, StepCheckpoint
from zoo.callbacks.classification_metrics import ClassificationMetrics
from zoo.callbacks.clips_seen import ClipsSeen
from zoo.callbacks.collapse import CollapseMonitor
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.estimate import Estimate
from zoo.callbacks.gallery import Gallery
from zoo.callbacks.lazy_wandb import LazyWandb
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.callbacks.norm_statistics import NormStatistics
from zoo.callbacks.preset_hint import PresetHint
from zoo.callbacks.progress import build_progress
from zoo.callbacks.restored_state import RestoredState
from zoo.callbacks.sample_metrics import SampleMetrics
from zoo.callbacks.segmentation_metrics import SegmentationMetrics
from zoo.callbacks.throughput import Throughput
from zoo.card import ModelCard
from zoo.cli import hush_libraries
from zoo.data.base import build_set
from zoo.data.module import VideoData
from zoo.devices.hardware import PRECISIONS
from zoo.devices.launch import is_main_process
from zoo.devices.strategies import build_strategy
from zoo.evaluation.choice import has_pairs
from zoo.evaluation.results import readable_results, repair_results
from zoo.evaluation.suite import Suite
from zoo.evaluation.tools import open_tools
from zoo.model import build
from zoo.runs.checkpoint_io import AtomicCheckpointIO
from zoo.runs.provenance import note_resumption, write_provenance
from zoo.runs.wandb_logger import build_loggers, close_loggers
from zoo.settings import Train
from zoo.training.data_record import check_same_data, write_record
from zoo.training.failures import explain_failures
from zoo.training.plan import Plan
from zoo.training.resume import ResumePoint

logger = logging.getLogger(__name__)


def train(plan: Plan, run: Path, start: ResumePoint | None = None) -> dict[str, float]:
    """Train in the folder ``run``, from the beginning or from ``start``; returns the metrics of the last round.

    The metrics are empty on all processes but the main one. Raises ZooError for failures that a user can fix, and
    Stopped after a signal.
    """
    hush_libraries()
    settings = plan.settings
    if settings.evaluation.clips is None:
        held_out = build_set(replace(plan.data, frames=plan.request.frames), "val", frozenset(), seed=0)
        settings.evaluation.clips = min(plan.card.evaluation_clips, len(held_out))
    if settings.trainer.threads:
        torch.set_num_threads(settings.trainer.threads)
    seed_everything(settings.seed, verbose=False)
    if is_main_process():
        if start:
            check_same_data(run, plan.data, start.accepts_changed_data)
            note_resumption(run, start.clips_seen, plan.budget)
        else:
            write_provenance(run, plan.config())
            write_record(run, plan.data)
        repair_results(run)
    model = build(asdict(settings.model), plan.spec)
    model.seed, model.evaluation = settings.seed, plan.request
    model.apply_memory_format(settings)
    if settings.trainer.compile:
        model.compile_networks()
    for note in model.notes() if is_main_process() else ():
        logger.info(note)
    clips, frames = plan.evaluation_clips, plan.request.frames
    data = VideoData(plan.data, plan.card.wanted(), plan.budget, settings.seed, clips, frames, model.curriculum_stage)
    trainer = build_trainer(plan, run, start.rows if start else 0)
    try:
        with explain_failures(run):
            trainer.fit(model, data, ckpt_path=start.checkpoint if start else None, weights_only=True)
    finally:
        close_loggers(trainer.loggers, run)
    return round_metrics(run, model.clips_seen) if is_main_process() else {}


def build_trainer(plan: Plan, run: Path, rows: int = 0) -> Trainer:
    """Build Lightning's trainer: one pass over the budget, with validation rounds. rows: kept rows of metrics.csv."""
    settings = plan.settings
    return Trainer(
        default_root_dir=run,
        **trainer_arguments(settings, plan.card),
        logger=build_loggers(settings, plan.config(), run, rows),
        callbacks=build_callbacks(plan, run),
        max_epochs=1,
        val_check_interval=1.0 / settings.evaluation.rounds,
        num_sanity_val_steps=0,
        log_every_n_steps=settings.trainer.log_every,
        use_distributed_sampler=False,
        enable_progress_bar=settings.trainer.progress,
        enable_model_summary=False,
    )


def build_callbacks(plan: Plan, run: Path) -> list[Callback]:
    """Build the callbacks. MovingAverage comes early: the callbacks after it see samples of the averaged weights."""
    settings = plan.settings.callbacks
    callbacks: list[Callback] = [
        StopOnNonFinite(run),
        RestoredState(run),  # before StepCheckpoint, which reads the state
        StepCheckpoint(run, settings.save_minutes),
        MovingAverage(settings.ema_half_life),
        NormStatistics(),
        ClipsSeen(),
        *evaluation_callbacks(plan, run),
        LazyWandb(),
        Throughput(),
        FinalValidation(),
        BestCheckpoint(run, plan.objective),
    ]
    if plan.settings.trainer.progress:
        callbacks += [PresetHint(), Estimate(), build_progress(plan.budget)]
    return callbacks


def evaluation_callbacks(plan: Plan, run: Path) -> list[Callback]:
    """Build the callbacks that evaluate a validation round: samples, segmentations or classifications."""
    protocol, spec = plan.protocol, plan.spec
    if "segment" in plan.card.tasks:
        return [SegmentationMetrics(protocol, run, len(spec.label_names))]
    if not plan.card.samples:
        return [ClassificationMetrics(protocol, run, tuple(spec.attributes))]
    tools = open_tools(plan.settings.evaluation, plan.metrics, protocol, spec, plan.data, plan.settings.seed)
    suite = Suite(plan.metrics, protocol, tools)
    paired = has_pairs(plan.card, plan.request.context)
    from_nothing = plan.request.context == 0 and "translate" not in plan.card.tasks
    return [
        SampleMetrics(suite, run),
        Gallery(run, plan.settings.callbacks.gallery_clips, spec.fps, paired),
        *([CollapseMonitor()] if plan.card.adversarial and from_nothing else []),
    ]


def trainer_arguments(settings: Train, card: ModelCard) -> dict[str, Any]:
    """Arguments of Lightning's trainer for the chosen strategy, precision and devices."""
    strategy, trainer = settings.strategy, settings.trainer
    arguments: dict[str, Any] = {
        "accelerator": strategy.accelerator,
        "devices": strategy.devices,
        "num_nodes": trainer.num_nodes,
        "strategy": build_strategy(strategy.name, card, trainer.sync_batchnorm),
        "precision": PRECISIONS.get(trainer.precision, trainer.precision),
        "plugins": [AtomicCheckpointIO()],
    }
    if strategy.name == "fsdp":
        arguments["inference_mode"] = False  # weights gathered in validation are used in training afterwards
        if arguments["precision"] == "64-true":  # Lightning refuses the name for this strategy, but not the plug-in
            del arguments["precision"]
            arguments["plugins"] += [DoublePrecision()]
    return arguments


def round_metrics(run: Path, clips_seen: int) -> dict[str, float]:
    """Metrics of the validation round after ``clips_seen`` training clips, by logged key."""
    rounds = [result for result in readable_results(run) if result.protocol.split == "val" and not result.baseline]
    results = [result for result in rounds if result.seen == clips_seen]
    return {result.protocol.key(name): value for result in results for name, value in result.metrics.items()}
