"""Replay golden records of the pieces of DVD-GAN with the zoo's blocks and losses.

``replay(record)`` returns the outputs of a record under the record's own names. The records come from a reference that
was written from the published description; there is no original code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.blocks.conditional_norm import ConditionalNorm
from zoo.blocks.conv_gru import ConvGRU
from zoo.blocks.spectral_norm import spectral_norm
from zoo.models.dvdgan.blocks import DiscriminatorBlock, GeneratorBlock, ProjectionHead
from zoo.models.dvdgan.losses import (
    clip_scores,
    discriminator_hinge,
    generator_hinge,
    gram,
    orthogonal_penalty,
)

Record = Mapping[str, Any]
ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh}


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record of any kind."""
    return REPLAYS[record["kind"]](record)


def flatten(state: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """Tensors of nested mappings, under names with dots; names may have slashes."""
    found = {}
    for name, value in state.items():
        name = prefix + name.replace("/", ".")
        found |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def load(module: nn.Module, state: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Load the record's tensors. names: piece of a name in the record -> the piece here."""
    own = module.state_dict()
    for name, value in flatten(state).items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        assert name in own, name
        own[name] = value
    module.load_state_dict(own)


def gradients(module: nn.Module, total: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of the total to all parameters and inputs, by name."""
    wanted = dict(module.named_parameters()) | dict(inputs)
    return dict(zip(wanted, torch.autograd.grad(total, list(wanted.values()), allow_unused=True), strict=True))


def named_like(found: Mapping[str, Tensor], state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Gradients under the names of the record, with slashes or nested as its state is."""
    nested = any(isinstance(value, Mapping) for value in state.values())
    named: dict[str, Any] = {}
    for name, value in found.items():
        for theirs, ours in names.items():
            name = name.replace(ours, theirs)
        *path, last = name.split(".") if nested else [name.replace(".", "/")]
        target = named
        for part in path:
            target = target.setdefault(part, {})
        target[last] = value
    return named


# ---------------------------------------------------------------- pieces


def replay_spectral_norm(record: Record) -> dict[str, Any]:
    weight, inputs = record["state_dict"]["weight"], record["inputs"]
    kind = {2: nn.Linear, 3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[weight.ndim]
    sizes: tuple[Any, ...] = (weight.shape[1], weight.shape[0], *([tuple(weight.shape[2:])] if weight.ndim > 2 else []))
    layer = spectral_norm(kind(*sizes, bias=False), record["options"]["power_iterations"])
    assert isinstance(layer.parametrizations, nn.ModuleDict)
    parametrization: Any = layer.parametrizations["weight"]
    with torch.no_grad():
        parametrization.original.copy_(weight)
        parametrization[0].u.copy_(inputs["u"])
    with parametrize.cached():
        normalised = layer.weight
        (gradient,) = torch.autograd.grad((normalised * inputs["probe"]).sum(), parametrization.original)
    ratio = weight.flatten()[weight.abs().argmax()] / normalised.flatten()[weight.abs().argmax()]
    u = parametrization[0].u
    v = previous_direction(weight.flatten(1), inputs["u"], record["options"]["power_iterations"])
    found = {"normalized_weight": normalised, "sigma": ratio, "u_after": u, "v_after": v}
    return {"train": found | {"weight_gradient_of_probe_sum": gradient}}


def previous_direction(matrix: Tensor, u: Tensor, iterations: int) -> Tensor:
    """v of the last power iteration, which the parametrization does not keep."""
    v = u
    for _ in range(iterations):
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return v


NORM_NAMES = {"gain": "gain.weight", "bias": "bias.weight", "running": "norm.running"}


def replay_conditional_norm(record: Record) -> dict[str, Any]:
    options, inputs, state = record["options"], record["inputs"], record["state_dict"]
    found = {}
    for mode in ("train", "eval"):
        frames = options["frames"] if options["statistics"] == "per_frame" else None
        norm = ConditionalNorm(len(state["gain"]), state["gain"].shape[1], frames).train(mode == "train")
        norm.norm.eps, norm.norm.momentum = options["eps"], options["momentum"]
        load(norm, state, NORM_NAMES)
        given = {name: inputs[name].clone().requires_grad_() for name in ("x", "condition")}
        output = norm(given["x"], given["condition"])
        found[mode] = {"output": output}
        if mode == "train":
            values = gradients(norm, (output * inputs["probe"]).sum(), given)
            found[mode] |= {
                "running_mean_after": norm.norm.running_mean,
                "running_var_after": norm.norm.running_var,
                "gradients": {name.removesuffix(".weight"): value for name, value in values.items()},
            }
    return found


def replay_conv_gru(record: Record) -> dict[str, Any]:
    options, inputs, state = record["options"], record["inputs"], record["state_dict"]
    weights = flatten(state)
    both, hidden = weights["reset.weight"].shape[1], len(weights["reset.weight"])
    network = ConvGRU(both - hidden, hidden, ACTIVATIONS[options["candidate_activation"]])
    load(network, state, {})
    given = {"x": inputs["x"].clone().requires_grad_()}
    if "first_state" in inputs:
        given["first_state"] = inputs["first_state"].clone().requires_grad_()
    frames = options["frames"] if options["same_input_every_frame"] else None
    states = network(given["x"], given.get("first_state"), frames)
    values = gradients(network, (states * inputs["probe"]).sum(), given)
    return {"train": {"states": states, "gradients": named_like(values, state, {})}}


def replay_hinge(record: Record) -> dict[str, Any]:
    inputs = {name: value.clone().requires_grad_() for name, value in record["inputs"].items()}
    hinge = {"sum_before_hinge": "sum", "per_frame": "per_frame"}[record["options"]["frame_scores"]]
    frames = (inputs["frame_scores_real"], inputs["frame_scores_fake"])
    clips = (inputs["temporal_scores_real"][:, None], inputs["temporal_scores_fake"][:, None])
    spatial, temporal = discriminator_hinge(*frames, hinge), discriminator_hinge(*clips)
    found = torch.autograd.grad(spatial + temporal, list(inputs.values()))
    return {
        "train": {
            "spatial_discriminator_loss": spatial,
            "temporal_discriminator_loss": temporal,
            "generator_loss": generator_hinge(frames[1], hinge) + generator_hinge(clips[1]),
            "discriminator_gradients": dict(zip(inputs, found, strict=True)),
        }
    }


def replay_projection(record: Record) -> dict[str, Any]:
    inputs, state = record["inputs"], record["state_dict"]
    weights = flatten(state)
    head = ProjectionHead(weights["linear.weight"].shape[1], len(weights["embedding.weight"]))
    load(head, state, {})
    given = {"features": inputs["features"].clone().requires_grad_()}
    frames = given["features"].shape[1]
    scores = head(given["features"].flatten(0, 1), inputs["classes"].repeat_interleave(frames)).unflatten(
        0, (-1, frames)
    )
    clips = clip_scores(scores, "sum")
    total = (clips * torch.arange(1, len(clips) + 1)).sum()
    found = named_like(gradients(head, total, given), state, {})
    return {"train": {"frame_scores": scores, "clip_scores": clips, "gradients": found}}


def replay_orthogonality(record: Record) -> dict[str, Any]:
    inputs = record["inputs"]
    deviations = [deviation_from_orthogonal(weight) for weight in inputs["nearly_orthogonal"]]
    weights = [weight.clone().requires_grad_() for weight in inputs["weights"]]
    penalty = orthogonal_penalty(weights)
    return {
        "train": {
            "is_orthogonal": torch.tensor([float(deviation < 1e-3) for deviation in deviations]),
            "first_deviation": deviations[0],
            "off_diagonal_penalty": penalty,
            "off_diagonal_penalty_gradients": list(torch.autograd.grad(penalty, weights)),
        }
    }


def deviation_from_orthogonal(weight: Tensor) -> Tensor:
    """Frobenius norm of the Gram matrix of the shorter side of (out, -1), minus the identity."""
    matrix = weight.flatten(1)
    products = gram(matrix if len(matrix) <= matrix.shape[1] else matrix.T)
    return (products - torch.eye(len(products))).norm()


BLOCK_NAMES = {".gain": ".gain.weight", "norm1.bias": "norm1.bias.weight", "norm2.bias": "norm2.bias.weight"}
RUNNING = {"norm1.running": "norm1.norm.running", "norm2.running": "norm2.norm.running"}


def replay_residual_block(record: Record) -> dict[str, Any]:
    options, inputs, state = record["options"], record["inputs"], record["state_dict"]
    channels = options["in_channels"], options["out_channels"]
    if options["block"] == "generator":
        block: nn.Module = GeneratorBlock(
            *channels, inputs["condition"].shape[1], options["resample"], options["frames"]
        )
        for norm in (block.norm1.norm, block.norm2.norm):
            norm.eps = options["batch_norm_eps"]
    else:
        dimensions = 3 if options["block"] == "discriminator_3d" else 2
        block = DiscriminatorBlock(*channels, options["resample"], dimensions, options["first"])
    load(block.train(), state, BLOCK_NAMES | RUNNING)
    x = inputs["x"].clone().requires_grad_()
    output = block(x, inputs["condition"]) if "condition" in inputs else block(x)
    found = gradients(block, (output * inputs["probe"]).sum(), {"x": x})
    return {"train": {"output": output, "gradients": named_like(found, state, BLOCK_NAMES)}}


def replay_moving_average(record: Record) -> dict[str, Any]:
    options, weights = record["options"], record["inputs"]["weights_at_step"]
    average, found = weights[0].clone(), []
    for step, weight in enumerate(weights[1:], 1):
        decay = options["decay"] if step >= options["start"] else 0.0
        average.lerp_(weight, 1 - decay)
        found.append(average.clone())
    return {"train": {"average_after_steps_1_to_5": torch.stack(found)}}


REPLAYS = {
    "spectral_norm": replay_spectral_norm,
    "conditional_batch_norm": replay_conditional_norm,
    "conv_gru": replay_conv_gru,
    "hinge": replay_hinge,
    "projection": replay_projection,
    "orthogonality": replay_orthogonality,
    "residual_block": replay_residual_block,
    "moving_average": replay_moving_average,
}
