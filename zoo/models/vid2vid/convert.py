"""Convert weights of the original release: sizes come from the tensors, everything else from settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from zoo.errors import ZooError, joined
from zoo.models.image_translation.convert_settings import build_clip_spec, check_settings
from zoo.models.image_translation.released import (
    BLOCK,
    State,
    detect_norm,
    find_files,
    fit_state,
    layer_numbers,
    numbered_files,
    read_state,
    rename,
)
from zoo.models.image_translation.released_networks import DiscriminatorSizes, translate_discriminator
from zoo.models.vid2vid.config import Vid2VidConfig
from zoo.runs.validate import build_on_meta
from zoo.settings import ConvertSettings

if TYPE_CHECKING:
    from zoo.models.vid2vid.model import Vid2Vid


@dataclass(frozen=True)
class GeneratorSizes:
    """Sizes of the generators, as determined by their tensors."""

    map_channels: int
    """C, channels of the map of one frame."""

    past_frames: int
    scales: int
    width: int
    downsamplings: int
    blocks: int
    local_blocks: int
    norm: str
    uses_flow: bool
    foreground: bool

    def settings(self) -> dict[str, Any]:
        """The sizes as settings of the model."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "map_channels"}


def translate_generators(states: Sequence[State]) -> tuple[GeneratorSizes, dict[str, Tensor]]:
    """Convert the released G0, G1, … (coarsest first) to sizes and state dict of the sequential generator."""
    coarse = states[0]
    if "model_down_seg.1.weight" not in coarse or "model_down_img.1.weight" not in coarse:
        raise ZooError(
            f"The weights are not those of vid2vid's generator: it has the layers model_down_seg and model_down_img, "
            f"but found are {joined(sorted({key.split('.')[0] for key in coarse})[:6])}."
        )
    past_frames = coarse["model_down_img.1.weight"].shape[1] // 3
    width, maps = coarse["model_down_seg.1.weight"].shape[:2]
    residual = layer_numbers(coarse, r"model_down_seg\.(\d+)\.conv_block")
    decoding = len(layer_numbers(coarse, r"model_res_img\.(\d+)\."))
    local = len(layer_numbers(states[1], r"model_up_img\.(\d+)\.conv_block")) if len(states) > 1 else 3
    sizes = GeneratorSizes(
        map_channels=maps // (past_frames + 1),
        past_frames=past_frames,
        scales=len(states),
        width=width,
        downsamplings=_downsamplings(coarse),
        blocks=len(residual) + decoding,
        local_blocks=local,
        norm=detect_norm(coarse),
        uses_flow="model_final_flow.1.weight" in coarse,
        foreground="indv_final.1.weight" in coarse,
    )
    translated = {}
    for scale, state in enumerate(states):
        for key, value in _translate_scale(state, f"G{scale}").items():
            translated[f"scales.{scale}.{key}"] = value
    return sizes, translated


def _downsamplings(coarse: State) -> int:
    """Downsamplings of G0: convolutions of the encoder outside its residual blocks, without the stem."""
    plain = [key for key in coarse if key.startswith("model_down_seg.") and BLOCK not in key]
    return sum(coarse[key].ndim == 4 for key in plain) - 1


def _translate_scale(state: State, what: str) -> dict[str, Tensor]:
    moved: dict[str, Tensor] = {}
    for name in ("img", "flow"):
        moved |= _decoder(state, f"model_res_{name}", f"model_up_{name}")
    moved |= _decoder(state, "indv_res", "indv_up")
    rules = {
        r"model_down_seg\.": "given_encoder.",
        r"model_down_img\.": "past_encoder.",
        r"model_up_img\.": "image_decoder.",
        r"model_final_img\.": "image_head.",
        r"model_up_flow\.": "flow_decoder.",
        r"model_final_flow\.": "flow_head.",
        r"model_final_w\.": "mask_head.",
        r"indv_down\.": "foreground_encoder.",
        r"indv_up\.": "foreground_decoder.",
        r"indv_final\.": "foreground_head.",
    }
    others = {key: value for key, value in state.items() if not key.startswith(("model_res_", "indv_res."))}
    others = {key: value for key, value in others.items() if "_up" not in key.split(".")[0]}
    return rename(moved | others, rules, what)


def _decoder(state: State, residual: str, up: str) -> dict[str, Tensor]:
    """Merge the residual blocks and the upsamplings of a decoder, which are two modules in the release, into one."""
    blocks = len(layer_numbers(state, rf"{residual}\.(\d+)\."))
    moved = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == residual:
            moved[f"{up}.{rest}"] = value
        elif part == up:
            number, _, rest = rest.partition(".")
            moved[f"{up}.{int(number) + blocks}.{rest}"] = value
    return moved


def convert(model_class: type[Vid2Vid], folder: Path, settings: Mapping[str, Any]) -> Vid2Vid:
    """Build a model from ``<epoch>_net_G0.pth``, G1, …, and load all of their tensors.

    Discriminators are loaded if they exist; that of a region (D_f) if the setting ``region`` names its classes.
    settings: those of ``zoo.settings.ConvertSettings``. Raises ZooError for missing or wrong files and settings.
    """
    check_settings(settings)
    files = find_files(folder, str(settings.get("epoch", ConvertSettings.epoch)))
    if "G0" not in files:
        hint = " G is an image generator. Try: python -m zoo.convert pix2pixhd from=…" if "G" in files else ""
        raise ZooError(
            f"from={folder} contains {joined(path.name for path in files.values())}, but no …_net_G0.pth.{hint}"
        )
    sizes, generator = translate_generators([read_state(path) for path in numbered_files(files, "G")])
    discriminators = {
        part: translate_discriminator(read_state(path))
        for part, path in files.items()
        if part == "D" or part.startswith("D_T") or (part == "D_f" and "region" in settings)
    }
    temporal_scales = len(numbered_files(files, "D_T"))
    _check_discriminators(discriminators, sizes)
    video_frames = (
        (discriminators["D_T0"][0].channels + 2) // 5 if temporal_scales else 3
    )  # it has 3K + 2(K-1) channels
    frames = max(8, video_frames ** max(temporal_scales - 1, 0) * (video_frames - 1) + 1)
    spec = build_clip_spec(sizes.map_channels, settings, sizes.foreground, frames)
    config = Vid2VidConfig(
        **sizes.settings(),
        given="labels" if spec.label_names else "condition",
        norm_statistics=str(settings.get("norm_statistics", ConvertSettings.norm_statistics)),
        first_frame="given",
        region=[str(number) for number in settings.get("region", ())],
        video_frames=video_frames,
        temporal_scales=temporal_scales,
        backprop_frames=2,  # so that all scales can be trained without a curriculum
        foreground_flow_share=0.0,
        mask_weight=1.0,
        **(discriminators["D"][0].settings() if "D" in discriminators else {}),
    )
    states = [generator, *(state for _, state in discriminators.values())]
    build_on_meta(lambda: model_class(config, spec), folder, states)
    model = model_class(config, spec)
    parts: dict[str, tuple[nn.Module | None, State]] = {"G": (model.generator, generator)}
    networks: dict[str, nn.Module | None] = {"D": model.objective.image_discriminator}
    networks["D_f"] = model.objective.region_discriminator
    networks |= {f"D_T{scale}": discriminator for scale, discriminator in enumerate(model.video_discriminators)}
    parts |= {name: (network, discriminators[name][1]) for name, network in networks.items() if name in discriminators}
    for name, (network, state) in parts.items():
        if network is not None:
            network.load_state_dict(fit_state(state, network.state_dict(), name))
    return model.eval()


def _check_discriminators(
    discriminators: Mapping[str, tuple[DiscriminatorSizes, State]], sizes: GeneratorSizes
) -> None:
    """Raise ZooError if the discriminators do not match the generators or each other."""
    if discriminators and "D" not in discriminators:
        raise ZooError(f"Found {joined(discriminators)}, but not D. Add …_net_D.pth, or remove them.")
    for part, (discriminator, _) in discriminators.items():
        if part in ("D", "D_f") and discriminator.channels != sizes.map_channels + 3:
            raise ZooError(
                f"{part} has {discriminator.channels} input channels, but {sizes.map_channels + 3} are expected: "
                f"{sizes.map_channels} of the map and 3 of the image. Use files of the same training."
            )
        main = discriminators["D"][0]
        sizes_of_part = (discriminator.width, discriminator.layers, discriminator.scales)
        if part != "D_f" and sizes_of_part != (main.width, main.layers, main.scales):
            raise ZooError(
                f"{part} has {discriminator.scales} scales of {discriminator.layers} layers and {discriminator.width} "
                f"channels, but D has {main.scales} of {main.layers} and {main.width}. Use files of the same training."
            )
