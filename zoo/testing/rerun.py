"""Is it the same training, to the bit? For tests and experiments that stop trainings and let them go on."""

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
from zoo.training.resume import resumed
from zoo.training.trainer import train


def tiny_plan(name: str, clips: int) -> Plan:
    """A training of the smallest variant of a model, two clips a step, that saves after every step, in two rounds and
    a last one if they do not divide it."""
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


def go_on(run: Path) -> None:
    """What `python -m zoo.train resume=<run>` does, in this process."""
    prepare_hydra()
    settings, start = resumed(run, DictConfig({}), ())
    train(plan(settings), run, start)


def begin_or_go_on(planned: Plan, run: Path) -> None:
    """Whichever is called for."""
    if (run / CONFIG).is_file():
        go_on(run)
    else:
        train(planned, run)


def unlike(ours: Path, theirs: Path) -> list[str]:
    """Where two run folders tell of different trainings: weights, optimizers, averages, loops, every number that was
    logged beside the speed, every result. An empty list for the same one."""
    found = []
    for name in CHECKPOINTS:
        a, b = (read_checkpoint(run / name) for run in (ours, theirs))
        found += [f"{name}{place}" for place in differences(a, b)]
    if logged(ours) != logged(theirs):
        found.append(METRICS)
    if (ours / RESULTS).read_text() != (theirs / RESULTS).read_text():
        found.append(RESULTS)
    return found


def logged(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what depends on the clock."""
    rows = read_rows(run / METRICS)
    return [{key: value for key, value in row.items() if not key.startswith("perf/")} for row in rows]


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """The places where two nests of tensors and plain data are not the same to the bit."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        lone = [f"{where}/{key}" for key in ours.keys() ^ theirs.keys()]
        both = [(ours[key], theirs[key], f"{where}/{key}") for key in ours if key in theirs]
        return lone + [place for each in both for place in differences(*each)]
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [place for i, (a, b) in pairs for place in differences(a, b, f"{where}/{i}")]
    if isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        return [] if torch.equal(ours, theirs) else [where]
    return [] if ours == theirs else [where]
