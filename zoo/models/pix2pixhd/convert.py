"""Checkpoints of the original release: what their tensors determine is read off, the rest is asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, listed
from zoo.models.image_translation.converted import clip_spec, refuse_unknown
from zoo.models.image_translation.released import find_files, fit_state, read_state
from zoo.models.image_translation.released_networks import (
    EncoderForm,
    translate_discriminator,
    translate_encoder,
    translate_image_generator,
)
from zoo.models.pix2pixhd.config import Pix2PixHDConfig
from zoo.runs.validate import build_on_meta
from zoo.settings import ConvertSettings

if TYPE_CHECKING:
    from zoo.models.pix2pixhd.model import Pix2PixHD


def convert(model_class: type[Pix2PixHD], folder: Path, settings: Mapping[str, Any]) -> Pix2PixHD:
    """Build the model that ``<epoch>_net_G.pth`` describes, and load it, with D and E where they are there.

    settings: those of ``zoo.settings.ConvertSettings``.
    """
    refuse_unknown(settings)
    files = find_files(folder, str(settings.get("epoch", ConvertSettings.epoch)))
    if "G" not in files:
        hint = " G0 is a generator of videos: python -m zoo.convert vid2vid from=…" if "G0" in files else ""
        raise ZooError(f"from={folder} holds {listed(path.name for path in files.values())}, but no …_net_G.pth.{hint}")
    form, generator = translate_image_generator(read_state(files["G"]))
    discriminator = translate_discriminator(read_state(files["D"])) if "D" in files else None
    encoder: EncoderForm | None = None
    if form.appearance:
        if "E" not in files:
            raise ZooError(
                f"from={folder}: the generator takes an appearance of {form.appearance} channels, but there is no E."
            )
        encoder, appearances = translate_encoder(read_state(files["E"]))
    config = Pix2PixHDConfig(
        given="condition" if "condition" in settings else "labels",
        scales=1 + form.enhanced,
        width=form.width * (1 + form.enhanced),
        downsamplings=form.downsamplings,
        blocks=form.blocks,
        local_blocks=form.local_blocks,
        norm=form.norm,
        norm_statistics=str(settings.get("norm_statistics", ConvertSettings.norm_statistics)),
        appearance_features=form.appearance,
        **(encoder.settings() if encoder else {}),
        **(discriminator[0].settings() if discriminator else {}),
    )
    spec = clip_spec(form.channels, settings, foreground=False)
    build_on_meta(lambda: model_class(config, spec), folder, generator)
    model = model_class(config, spec)
    model.generator.load_state_dict(fit_state(generator, model.generator.state_dict(), "G"))
    if discriminator:
        model.objective.image.load_state_dict(fit_state(discriminator[1], model.objective.image.state_dict(), "D"))
    if encoder and model.appearance is not None:
        model.appearance.load_state_dict(fit_state(appearances, model.appearance.state_dict(), "E"))
    return model.eval()
