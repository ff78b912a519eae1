"""Checkpoints of the original release: what their tensors determine is read off, the rest is asked for by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.blocks.released import State, find_files, fit_state, norm_of, numbers, read_state, rename
from zoo.blocks.released_networks import translate_discriminator
from zoo.errors import ZooError, listed, nearest
from zoo.models.vid2vid.config import Vid2VidConfig
from zoo.models.vid2vid.model import Vid2Vid
from zoo.types import ClipSpec


@dataclass(frozen=True)
class GeneratorForm:
    """What the tensors of the generators determine. map_channels: of the map of one frame."""

    map_channels: int
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
        """Those that are settings of the model."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "map_channels"}


def translate_generators(states: Sequence[State]) -> tuple[GeneratorForm, dict[str, Tensor]]:
    """The released G0, G1, … (coarsest first) as the form and the state of the sequential generator."""
    coarse = states[0]
    if "model_down_seg.1.weight" not in coarse or "model_down_img.1.weight" not in coarse:
        raise ZooError(
            f"These are no weights of vid2vid's generator: it has the layers model_down_seg and model_down_img; found "
            f"are {listed(sorted({key.split('.')[0] for key in coarse})[:6])}."
        )
    past_frames = coarse["model_down_img.1.weight"].shape[1] // 3
    width, maps = coarse["model_down_seg.1.weight"].shape[:2]
    residual = numbers(coarse, r"model_down_seg\.(\d+)\.conv_block")
    decoding = len(numbers(coarse, r"model_res_img\.(\d+)\."))
    local = len(numbers(states[1], r"model_up_img\.(\d+)\.conv_block")) if len(states) > 1 else 3
    form = GeneratorForm(
        map_channels=maps // (past_frames + 1),
        past_frames=past_frames,
        scales=len(states),
        width=width,
        downsamplings=_downsamplings(coarse),
        blocks=len(residual) + decoding,
        local_blocks=local,
        norm=norm_of(coarse),
        uses_flow="model_final_flow.1.weight" in coarse,
        foreground="indv_final.1.weight" in coarse,
    )
    translated = {}
    for scale, state in enumerate(states):
        for key, value in _translate_scale(state, f"G{scale}").items():
            translated[f"scales.{scale}.{key}"] = value
    return form, translated


def _downsamplings(coarse: State) -> int:
    """Steps down of G0: convolutions of the encoder outside its residual blocks, less the stem."""
    return sum(
        value.ndim == 4 for key, value in coarse.items() if key.startswith("model_down_seg.") and "conv_block" not in key
    ) - 1


def _translate_scale(state: State, what: str) -> dict[str, Tensor]:
    moved = {}
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
    """The release keeps G0's residual blocks apart from the steps up; here they are one sequence."""
    blocks = len(numbers(state, rf"{residual}\.(\d+)\."))
    moved = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == residual:
            moved[f"{up}.{rest}"] = value
        elif part == up:
            number, _, rest = rest.partition(".")
            moved[f"{up}.{int(number) + blocks}.{rest}"] = value
    return moved


ASKED = ("label_count", "condition", "height", "width", "fps", "foreground", "norm_statistics", "first_frame")


def convert(folder: Path, settings: Mapping[str, Any]) -> Vid2Vid:
    """Build the model that a folder of released weights describes, and load them, every tensor of them.

    settings: what the tensors do not determine. epoch: which files. label_count: classes of the label maps, or
    condition: the kind of the drawing. height, width: of a frame. fps. foreground: numbers of the foreground classes.
    norm_statistics: batch (default; as the release uses its weights) or running.
    """
    for key in settings:
        if key not in (*ASKED, "epoch"):
            raise ZooError(f"zoo.convert has no setting `{key}`.{nearest(key, ASKED)} Known: {listed((*ASKED, 'epoch'))}.")
    files = find_files(folder, str(settings.get("epoch", "latest")))
    if "G0" not in files:
        hint = " `G` alone is a single-image generator: python -m zoo.convert pix2pixhd from=…" if "G" in files else ""
        raise ZooError(f"from={folder} holds {listed(path.name for path in files.values())}, but no …_net_G0.pth.{hint}")
    states = {part: read_state(path) for part, path in files.items() if part[0] in "GD"}
    generators = [states[f"G{scale}"] for scale in range(len(states)) if f"G{scale}" in states]
    form, generator = translate_generators(generators)
    judges = {part: translate_discriminator(state) for part, state in states.items() if part[0] == "D"}
    spec = clip_spec(form, settings)
    config = Vid2VidConfig(
        **form.settings(),
        given="labels" if spec.label_names else "condition",
        norm_statistics=str(settings.get("norm_statistics", "batch")),
        first_frame=str(settings.get("first_frame", "given")),
        region=["region"] if "D_f" in judges else [],
        **_judge_settings(judges),
    )
    model = Vid2Vid(config, spec)
    _load(model, generator, judges)
    return model.eval()


def clip_spec(form: GeneratorForm, settings: Mapping[str, Any]) -> ClipSpec:
    """The form of the clips; a ZooError that asks by name for what is missing."""
    for name in ("height", "width"):
        if name not in settings:
            raise ZooError(f"The size of a frame is not in the weights. Type height=<pixels> width=<pixels>; no {name} was.")
    channels, foreground = form.map_channels, [int(n) for n in settings.get("foreground", ())]
    size = {"frames": 8, "height": int(settings["height"]), "width": int(settings["width"])}
    common: dict[str, Any] = {**size, "fps": float(settings.get("fps", 17))}
    if "condition" in settings:
        fields_ = ("video", "condition", "flow")
        return ClipSpec(fields_, **common, condition_kind=str(settings["condition"]), condition_channels=channels)
    count = int(settings.get("label_count", -1))
    if count not in (channels, channels - 1):
        raise ZooError(
            f"The generator takes {channels} channels a frame. Type label_count={channels - 1} for {channels - 1} classes "
            f"and the borders of instances, label_count={channels} for classes alone, or condition=<kind>, such as "
            f"edges, for a drawing of {channels} channels."
        )
    if form.foreground and not foreground:
        raise ZooError(
            "The generator has a foreground branch, and which classes it paints is not in the weights. Type "
            "foreground=[26], the release's default (car of Cityscapes), or others."
        )
    names = tuple(str(number) for number in range(count))
    return ClipSpec(
        ("video", "labels", *(("instances",) if count < channels else ()), "flow"),
        **common,
        label_names=names,
        foreground=tuple(names[number] for number in foreground),
    )


def _judge_settings(judges: Mapping[str, tuple[Any, dict[str, Tensor]]]) -> dict[str, Any]:
    """What the discriminators determine: their form, and how many frames and temporal scales D_V has."""
    found: dict[str, Any] = {"temporal_scales": sum(part.startswith("D_T") for part in judges)}
    if "D" in judges:
        form = judges["D"][0]
        found |= {
            "discriminator_width": form.width,
            "discriminator_layers": form.layers,
            "discriminator_scales": form.scales,
        }
    if "D_T0" in judges:
        found["video_frames"] = (judges["D_T0"][0].channels + 2) // 5  # 3 a frame and 2 a flow: 3K + 2(K-1)
    return found


def _load(model: Vid2Vid, generator: State, judges: Mapping[str, tuple[Any, dict[str, Tensor]]]) -> None:
    """Every tensor into its place; parts that the release did not keep stay as they were made."""
    parts = {"G": (model.generator, generator)}
    if "D" in judges:
        parts["D"] = (model.objective.image, judges["D"][1])
    if "D_f" in judges:
        parts["D_f"] = (model.objective.around, judges["D_f"][1])
    for scale, judge in enumerate(model.video_discriminators):
        parts[f"D_T{scale}"] = (judge, judges[f"D_T{scale}"][1])
    for name, (network, state) in parts.items():
        network.load_state_dict(fit_state(state, network.state_dict(), name))
