"""Measure a trained model: ``python -m zoo.evaluate run=runs/<run> judge=runs/<run of a judge>``.

Says what a judge makes of the clips that the model generates, beside real held-out clips, and adds a line for each row
to the run's results.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from zoo.cli import hydra_command
from zoo.errors import ZooError
from zoo.settings import EvaluateSettings

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.model import VideoModel
    from zoo.types import Clip

REAL = "real, held out"


def evaluate(settings: EvaluateSettings) -> dict[str, dict[str, float]]:
    """Figures by row: real clips, then one row for each way in which the model can be asked."""
    from zoo.evaluation.judgement import MODES, check_bound, check_judge, held_out, judged
    from zoo.evaluation.results import add_result
    from zoo.run import data_config, find_checkpoint, load

    model, judge = load(settings.run), load(settings.judge)
    if not model.card.samples:
        raise ZooError(f"{settings.run} is a {model.card.name}: it makes no clips to judge. Type the run of another.")
    check_judge(judge, model)
    _check(settings, model)
    frames, config = judge.spec.frames, data_config(settings.run)
    longest = frames + max(MODES.values())
    clips = partial(held_out, config, model.card.wanted(), longest, settings.clips, settings.batch_size)
    table = {REAL: judged(judge, ((clip["video"][:, -frames:], clip) for clip in clips()))}
    check_bound(table[REAL])
    for name, context in MODES.items():
        if context or "generate" in model.card.tasks:
            table[name] = judged(judge, _samples(model, clips(), frames, context, settings))
    checksum = sha256(find_checkpoint(settings.judge).read_bytes()).hexdigest()[:16]
    protocol = asdict(settings) | {"frames": frames, "judge_accuracy": judge.accuracy, "judge_sha256": checksum}
    for row, metrics in table.items():
        add_result(find_checkpoint(settings.run).parent, model.clips_seen, metrics, protocol, given=row)
    return table


def _check(settings: EvaluateSettings, model: VideoModel[Any]) -> None:
    for name in ("clips", "batch_size"):
        if getattr(settings, name) < 1:
            raise ZooError(f"{name}={getattr(settings, name)}: one clip at least. Try: {name}=50")
    if settings.temperature is not None and "temperature" not in model.card.options:
        raise ZooError(f"{model.card.name} has no temperature. Leave it out.")


def _samples(
    model: VideoModel[Any], clips: Iterator[Clip], frames: int, context: int, settings: EvaluateSettings
) -> Iterator[tuple[Tensor, Clip]]:
    """For each clip as many frames as the judge looks at, made from its attributes and, if any, after its first frames;
    the judge sees none that was given."""
    from zoo.types import SampleRequest

    options = {} if settings.temperature is None else {"temperature": settings.temperature}
    for clip in clips:
        request = SampleRequest(context + frames, clip, context, settings.seed, options=options)
        yield model.sample(request).video[:, context:], clip


def show(table: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    names = list(table[REAL])
    view = Table("clips", *names, title="what the judge says")
    for row, metrics in table.items():
        view.add_row(row, *(f"{metrics[name]:.3f}" for name in names))
    Console().print(view)


@hydra_command("evaluate")
def main(config: DictConfig) -> dict[str, dict[str, float]]:
    """The command."""
    settings: EvaluateSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    table = evaluate(settings)
    show(table)
    return table


if __name__ == "__main__":
    main()
