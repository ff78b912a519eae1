"""Sample from a trained model: ``python -m zoo.sample run=runs/<run> frames=300 seed=1 draws=4``.

Frames are written as they are generated, so a video may have any length.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from zoo.cli import say
from zoo.config.compose import hydra_command
from zoo.errors import ZooError, joined
from zoo.fields.ranges import check_ranges
from zoo.io.own_files import check_writable, make_folder
from zoo.runs.files import SAMPLES
from zoo.settings import SampleSettings
from zoo.types import SampleRequest

if TYPE_CHECKING:
    from zoo.model import VideoModel

logger = logging.getLogger(__name__)

NUMBERED = ("content", "motion", "frames_between")
"""Options of some models that are integers."""


def sample(settings: SampleSettings) -> list[Path]:
    """Write an mp4 and a PNG grid for every clip and draw; returns the files written.

    Raises ZooError for a model that makes no videos, for settings that do not fit it, and for files that exist.
    """
    from zoo.devices.hardware import find_device
    from zoo.runs.load import find_checkpoint, load
    from zoo.sampling.inputs import select_input
    from zoo.sampling.interpolation import write_interpolation
    from zoo.sampling.writing import write_sample

    check_ranges(settings)
    if settings.between is not None:
        _check_between(settings)
    if settings.out:
        check_writable(Path(settings.out), "out")
    model = load(settings.run)
    if not model.card.samples:
        does = "segments" if "segment" in model.card.tasks else "classifies"
        raise ZooError(f"{settings.run} is a {model.card.name}, which {does} videos and cannot generate them.")
    settings = replace(settings, context=_context(settings, model))
    _check_fit(settings, model)
    model.to(find_device(settings.accelerator))
    if settings.cuda_graphs:
        model.capture_cuda_graphs()
    options = _options(settings, model)
    for note in describe_promises(model, settings.draws):
        logger.info(note)
    out = Path(settings.out) if settings.out else make_folder(find_checkpoint(settings.run).parent, SAMPLES)
    suffix = f"{_describe_options(settings)}-seed{settings.seed}"
    request = SampleRequest(
        settings.frames or model.spec.frames, seed=settings.seed, options=options, truncation=settings.truncation
    )
    written: list[Path] = []
    if settings.between is not None:
        stem = f"between-{'-'.join(map(str, settings.between))}{suffix}"
        for draw in range(settings.draws):
            written += write_interpolation(model, replace(request, draw=draw), out / f"{stem}-draw{draw}", settings)
        return written
    count = 1 if settings.given else settings.clips
    if count > 1:
        select_input(settings, model, count - 1)  # before the work: is there a last clip?
    for number in range(count):
        for draw in range(settings.draws):
            source = select_input(settings, model, number)
            if source.context >= source.frames and not settings.reconstruct:
                raise ZooError(
                    f"context={source.context}, but the sample has {source.frames} frames, so there is nothing to "
                    f"generate. Try: frames={source.context + source.frames}"
                )
            each = replace(
                request, frames=source.frames, given=source.pieces, context=source.context, draw=draw, first=number
            )
            written += write_sample(model, each, out / f"{source.name}{suffix}-draw{draw}", settings.overwrite)
    return written


def _check_between(settings: SampleSettings) -> None:
    ends = settings.between
    assert ends is not None
    if len(ends) != 2:
        raise ZooError(f"between={ends} must be two numbers from 0 on. Try: between=[0,1]")
    if settings.given:
        raise ZooError("between= interpolates between samples or validation clips. Leave given= out.")


def _check_fit(settings: SampleSettings, model: VideoModel[Any]) -> None:
    """Raise a ZooError for more frames or context than the model can use. Too little context it explains itself, since
    that depends on options such as first_frame."""
    context = max(settings.context or 0, model.config.context_frames[0])
    frames = max(settings.frames or 0, context + 1)
    if problems := model.config.count_problems(model.spec, frames, context):
        raise ZooError("\n".join(problems))


def describe_promises(model: VideoModel[Any], draws: int) -> list[str]:
    """Sentences about what samples of the model do not promise, where it shows."""
    name, notes = model.card.name, []
    if model.deterministic and draws > 1:
        notes.append(f"{name} draws no noise, so all {draws} draws of a clip are the same.")
    if model.batch_statistics:
        notes.append(f"{name} normalises a sample by the statistics of its batch, here of one clip.")
    return notes


def _describe_options(settings: SampleSettings) -> str:
    """Settings that are not the default, as part of file names: samples with other settings overwrite nothing."""
    parts = [f"{name}-{value}" for name, value in settings.attributes.items()]
    parts += [f"context{settings.context}"] if (settings.context or 0) > 1 else []
    parts += [f"{name}{value}" for name in NUMBERED if (value := getattr(settings, name)) is not None]
    parts += [f"temperature{settings.temperature:g}"] if settings.temperature is not None else []
    parts += [f"truncation{settings.truncation:g}"] if settings.truncation is not None else []
    parts += [f"first_frame-{settings.first_frame}"] if settings.first_frame else []
    parts += (
        [f"appearance-{Path(settings.appearance.image).stem}-{settings.appearance.instance}"]
        if settings.appearance.image
        else []
    )
    parts += ["reconstructed"] if settings.reconstruct else []
    return "".join(re.sub(r"[^\w.@-]+", "_", f"-{part}") for part in parts)


def _context(settings: SampleSettings, model: VideoModel[Any]) -> int:
    """Number of real frames that the model sees first: as set, else 0 or 1.

    0 for a model that needs none, and where a real frame would determine what should vary between draws.
    """
    if settings.context is not None:
        return settings.context
    if "generate" in model.card.tasks and not settings.given:
        return 0
    varies = settings.draws > 1 and model.multimodal
    own_start = settings.first_frame in ("image", "generated")  # which the model's config does not know of
    return 0 if varies or own_start else int(model.config.clamp_context(1))


def _options(settings: SampleSettings, model: VideoModel[Any]) -> dict[str, Any]:
    """The sampling options of the request. Raises ZooError for one that the model does not have."""
    options: dict[str, Any] = {}
    if settings.first_frame is not None:
        options["first_frame"] = settings.first_frame
    if settings.appearance.image is not None:
        from zoo.data.appearance import read_appearance

        options["appearance"] = read_appearance(settings.appearance, model.spec)
    if settings.attributes:
        options["attributes"] = dict(settings.attributes)
    options |= {name: value for name in NUMBERED if (value := getattr(settings, name)) is not None}
    if settings.temperature is not None:
        options["temperature"] = settings.temperature
    if settings.reconstruct:
        options["reconstruct"] = True
    for name in [*options, *(["truncation"] if settings.truncation is not None else [])]:
        if name not in model.card.options:
            known = joined(sorted(model.card.options)) or "none"
            raise ZooError(
                f"{model.card.name} has no sampling option `{name}`. Its options: {known}. Leave {name} out."
            )
    return options


@hydra_command("sample")
def main(config: DictConfig) -> list[Path]:
    """The command."""
    settings: SampleSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    written = sample(settings)
    say("\n".join(str(path) for path in written))
    return written


if __name__ == "__main__":
    main()
