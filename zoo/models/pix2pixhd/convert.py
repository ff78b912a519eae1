"""Convert weights of the original release: sizes come from the tensors, everything else from settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, joined
from zoo.models.image_translation.convert_settings import build_clip_spec, check_settings
from zoo.models.image_translation.released import find_files, fit_state, read_state
from zoo.models.image_translation.released_networks import (
    EncoderSizes,
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
    """Build a model from ``<epoch>_net_G.pth``, and load D and E if they exist.

    settings: those of ``zoo.settings.ConvertSettings``. Raises ZooError for missing or wrong files and settings.
    """
    check_settings(settings)
    files = find_files(folder, str(settings.get("epoch", ConvertSettings.epoch)))
    if "G" not in files:
        hint = " G0 is a video generator. Try: python -m zoo.convert vid2vid from=…" if "G0" in files else ""
        raise ZooError(
            f"from={folder} contains {joined(path.name for path in files.values())}, but no …_net_G.pth.{hint}"
        )
    sizes, generator = translate_image_generator(read_state(files["G"]))
    discriminator = translate_discriminator(read_state(files["D"])) if "D" in files else None
    encoder: EncoderSizes | None = None
    if sizes.appearance:
        if "E" not in files:
            raise ZooError(
                f"from={folder}: the generator has {sizes.appearance} channels of appearance as input, but the encoder "
                "is missing. Add …_net_E.pth."
            )
        encoder, appearances = translate_encoder(read_state(files["E"]))
    config = Pix2PixHDConfig(
        given="condition" if "condition" in settings else "labels",
        scales=1 + sizes.enhanced,
        width=sizes.width * (1 + sizes.enhanced),
        downsamplings=sizes.downsamplings,
        blocks=sizes.blocks,
        local_blocks=sizes.local_blocks,
        norm=sizes.norm,
        norm_statistics=str(settings.get("norm_statistics", ConvertSettings.norm_statistics)),
        appearance_features=sizes.appearance,
        **(encoder.settings() if encoder else {}),
        **(discriminator[0].settings() if discriminator else {}),
    )
    spec = build_clip_spec(sizes.channels, settings, foreground=False)
    build_on_meta(lambda: model_class(config, spec), folder, generator)
    model = model_class(config, spec)
    model.generator.load_state_dict(fit_state(generator, model.generator.state_dict(), "G"))
    if discriminator:
        network = model.objective.image_discriminator
        network.load_state_dict(fit_state(discriminator[1], network.state_dict(), "D"))
    if encoder and model.appearance is not None:
        model.appearance.load_state_dict(fit_state(appearances, model.appearance.state_dict(), "E"))
    return model.eval()
