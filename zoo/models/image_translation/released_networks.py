"""Renaming the released single-image generators, encoder and discriminators, and reading their form off the tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zoo.errors import ZooError
from zoo.models.image_translation.released import BLOCK, State, norm_of, numbers, rename, shifted

STEM = 4  # layers of a stem: padding, convolution, norm, ReLU
STEP = 3  # layers of a step down or up: convolution, norm, ReLU


@dataclass(frozen=True)
class DiscriminatorForm:
    """channels: of the input. width: of the full-resolution discriminator. layers, scales: as built."""

    channels: int
    width: int
    layers: int
    scales: int
    norm: str

    def settings(self) -> dict[str, Any]:
        """Those that are settings of an image-translation model."""
        names = ("width", "layers", "scales")
        return {f"discriminator_{name}": getattr(self, name) for name in names}


def translate_discriminator(state: State) -> tuple[DiscriminatorForm, dict[str, Tensor]]:
    """A released multi-scale discriminator, saved with the features of its layers or without."""
    with_features = any(key.startswith("scale") for key in state)
    scales = len(numbers(state, r"scale(\d+)_" if with_features else r"layer(\d+)\."))
    found: dict[str, Tensor] = {}
    for number in range(scales):
        discriminator = f"discriminators.{scales - 1 - number}.stages"  # the release counts from the coarsest
        if with_features:
            found |= rename(
                {key: value for key, value in state.items() if key.startswith(f"scale{number}_")},
                {r"scale\d+_layer(\d+)\.": rf"{discriminator}.\1."},
                "The discriminator",
            )
        else:
            for layer in numbers(state, rf"layer{number}\.(\d+)\."):
                stage, part = divmod(layer + 1, STEP) if layer else (0, 0)
                part = {0: 0, 1: 1}[part]
                for rest in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                    if (key := f"layer{number}.{layer}.{rest}") in state:
                        found[f"{discriminator}.{stage}.{part}.{rest}"] = state[key]
    if len(found) != len(state) or any(
        f"discriminators.{scale}.stages.0.0.weight" not in found for scale in range(scales)
    ):
        raise ZooError(
            f"The discriminator is not of the released form: of its {len(state)} tensors {len(found)} are known, and "
            "each of its scales needs a first layer."
        )
    first = found["discriminators.0.stages.0.0.weight"]
    layers = max(numbers(found, r"discriminators\.0\.stages\.(\d+)\.")) - 1
    return DiscriminatorForm(first.shape[1], first.shape[0], layers, scales, norm_of(state)), found


@dataclass(frozen=True)
class ImageForm:
    """The form of a single-image generator. enhanced: within a local enhancer of ``local_blocks``."""

    channels: int
    width: int
    downsamplings: int
    blocks: int
    appearance: int
    enhanced: bool
    local_blocks: int
    norm: str


def translate_image_generator(state: State) -> tuple[ImageForm, dict[str, Tensor]]:
    """A released global generator, one within a local enhancer, or one with features."""
    if any(key.startswith("model_downsample") for key in state):
        return _with_features(state)
    enhanced = any(key.startswith("model1_1") for key in state)
    plain = {key: value for key, value in state.items() if key.startswith("model.")}
    if not plain:
        raise ZooError("These are no weights of a global generator: there is no layer `model.…` in them.")
    blocks = len(numbers(plain, r"model\.(\d+)\.conv_block"))
    # Outside of residual blocks: the stem, as many steps down as up, and the head, which an enhancer leaves out.
    downsamplings = (sum(v.ndim == 4 and BLOCK not in k for k, v in plain.items()) - 1 - (not enhanced)) // 2
    prefix = "coarse." if enhanced else ""
    trunk = STEM + STEP * downsamplings
    after = trunk + blocks
    found: dict[str, Tensor] = {}
    for start, stop, part in (
        (0, trunk, "encoder"),
        (trunk, after, "trunk"),
        (after, after + STEP * downsamplings, "decoder"),
        (after + STEP * downsamplings, 1 << 30, "head"),
    ):
        some = {key: value for key, value in plain.items() if start <= int(key.split(".")[1]) < stop}
        found |= shifted(some, "model", prefix + part, by=-start)
    strange = [key for key in state if not key.startswith(("model.", "model1_1.", "model1_2."))]
    if strange:
        raise ZooError(f"The generator has the layer {strange[0]}; no global generator, enhanced or not, has it.")
    local_blocks = len(numbers(state, r"model1_2\.(\d+)\.conv_block"))
    if enhanced:
        found |= shifted(state, "model1_1", "encoder", 0)
        inner = {key: value for key, value in state.items() if key.startswith("model1_2.")}
        last = local_blocks + STEP
        found |= shifted({k: v for k, v in inner.items() if int(k.split(".")[1]) < last}, "model1_2", "decoder", 0)
        found |= shifted({k: v for k, v in inner.items() if int(k.split(".")[1]) >= last}, "model1_2", "head", -last)
    first = state["model1_1.1.weight" if enhanced else "model.1.weight"]
    channels, width = first.shape[1], first.shape[0]
    return ImageForm(channels, width, downsamplings, blocks, 0, enhanced, local_blocks, norm_of(state)), found


def _with_features(state: State) -> tuple[ImageForm, dict[str, Tensor]]:
    rules = {
        r"model_downsample\.": "encoder.",
        r"model_resnet\.": "trunk.",
        r"model_upsample\.": "decoder.",
        r"model_upsample_conv\.": "head.",
    }
    found = rename(state, rules, "The generator with features")
    first, head = found["encoder.1.weight"], found["head.1.weight"]
    appearance = head.shape[1] - first.shape[0]
    downsamplings = sum(v.ndim == 4 for k, v in found.items() if k.startswith("encoder.")) - 1  # and the stem
    blocks = len(numbers(found, r"trunk\.(\d+)\."))
    channels = first.shape[1] - appearance
    return ImageForm(channels, first.shape[0], downsamplings, blocks, appearance, False, 0, norm_of(state)), found


@dataclass(frozen=True)
class EncoderForm:
    """features: channels of an appearance. width, downsamplings: of the encoder."""

    features: int
    width: int
    downsamplings: int
    norm: str

    def settings(self) -> dict[str, Any]:
        """Those that are settings of an image-translation model."""
        return {"appearance_width": self.width, "appearance_downsamplings": self.downsamplings}


def translate_encoder(state: State) -> tuple[EncoderForm, dict[str, Tensor]]:
    """The released encoder of appearances."""
    found = rename(state, {r"model\.": "layers."}, "The encoder")
    last = max(numbers(found, r"layers\.(\d+)\."))  # stem, d steps down, d steps up, padding, convolution
    downsamplings = (last - 1 - STEM) // (2 * STEP)
    features, width = found[f"layers.{last}.weight"].shape[:2]
    return EncoderForm(features, width, downsamplings, norm_of(state)), found
