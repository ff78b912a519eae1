"""Convert the released image generators, appearance encoder and discriminators.

Keys are renamed, and sizes are derived from the tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zoo.errors import ZooError
from zoo.models.image_translation.released import BLOCK, State, detect_norm, layer_numbers, rename, shift_layers

STEM = 4  # layers of a stem: padding, convolution, norm, ReLU
STEP = 3  # layers of a downsampling or upsampling: convolution, norm, ReLU


@dataclass(frozen=True)
class DiscriminatorSizes:
    """Sizes of a multi-scale discriminator."""

    channels: int
    """Channels of the input."""

    width: int
    """Channels after the first layer at full resolution."""

    layers: int
    scales: int
    norm: str

    def settings(self) -> dict[str, Any]:
        """The sizes as settings of a model."""
        names = ("width", "layers", "scales")
        return {f"discriminator_{name}": getattr(self, name) for name in names}


def translate_discriminator(state: State) -> tuple[DiscriminatorSizes, dict[str, Tensor]]:
    """Convert a released multi-scale discriminator, which was built with or without intermediate features."""
    with_features = any(key.startswith("scale") for key in state)
    scales = len(layer_numbers(state, r"scale(\d+)_" if with_features else r"layer(\d+)\."))
    found: dict[str, Tensor] = {}
    for number in range(scales):
        discriminator = f"discriminators.{scales - 1 - number}.stages"  # the release numbers scales from the coarsest
        if with_features:
            found |= rename(
                {key: value for key, value in state.items() if key.startswith(f"scale{number}_")},
                {r"scale\d+_layer(\d+)\.": rf"{discriminator}.\1."},
                "The discriminator",
            )
        else:
            for layer in layer_numbers(state, rf"layer{number}\.(\d+)\."):
                stage, part = divmod(layer + 1, STEP) if layer else (0, 0)
                part = {0: 0, 1: 1}[part]
                for rest in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                    if (key := f"layer{number}.{layer}.{rest}") in state:
                        found[f"{discriminator}.{stage}.{part}.{rest}"] = state[key]
    if len(found) != len(state) or any(
        f"discriminators.{scale}.stages.0.0.weight" not in found for scale in range(scales)
    ):
        raise ZooError(
            f"The weights are not those of a released discriminator: {len(found)} of {len(state)} tensors are known, "
            "and every scale needs a first layer."
        )
    first = found["discriminators.0.stages.0.0.weight"]
    layers = max(layer_numbers(found, r"discriminators\.0\.stages\.(\d+)\.")) - 1
    return DiscriminatorSizes(first.shape[1], first.shape[0], layers, scales, detect_norm(state)), found


@dataclass(frozen=True)
class ImageGeneratorSizes:
    """Sizes of an image generator."""

    channels: int
    width: int
    downsamplings: int
    blocks: int
    appearance: int
    enhanced: bool
    """Whether a local enhancer surrounds the global generator."""

    local_blocks: int
    """Residual blocks of the local enhancer."""

    norm: str


def translate_image_generator(state: State) -> tuple[ImageGeneratorSizes, dict[str, Tensor]]:
    """Convert a released global generator, local enhancer, or generator with appearance features."""
    if any(key.startswith("model_downsample") for key in state):
        return _with_features(state)
    enhanced = any(key.startswith("model1_1") for key in state)
    plain = {key: value for key, value in state.items() if key.startswith("model.")}
    if not plain:
        raise ZooError("The weights are not those of a global generator: they have no layer `model.…`.")
    blocks = len(layer_numbers(plain, r"model\.(\d+)\.conv_block"))
    # Convolutions outside residual blocks: stem, down- and upsamplings, and the head, which a local enhancer removes.
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
        found |= shift_layers(some, "model", prefix + part, by=-start)
    unknown = [key for key in state if not key.startswith(("model.", "model1_1.", "model1_2."))]
    if unknown:
        raise ZooError(f"The generator has the layer {unknown[0]}, which no released generator has.")
    local_blocks = len(layer_numbers(state, r"model1_2\.(\d+)\.conv_block"))
    if enhanced:
        found |= shift_layers(state, "model1_1", "encoder", 0)
        inner = {key: value for key, value in state.items() if key.startswith("model1_2.")}
        last = local_blocks + STEP
        found |= shift_layers({k: v for k, v in inner.items() if int(k.split(".")[1]) < last}, "model1_2", "decoder", 0)
        found |= shift_layers(
            {k: v for k, v in inner.items() if int(k.split(".")[1]) >= last}, "model1_2", "head", -last
        )
    first = state["model1_1.1.weight" if enhanced else "model.1.weight"]
    channels, width = first.shape[1], first.shape[0]
    return ImageGeneratorSizes(
        channels, width, downsamplings, blocks, 0, enhanced, local_blocks, detect_norm(state)
    ), found


def _with_features(state: State) -> tuple[ImageGeneratorSizes, dict[str, Tensor]]:
    rules = {
        r"model_downsample\.": "encoder.",
        r"model_resnet\.": "trunk.",
        r"model_upsample\.": "decoder.",
        r"model_upsample_conv\.": "head.",
    }
    found = rename(state, rules, "The generator with features")
    first, head = found["encoder.1.weight"], found["head.1.weight"]
    appearance = head.shape[1] - first.shape[0]
    downsamplings = sum(v.ndim == 4 for k, v in found.items() if k.startswith("encoder.")) - 1  # without the stem
    blocks = len(layer_numbers(found, r"trunk\.(\d+)\."))
    channels = first.shape[1] - appearance
    return ImageGeneratorSizes(
        channels, first.shape[0], downsamplings, blocks, appearance, False, 0, detect_norm(state)
    ), found


@dataclass(frozen=True)
class EncoderSizes:
    """Sizes of an appearance encoder."""

    features: int
    """D, channels of an appearance."""

    width: int
    downsamplings: int
    norm: str

    def settings(self) -> dict[str, Any]:
        """The sizes as settings of a model."""
        return {"appearance_width": self.width, "appearance_downsamplings": self.downsamplings}


def translate_encoder(state: State) -> tuple[EncoderSizes, dict[str, Tensor]]:
    """Convert the released appearance encoder."""
    found = rename(state, {r"model\.": "layers."}, "The encoder")
    last = max(layer_numbers(found, r"layers\.(\d+)\."))  # stem, d downsamplings, d upsamplings, padding, convolution
    downsamplings = (last - 1 - STEM) // (2 * STEP)
    features, width = found[f"layers.{last}.weight"].shape[:2]
    return EncoderSizes(features, width, downsamplings, detect_norm(state)), found
