"""Replay golden records of the original MoCoGAN with the zoo's networks and losses.

``replay(record)`` returns the outputs of a record under the record's own names. Everything is computed in float64:
batch statistics over few clips amplify rounding. What the release does and the zoo does not stands here: noise in
evaluation, categories that nothing trains, squeezed axes, clips out of strips.

Shapes: N clips or images, T frames, C channels, H x W pixels, Z entries of a code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from zoo.blocks.instance_noise import InstanceNoise
from zoo.data.sets.strips.strip import cut_frames
from zoo.models.mocogan.codes import CodeNoise, clip_codes
from zoo.models.mocogan.config import MoCoGANConfig
from zoo.models.mocogan.convert import released_name
from zoo.models.mocogan.model import MoCoGAN
from zoo.models.mocogan.networks import Discriminator, DiscriminatorOutput, DiscriminatorPlan
from zoo.types import ClipSpec

Record = Mapping[str, Any]
MODES = ("train", "eval")
SIZE = 64
LABEL = "label"
"""Name of the attribute of records with labels."""
CLASSIFYING = "CategoricalVideoDiscriminator"
NETWORKS = ("image_discriminator", "video_discriminator")
PASSES = ("real", "fake", "generator_step")


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record of any kind."""
    return REPLAYS[record["kind"]](to_double(record))


def to_double(value: Any) -> Any:
    """Nested values with all floating-point tensors in float64."""
    if isinstance(value, Mapping):
        return {name: to_double(each) for name, each in value.items()}
    if isinstance(value, list):
        return [to_double(each) for each in value]
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def to_unit(pixels: Tensor) -> Tensor:
    """Bytes -> [-1, 1]."""
    return (pixels.double() / 255 - 0.5) / 0.5


# ---------------------------------------------------------------- building


def build_model(record: Record) -> MoCoGAN:
    """Build the record's model. Networks that a record lacks keep their random weights."""
    options, states = record["options"], record["state_dict"]
    categories, labelled = options["dim_z_category"], bool(options.get("use_categories"))
    names = tuple(map(str, range(categories)))
    spec = ClipSpec(
        ("video", "attributes"),
        frames=options["video_length"],
        height=SIZE,
        width=SIZE,
        fps=8.0,
        channels=options["channels"],
        attributes={LABEL: names} if labelled else {},
    )
    config = MoCoGANConfig(
        preset="paper",
        content=options["dim_z_content"],
        motion=options["dim_z_motion"],
        category=LABEL if labelled else None,
        categories=0 if labelled else categories,
        infogan=bool(options.get("use_infogan")),
        width=options["width"],
        discriminator_width=options["width"],
        lr=options.get("lr", 2e-4),
        beta1=options.get("beta1", 0.5),
        beta2=options.get("beta2", 0.999),
        weight_decay=options.get("weight_decay", 1e-5),
    )
    model = MoCoGAN(config, spec)
    for name in NETWORKS:
        if name in states:
            kind = options[name]
            classes = categories if kind == CLASSIFYING else 0
            setattr(model, name, build_discriminator(kind, options, states[name], classes, options["video_length"]))
    model = model.double()
    state = model.state_dict()
    generator = {key: record_key for key in state if (record_key := released_name(key)) in states["generator"]}
    model.load_state_dict(state | {key: states["generator"][name] for key, name in generator.items()})
    return model


def build_discriminator(
    kind: str, options: Mapping[str, Any], state: Mapping[str, Tensor], categories: int, frames: int
) -> Discriminator:
    """Build a discriminator of the release, with its weights. kind: class of the release. frames: of its clips."""
    plan = DiscriminatorPlan(
        channels=options["channels"],
        height=SIZE,
        width_px=SIZE,
        frames=frames if "Video" in kind else None,
        width=options["width"],
        patch=kind.startswith("Patch"),
        categories=categories,
    )
    network = Discriminator(plan).double()
    network.load_state_dict({key: state[name] for key, name in discriminator_names(network).items()})
    return network


def discriminator_names(network: Discriminator) -> dict[str, str]:
    """Name of every tensor of a discriminator here -> in the release."""
    stages = len(network.stages)
    names = {}
    for key in network.state_dict():
        place, *_, kind = key.split(".")
        if place == "head":
            noises = network.sees_clips or stages == 4  # no noise, or one more layer, before the last convolution
            names[key] = f"main.{4 * stages - 1 if noises else 4 * stages}.{kind}"
        else:
            stage, layer = map(int, key.split(".")[1:3])
            names[key] = f"main.{max(4 * stage, 1) + layer - 1}.{kind}"
    return names


def names_of(model: MoCoGAN) -> dict[str, dict[str, str]]:
    """Network of the release -> name of each of its tensors in the model -> in the release."""
    found = {
        name: {f"{name}.{key}": other for key, other in discriminator_names(getattr(model, name)).items()}
        for name in NETWORKS
    }
    parts = tuple(f"{part}." for part in model.ema_parts())
    generator = {key: released_name(key) for key in model.state_dict() if key.startswith(parts)}
    return {"generator": generator, **found}


def noise_of(values: Mapping[str, Tensor]) -> CodeNoise:
    """Noise of codes in a record."""
    return CodeNoise(values["content"], values.get("category"), values["motion_start"], values["motion_steps"])


@contextmanager
def recorded_noise(network: nn.Module, passes: list[list[Tensor]], sigma: float) -> Iterator[None]:
    """Let the noise layers add given noise, in every mode. passes: noise of every layer, for each pass in order."""
    layers = [layer for layer in network.modules() if isinstance(layer, InstanceNoise)]
    left = {layer: [] for layer in layers}
    for each in passes:
        for layer, noise in zip(layers, each, strict=False):  # the last layers of some networks have none
            left[layer].append(sigma * noise.double() / 32)

    def add(layer: nn.Module, inputs: Any, _: Tensor) -> Tensor:
        return inputs[0] + left[layer].pop(0) if left[layer] else inputs[0]

    hooks = [layer.register_forward_hook(add) for layer in layers]
    yield
    for hook in hooks:
        hook.remove()


# ---------------------------------------------------------------- networks


@torch.no_grad()
def replay_videos(record: Record) -> dict[str, Any]:
    """Clips of any length from given noise."""
    outputs, noise = {}, noise_of(record["noise"])
    for mode in MODES:
        model = build_model(record).train(mode == "train")
        codes = clip_codes(noise, model.categories, model.motion_network)
        motion = codes[..., -model.config.motion :]
        outputs[mode] = {"video": model.generate_videos(noise), "codes": codes, "motion_codes": motion}
    return outputs


@torch.no_grad()
def replay_images(record: Record) -> dict[str, Any]:
    """The release makes codes of many more clips than it decodes images."""
    outputs = {}
    for mode in MODES:
        model = build_model(record).train(mode == "train")
        codes = chosen_codes(model, record["noise"])
        outputs[mode] = {"images": model.image_generator(codes), "codes": codes}
    return outputs


def chosen_codes(model: MoCoGAN, values: Mapping[str, Tensor]) -> Tensor:
    """Codes of the images of a record, (N, Z)."""
    codes = clip_codes(noise_of(values), model.categories, model.motion_network)
    return codes.flatten(0, 1)[values["rows"]]


def replay_discriminator(record: Record) -> dict[str, Any]:
    """Scores, logits and gradients of one network."""
    options, outputs = record["options"], {}
    kind, categories = options["type"], options.get("categories", 0)
    frames = record["pixels"].shape[1] if "Video" in kind else 0
    for mode in MODES:
        state = record["state_dict"]["discriminator"]
        network = build_discriminator(kind, options, state, categories, frames).train(mode == "train")
        x = to_unit(record["pixels"]).requires_grad_()
        noise = [record["noise_32nds"]] if options["use_noise"] else []
        with recorded_noise(network, noise, options["noise_sigma"]):
            output = network(x)
        loss = F.binary_cross_entropy_with_logits(output.scores, torch.ones_like(output.scores))
        found = {"scores": squeezed_scores(output, kind)}
        if output.logits is not None:
            loss = loss + F.cross_entropy(output.logits, torch.arange(len(x)) % categories)
            found["categories"] = output.logits
        loss.backward()
        names, parameters = discriminator_names(network), dict(network.named_parameters())
        found["gradient_norms"] = {names[key]: value.grad.norm() for key, value in parameters.items()}
        outputs[mode] = found | {"loss": loss, "gradient_norm_input": x.grad.norm()}
    return outputs


def squeezed_scores(output: DiscriminatorOutput, kind: str) -> Tensor:
    """Scores without axes of size 1, but for the one that the release slices."""
    scores = output.scores.detach().squeeze()
    return scores.reshape(len(output.scores), 1) if kind == CLASSIFYING else scores


# ---------------------------------------------------------------- training


def replay_iteration(record: Record) -> dict[str, Any]:
    """Whole steps of the release: losses, gradients, and weights afterwards."""
    options = record["options"]
    model = build_model(record).train()
    optimizers = dict(zip(model.optimizer_names, model.configure_optimizers(), strict=True))
    said: dict[str, dict[str, Any]] = {name: {} for name in NETWORKS}
    for name in NETWORKS:
        getattr(model, name).register_forward_hook(keep_output(said[name], options[name]))
    losses: dict[str, list[float]] = {f"loss_{name}": [] for name in model.optimizer_names}
    gradients: dict[str, dict[str, Tensor]] = {}
    released = names_of(model)
    for number, noise in enumerate(record["noise"]):
        for name, terms in steps_of(record, model, noise, number):
            optimizers[name].zero_grad()
            loss = torch.stack(list(terms.values())).sum()
            own = [parameter for group in optimizers[name].param_groups for parameter in group["params"]]
            loss.backward(inputs=own)
            losses[f"loss_{name}"].append(loss.item())
            if number == 0:
                parameters = dict(model.named_parameters())
                names = {key: other for key, other in released[name].items() if key in parameters}
                gradients[name] = {other: parameters[key].grad.clone() for key, other in names.items()}
            optimizers[name].step()
    parameters = dict(model.named_parameters())
    weights = {
        network: {other: parameters[key] for key, other in names.items() if key in parameters}
        for network, names in released.items()
    }
    norms = {network: {key: value.norm() for key, value in each.items()} for network, each in gradients.items()}
    found = {"first_iteration": said, "gradient_norms": norms, "gradients": gradients, "weights_after": weights}
    return {"train": losses | found}


def keep_output(said: dict[str, Any], kind: str) -> Any:
    """A forward hook that keeps what a discriminator says in the passes of the first iteration."""

    def keep(_: nn.Module, __: Any, output: DiscriminatorOutput) -> None:
        if len(said) < len(PASSES):
            logits = {} if output.logits is None else {"categories": output.logits.detach()}
            said[PASSES[len(said)]] = {"scores": squeezed_scores(output, kind), **logits}

    return keep


def steps_of(record: Record, model: MoCoGAN, noise: Mapping[str, Any], number: int) -> Iterator[tuple[str, Any]]:
    """Network -> the losses of its step, one network after another; each sees the new weights of those before."""
    options = record["options"]
    real, video = (to_unit(record[name]) for name in ("image_pixels", "video_pixels"))
    clip: Any = {"video": video}
    if model.config.category is not None:
        clip["attributes"] = {LABEL: record["categories"][:, None].expand(-1, video.shape[1])}
    added = record["noise_32nds"][number] if options["use_noise"] else {}

    def noisy(network: str, *passes: str) -> Any:
        given = [added[network][each] for each in passes] if network in added else []
        return recorded_noise(getattr(model, network), given, options["noise_sigma"])

    with torch.no_grad():
        images = model.image_generator(chosen_codes(model, noise["images_for_image_discriminator"]))
    with noisy("image_discriminator", "real", "fake"):
        losses = model.image_discriminator_losses(real, images)
    yield "image_discriminator", losses

    codes = noise_of(noise["videos_for_video_discriminator"])
    with torch.no_grad():
        videos = model.generate_videos(codes)
    with noisy("video_discriminator", "real", "fake"):
        losses = model.video_discriminator_losses(clip, videos, codes.category)
    if model.config.category is None:
        losses.pop("d_category", None)  # without labels, nothing trains the logits of the release
    yield "video_discriminator", losses

    codes = noise_of(noise["videos_for_generator"])
    images = model.image_generator(chosen_codes(model, noise["images_for_generator"]))
    videos = model.generate_videos(codes)
    with noisy("image_discriminator", "generator_step"), noisy("video_discriminator", "generator_step"):
        losses = model.generator_losses(images, videos, codes.category)
    yield "generator", losses


# ---------------------------------------------------------------- data


def replay_data(record: Record) -> dict[str, Any]:
    """Clips out of strips: square frames beside each other, or one above the other."""
    options = record["options"]
    clips = [
        strip_clip(strip.numpy(), draw, options)
        for strip, draw in zip(record["strips"], record["start_draws"], strict=True)
    ]
    return {"train": {"clips": clips, "categories": list(record["labels"])}}


def strip_clip(strip: np.ndarray, draw: list[int] | None, options: Mapping[str, Any]) -> Tensor:
    """A clip (T, C, H, W) in [-1, 1]. draw: [low, high, value] of the first frame; None: a strip that is too short for
    the stride, which gives its first frames."""
    pieces = cut_frames(strip)
    start, stride = (draw[2], options["every_nth"]) if draw is not None else (0, 1)
    numbers = [start + stride * j for j in range(options["video_length"])]
    size = options["image_size"]
    frames = []
    for n in numbers:
        image = Image.fromarray(pieces[n])
        if image.width != size:
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        frames.append(torch.from_numpy(np.array(image)).movedim(-1, 0)[: options["channels"]])
    return to_unit(torch.stack(frames))


REPLAYS = {
    "mocogan_videos": replay_videos,
    "mocogan_images": replay_images,
    "mocogan_discriminator": replay_discriminator,
    "mocogan_iteration": replay_iteration,
    "mocogan_data": replay_data,
}
