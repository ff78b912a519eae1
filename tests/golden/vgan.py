"""Replay golden records of VGAN with the zoo's networks and losses.

``replay(record)`` returns the outputs of a record under the record's own names.

Shapes: N clips, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.models.vgan.config import VGANConfig
from zoo.models.vgan.model import VGAN
from zoo.types import ClipSpec

Record = Mapping[str, Any]


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record: one training step, and the same passes in evaluation."""
    inputs, state = record["inputs"], record["state_dict"]
    found = {}
    for mode in ("train", "eval"):
        model = build_model(record).train(mode == "train")
        real = enlarge(inputs["real_coarse"])
        source = real[:, 0] if record["options"]["conditional"] else inputs["z"]
        found[mode] = outputs(model, real, source)
        if mode == "train":
            found[mode] |= training_step(record, real, source)
    assert set(state) == {"generator", "discriminator"}
    return found


def build_model(record: Record) -> VGAN:
    """The record's model with its weights."""
    options = record["options"]
    config = VGANConfig(
        preset="paper",
        first_frame=options["conditional"],
        noise=options["z_dim"] or 1,
        width=options["width"],
        discriminator_width=options["width"],
        mask_weight=options["mask_penalty"],
        first_frame_weight=options["first_frame_weight"],
    )
    size = options["size"]
    model = VGAN(config, ClipSpec(("video",), frames=options["frames"], height=size, width=size, fps=25.0))
    set_constants(model, options)
    for network in ("generator", "discriminator"):
        part: nn.Module = getattr(model, network)
        own, released = part.state_dict(), record["state_dict"][network]
        names = {released_name(name): name for name in own if not name.endswith("num_batches_tracked")}
        assert set(names) == set(released), set(names) ^ set(released)
        part.load_state_dict(own | {names[name]: value for name, value in released.items()})
    return model


def set_constants(model: VGAN, options: Mapping[str, Any]) -> None:
    """Give norms and activations the constants of the record, which the model has as published."""
    model.discriminator.layers.slope = options["leaky_slope"]
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            kind = "encoder" if ".encoder." in name else name.partition(".")[0]
            layer.eps, layer.momentum = options[f"{kind}_norm_eps"], options["batch_norm_momentum"]


def released_name(name: str) -> str:
    """``foreground.norms.1.bias`` -> ``foreground/norm1/bias``; ``layers.convolutions.0.bias`` -> ``conv0/bias``."""
    name = name.removeprefix("layers.")
    for ours, theirs in (("convolutions.", "conv"), ("norms.", "norm")):
        name = name.replace(ours, theirs)
    return name.replace(".", "/")


def enlarge(coarse: Tensor) -> Tensor:
    """The real clips: every value four times along time, height and width; (N, 3, T, H, W) -> (N, 4T, 3, 4H, 4W)."""
    for axis in (2, 3, 4):
        coarse = coarse.repeat_interleave(4, axis)
    return coarse.transpose(1, 2)


def outputs(model: VGAN, real: Tensor, source: Tensor) -> dict[str, Any]:
    """Scores and pictures of one pass; the real clips are scored first."""
    with torch.no_grad():
        real_logits = model.discriminator(real)
        clip = model.generator(source)
        logits = model.discriminator(clip.video)
    found = {"logits_real": real_logits, "logits_fake": logits, "video_mean_square": clip.video.square().mean()}
    for name in ("foreground", "mask", "video"):
        found[f"{name}_subset"] = getattr(clip, name).transpose(1, 2)[:, :, ::8, ::4, ::4]
    found["background_subset"] = clip.background[:, 0, :, ::4, ::4]
    if model.training:
        found["running_statistics_after"] = {
            network: {
                released_name(name): value.clone()
                for name, value in getattr(model, network).state_dict().items()
                if "running" in name
            }
            for network in ("generator", "discriminator")
        }
    return found


def training_step(record: Record, real: Tensor, source: Tensor) -> dict[str, Any]:
    """Losses, gradients and the discriminator's weights after a step, from the record's weights."""
    model, options = build_model(record).train(), record["options"]
    generator, discriminator = model.losses_of(real, source, penalised=False)
    gradients = {
        "generator": gradients_of(model.generator, sum(generator.values())),
        "discriminator": gradients_of(model.discriminator, sum(discriminator.values())),
    }
    losses = {
        "discriminator_real": discriminator["discriminator_real"],
        "discriminator_fake": discriminator["discriminator_generated"],
        "discriminator_reported": sum(discriminator.values()) / 2,
        "generator_adversarial": generator["generator"],
    }
    losses |= {theirs: generator[ours] for ours, theirs in PENALTIES.items() if ours in generator}
    moments = record["optimizer_state"]
    stepped = {
        name: adam_step(
            dict(model.discriminator.named_parameters())[own],
            gradients["discriminator"][name],
            moments["first_moment"]["discriminator"][name],
            moments["second_moment"]["discriminator"][name],
            options | {"steps_done": moments.get("steps_done", options["steps_done"])},
        )
        for own, name in ((own, released_name(own)) for own, _ in model.discriminator.named_parameters())
        if name in moments["first_moment"]["discriminator"]
    }
    return {"losses": losses, "gradients": gradients, "weights_after_step": {"discriminator": stepped}}


PENALTIES = {"mask": "mask_penalty", "first_frame": "first_frame"}


def gradients_of(network: nn.Module, loss: Any) -> dict[str, Tensor]:
    """Gradients by released name."""
    parameters = dict(network.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
    return {released_name(name): value for name, value in zip(parameters, found, strict=True)}


def adam_step(weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, options: Mapping[str, Any]) -> Tensor:
    """One step of Adam as in Torch7: eps is added before the bias correction."""
    beta1, beta2, step = options["beta1"], options["beta2"], options["steps_done"] + 1
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient.square()
    rate = options["learning_rate"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
    return weight.detach() - rate * first / (second.sqrt() + options["optimizer_eps"])
