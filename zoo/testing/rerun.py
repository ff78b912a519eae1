"""Compare trainings bit for bit, for tests and experiments that interrupt and resume trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from zoo.card import MODELS
from zoo.config.compose import prepare_hydra
from zoo.runs.files import CHECKPOINTS, CONFIG, METRICS, RESULTS
from zoo.runs.load import read_checkpoint
from zoo.runs.metrics_csv import read_rows
from zoo.settings import Budget, Callbacks, Evaluation, Logger, Strategy, Train, TrainerSettings
from zoo.testing.helpers import tiny_data
from zoo.training.plan import Plan, plan
from zoo.training.preflight import check
from zoo.training.resume import load_resumed
from zoo.training.trainer import train


def tiny_plan(name: str, clips: int) -> Plan:
    """Plan a training of the tiny variant of a model: two clips a step, a checkpoint after every step, two validation
    rounds, and a final one if they do not divide the budget. clips: the budget."""
    model = MODELS.find(name).config.tiny()
    data = tiny_data(name, batch_size=2, clips=5)
    settings = Train(
        model=model,
        data=data,
        strategy=Strategy("cpu", "cpu", "1"),
        trainer=TrainerSettings(log_every=1, threads=1, progress=False),
        callbacks=Callbacks(save_minutes=0.0, ema_half_life=10.0, gallery_clips=1),
        logger=Logger("disabled"),
        evaluation=Evaluation(rounds=2, clips=3),
        budget=Budget(clips),
    )
    card, spec = MODELS.find(name).card, data.spec()
    check(card, spec, settings)
    return Plan(settings, card, data, spec)


def resume_training(run: Path) -> None:
    """Do what `python -m zoo.train resume=<run>` does, in this process."""
    prepare_hydra()
    settings, start = load_resumed(run, DictConfig({}), ())
    train(plan(settings), run, start)


def start_or_resume(planned: Plan, run: Path) -> None:
    """Resume the training in a run folder if there is one, else start it."""
    if (run / CONFIG).is_file():
        resume_training(run)
    else:
        train(planned, run)


def differing_files(ours: Path, theirs: Path) -> list[str]:
    """Compare two run folders bit for bit; empty for equal trainings.

    Returns the places in checkpoints (weights, optimizers, averages, loops) that differ, checkpoints of one folder
    only, and ``metrics.csv`` (without speed) and ``results.jsonl`` if they differ.
    """
    found = []
    for name in CHECKPOINTS:
        there = [(run / name).exists() for run in (ours, theirs)]
        if not all(there):
            found += [name] if any(there) else []  # there is no best.ckpt where samples have no pairs
            continue
        a, b = (read_checkpoint(run / name) for run in (ours, theirs))
        found += [f"{name}{place}" for place in differing_values(a, b)]
    if logged_rows(ours) != logged_rows(theirs):
        found.append(METRICS)
    if (ours / RESULTS).read_text() != (theirs / RESULTS).read_text():
        found.append(RESULTS)
    return found


def logged_rows(run: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv without the columns that measure time or memory."""
    rows = read_rows(run / METRICS)
    return [{key: value for key, value in row.items() if not key.startswith("perf/")} for row in rows]


def differing_values(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """The places where two nested containers of tensors and plain data differ, bit for bit."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        only_one = [f"{where}/{key}" for key in ours.keys() ^ theirs.keys()]
        both = [(ours[key], theirs[key], f"{where}/{key}") for key in ours if key in theirs]
        return only_one + [place for each in both for place in differing_values(*each)]
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [place for i, (a, b) in pairs for place in differing_values(a, b, f"{where}/{i}")]
    if isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        return [] if torch.equal(ours, theirs) else [where]
    return [] if ours == theirs else [where]
