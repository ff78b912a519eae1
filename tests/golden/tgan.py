"""Replay golden records of TGAN with the zoo's networks, losses, clipping and optimizers.

``replay(record)`` returns the outputs of a record under the record's own names. Two things are the release's alone: the
labels of its logistic loss are the other way round, so that its scores are high for generated clips, and its least
squares step the discriminator on the generator's gradient, too.

Shapes: N clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.models.tgan.clipping import (
    LARGEST,
    SMALLEST_SCALE,
    clip_network,
    clip_scales,
    clip_singular_values,
    clip_weights,
)
from zoo.models.tgan.convert import load_released, released_names
from zoo.models.tgan.losses import discriminator_losses, generator_loss
from zoo.models.tgan.networks import ClipPlan, Discriminator, ImageGenerator, TemporalGenerator

Record = Mapping[str, Any]
Networks = dict[str, nn.Module]
DOUBLINGS = 4


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record."""
    if record["kind"] == "networks":
        return {mode: networks_outputs(record, mode) for mode in ("train", "eval")}
    kinds = {"step": step_outputs, "singular_value_clipping": clipping_outputs, "optimizer": optimizer_outputs}
    return {"train": kinds[record["kind"]](record)}


# ---------------------------------------------------------------- networks


def build_networks(record: Record) -> Networks:
    """The record's networks with its weights."""
    options, state = record["options"], record["state_dict"]
    side = options["bottom_width"] << DOUBLINGS
    plan = ClipPlan(options["frames"], side, side, options["channels"], DOUBLINGS)
    assert options["top_width"] == options["bottom_width"]
    slow, fast = options["z_slow_dim"], options["z_fast_dim"]
    networks: Networks = {
        "temporal_generator": TemporalGenerator(slow, fast, options["temporal_widths"], plan.frames),
        "image_generator": ImageGenerator(slow, fast, options["image_width"] >> DOUBLINGS, plan),
        "discriminator": Discriminator(plan, options["discriminator_width"], normalise=True),
    }
    for name, network in networks.items():
        load_released(name, network, state[name])
        network.train()
        for layer in network.modules():
            if isinstance(layer, _BatchNorm):
                layer.eps, layer.momentum = options["batch_norm_eps"], 1 - options["batch_norm_decay"]
    return networks


def real_clips(record: Record) -> Tensor:
    """(N, T, C, H, W) in [-1, 1)."""
    return (record["inputs"]["real_uint8"].float() - 128) / 128


def networks_outputs(record: Record, mode: str) -> dict[str, Any]:
    """Codes, clips and scores of one pass; generated clips are scored first."""
    networks = build_networks(record)
    for network in networks.values():
        network.train(mode == "train")
    with torch.no_grad():
        found, video = generate(networks, record["inputs"]["z_slow"])
        scores = [networks["discriminator"](clips) for clips in (video, real_clips(record))]
    found |= {
        "video_first_clip": video[0].transpose(0, 1),
        "video_mean_square_per_clip": video.square().flatten(1).mean(1),
        "score_fake": as_released(scores[0]),
        "score_real": as_released(scores[1]),
    }
    if mode == "train":
        found["running_statistics_after"] = running_statistics(networks)
    return found


def generate(networks: Networks, slow: Tensor) -> tuple[dict[str, Any], Tensor]:
    """Fast codes as recorded, and clips (N, T, C, H, W)."""
    fast = networks["temporal_generator"](slow)
    return {"z_fast": fast.transpose(1, 2)}, networks["image_generator"](slow, fast)


def as_released(scores: Tensor) -> Tensor:
    """(N,) -> (N, 1, 1, 1)."""
    return scores.view(-1, 1, 1, 1)


def running_statistics(networks: Networks) -> dict[str, dict[str, Tensor]]:
    """Running means and variances of all networks, by released name."""
    return {
        name: {
            released: network.state_dict()[ours].clone()
            for released, ours in released_names(name, network).items()
            if "running" in ours
        }
        for name, network in networks.items()
    }


# ---------------------------------------------------------------- steps


class GivenNoise(nn.Module):
    """Adds given noise instead of random noise, one tensor a pass."""

    def __init__(self, sigma: float, *noises: Tensor) -> None:
        super().__init__()
        self.sigma, self.noises = sigma, list(noises)

    def forward(self, x: Tensor) -> Tensor:
        """The input plus the next noise."""
        return x + self.sigma * self.noises.pop(0)


def step_outputs(record: Record) -> dict[str, Any]:
    """Scores, losses, gradients and weights of a training step."""
    options, inputs, networks = record["options"], record["inputs"], build_networks(record)
    discriminator = networks["discriminator"]
    if options.get("noise_sigma"):
        noises = zip(inputs["noise_fake"], inputs["noise_real"], strict=True)
        discriminator.noises = nn.ModuleList(GivenNoise(options["noise_sigma"], *each) for each in noises)
    _, video = generate(networks, inputs["z_slow"])
    real = real_clips(record)
    if options.get("shuffle_frames"):
        video, real = video[:, inputs["frame_order_fake"]], real[:, inputs["frame_order_real"]]
    generated_scores, real_scores = discriminator(video), discriminator(real)
    found: dict[str, Any] = {
        "score_fake": as_released(generated_scores),
        "score_real": as_released(real_scores),
        "running_statistics_after": running_statistics(networks),
    }
    objective = options["objective"]
    sign = -1 if objective == "logistic" else 1  # the release labels generated clips 1, and real ones 0
    of_generator = generator_loss(sign * generated_scores, objective)
    of_real, of_generated = discriminator_losses(sign * real_scores, sign * generated_scores, objective)
    found["losses"] = {
        "loss_gen": of_generator, "loss_dis": of_real + of_generated, "loss_dis_real": of_real,
        "loss_dis_fake": of_generated,
    }  # fmt: skip
    gradients = {name: gradients_of(name, networks[name], of_generator) for name in networks}
    leaked = gradients.pop("discriminator")
    gradients["discriminator"] = gradients_of("discriminator", discriminator, of_real + of_generated)
    if objective == "least_squares":
        own = gradients["discriminator"]
        gradients["discriminator_as_released"] = {key: own[key] + leaked[key] for key in own}
    found["gradients"] = gradients
    return found | stepped_weights(record, networks, gradients)


def gradients_of(name: str, network: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """Gradients of a network by released name."""
    parameters = dict(network.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
    return in_released_form(name, network, dict(zip(parameters, found, strict=True)))


def in_released_form(name: str, network: nn.Module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their name here -> by released name, in the release's shapes."""
    found = {released: values[ours] for released, ours in released_names(name, network).items() if ours in values}
    # The last convolution of the discriminator sees a single frame, and is one of images in the release.
    return {key: value[:, :, 0] if key == "c4/W" and value.ndim == 5 else value for key, value in found.items()}


def stepped_weights(
    record: Record, networks: Networks, gradients: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Any]:
    """Weights after the step, and those of the discriminator after its clipping."""
    options, memory = record["options"], record["optimizer_state"]["mean_square"]
    after: dict[str, dict[str, Tensor]] = {}
    for key, gradient in gradients.items():
        name = key.removesuffix("_as_released")
        if key == "discriminator" and "discriminator_as_released" in gradients:
            continue  # the release steps on the other gradient
        squares = memory.get(key, memory.get(name, {}))
        after[key] = {}
        for released, weight in in_released_form(name, networks[name], dict(networks[name].named_parameters())).items():
            if released in squares:
                (stepped,), _ = rmsprop_steps(weight, [gradient[released]], squares[released], options)
                after[key][released] = stepped
                weight.data.copy_(stepped)
    found: dict[str, Any] = {"weights_after_step": after}
    discriminator = networks["discriminator"]
    if options["clip"] == "none":
        return found
    if options["clip"] == "weights":
        clip_weights(discriminator, options["clip_value"])
    else:
        clip_network(discriminator)
    parameters = {key: value.detach() for key, value in discriminator.named_parameters()}
    found["discriminator_after_clipping"] = in_released_form("discriminator", discriminator, parameters)
    return found


def rmsprop_steps(
    weight: Tensor, gradients: Iterable[Tensor], mean_square: Tensor, options: Mapping[str, Any]
) -> tuple[list[Tensor], Tensor]:
    """Weights after each step of the model's RMSprop, and its mean square afterwards."""
    parameter = nn.Parameter(weight.detach().clone())
    decay, eps = (options.get(f"optimizer_{name}", options.get(name)) for name in ("decay", "eps"))
    optimizer = torch.optim.RMSprop([parameter], options["learning_rate"], decay, eps)
    optimizer.state[parameter] = {"step": torch.tensor(0.0), "square_avg": mean_square.clone()}
    steps = []
    for gradient in gradients:
        parameter.grad = gradient.contiguous()
        optimizer.step()
        steps.append(parameter.detach().clone())
    return steps, optimizer.state[parameter]["square_avg"]


# ---------------------------------------------------------------- clipping and optimizers


def clipping_outputs(record: Record) -> dict[str, Any]:
    """Parameters of a toy network after clipping: matrices of 4 or more dimensions, and scales of norms."""
    options = record["options"]
    state = {key: value.clone() for key, value in record["state_dict"]["discriminator"].items()}
    for key, value in state.items():
        if value.ndim >= 4:
            clip_singular_values(value, options.get("largest_singular_value", LARGEST))
        elif key.endswith("/gamma"):
            norm = nn.BatchNorm1d(len(value))
            norm.weight.data.copy_(value)
            norm.running_var = state[key.replace("gamma", "avg_var")]
            clip_scales(norm, options.get("gamma_low", SMALLEST_SCALE), options.get("gamma_high", LARGEST))
            state[key] = norm.weight.detach()
    return {"discriminator_after_clipping": state}


def optimizer_outputs(record: Record) -> dict[str, Any]:
    """Weights after each step from an empty memory."""
    options, inputs = record["options"], record["inputs"]
    if options["optimizer"] == "adam":
        return {"weights_after_each_step": torch.stack(adam_steps(inputs["weights"], inputs["gradients"], options))}
    zeros = torch.zeros_like(inputs["weights"])
    steps, mean_square = rmsprop_steps(inputs["weights"], inputs["gradients"], zeros, options)
    return {"weights_after_each_step": torch.stack(steps), "mean_square_after": mean_square}


def adam_steps(weight: Tensor, gradients: Iterable[Tensor], options: Mapping[str, Any]) -> list[Tensor]:
    """Weights after each step of Adam as in Chainer: eps is added before the bias correction."""
    beta1, beta2 = options["beta1"], options["beta2"]
    first, second, steps = torch.zeros_like(weight), torch.zeros_like(weight), []
    for step, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient.square()
        rate = options["learning_rate"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        weight = weight - rate * first / (second.sqrt() + options["eps"])
        steps.append(weight)
    return steps
