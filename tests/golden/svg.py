"""Replay golden records of the original SVG with the zoo's networks and losses.

``replay(record)`` returns the outputs of a record under the record's own names. Weights are loaded by the converter.
Everything is computed in float64: batch statistics over three clips amplify rounding, and the records hold that of the
original only.

Shapes: B clips, T frames, C channels, H x W pixels, D dimensions of z.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.data.sets.moving_mnist.render import Rendering
from zoo.data.sets.moving_mnist.trajectories import Room, Trajectory, svg_trajectory
from zoo.evaluation.metric import Setup
from zoo.evaluation.metrics.pixels import PSNR
from zoo.evaluation.metrics.ssim import SSIM
from zoo.models.svg.config import SVGConfig
from zoo.models.svg.convert import convolution_names, describe, recurrent_name, released_values, translate
from zoo.models.svg.model import SVG, from_unit_range
from zoo.models.svg.rollout import EncodedFrame, Rollout
from zoo.types import Clip, ClipSpec

Record = Mapping[str, Any]
MODES = ("train", "eval")


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record of any kind."""
    return REPLAYS[record["kind"]](to_double(record))


def to_double(value: Any) -> Any:
    """Nested values with all floating-point tensors in float64."""
    if isinstance(value, Mapping):
        return {name: to_double(each) for name, each in value.items()}
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


# ---------------------------------------------------------------- building


def build_model(record: Record, **settings: Any) -> SVG:
    """Build the record's model; networks that a record lacks keep their random weights."""
    options, states = record["options"], dict(record["state_dict"])
    frames = options.get("n_past", 1) + options.get("n_future", 1)
    channels = options["channels"]
    size = options["image_size"]
    spec = ClipSpec(("video",), frames=frames, height=size, width=size, fps=10.0, channels=channels)
    if "posterior" not in states:  # only a backbone
        states |= {name: fill(options["g_dim"], name) for name in ("frame_predictor", "posterior", "prior")}
    plan, sizes = describe(states)
    assert (plan.height, plan.width, plan.image_channels) == (size, size, channels)
    skips = "previous" if options.get("last_frame_skip") else "second_to_last"
    training = {name: options[name] for name in ("beta", "lr", "beta1") if name in options}
    config = SVGConfig(**sizes, context=options.get("n_past", 1), skips=skips, **training, **settings)
    model = SVG(config, spec).double()
    model.load_state_dict(translate(states, plan, model))
    return model


def fill(code: int, name: str) -> dict[str, Tensor]:
    """State of a recurrent network of one unit, for records without any."""
    features = code + 1 if name == "frame_predictor" else code
    state = {"embed.weight": torch.zeros(1, features), "embed.bias": torch.zeros(1)}
    for key, shape in (("weight_ih", (4, 1)), ("weight_hh", (4, 1)), ("bias_ih", (4,)), ("bias_hh", (4,))):
        state[f"lstm.0.{key}"] = torch.zeros(shape)
    heads = ("output.0",) if name == "frame_predictor" else ("mu_net", "logvar_net")
    for head in heads:
        rows = code if name == "frame_predictor" else 1
        state |= {f"{head}.weight": torch.zeros(rows, 1), f"{head}.bias": torch.zeros(rows)}
    return state


def released_names(record: Record, values: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Parameters, or their gradients, under the names of the release; biases before a norm do not exist here."""
    plan, _ = describe(record["state_dict"])
    found: dict[str, dict[str, Tensor]] = {name: {} for name in record["state_dict"]}
    for layer in convolution_names(plan):
        found[layer.network][f"{layer.released}.weight"] = released_values(layer, values)
        if layer.norm is None:
            found[layer.network][f"{layer.released}.bias"] = values[f"{layer.here[0]}.bias"]
        else:
            for kind in ("weight", "bias"):
                found[layer.network][f"{layer.released_norm}.{kind}"] = values[f"{layer.norm}.{kind}"]
    for network in ("frame_predictor", "posterior", "prior"):
        for key in record["state_dict"].get(network, ()):
            found[network][key] = values[recurrent_name(network, key)]
    return found


# ---------------------------------------------------------------- kinds


def replay_backbone(record: Record) -> dict[str, Any]:
    """One frame encoded, and another code decoded with its skips."""
    outputs = {}
    for mode in MODES:
        model = build_model(record).train(mode == "train")
        with torch.no_grad():
            code, skips = model.encoder(record["x"][:, None])
            image = model.decoder(record["vector"][:, None], model.skip_projection(skips))
        outputs[mode] = {"code": code[:, 0], "skips": [skip[:, 0] for skip in skips], "image": image[:, 0]}
    return outputs


def replay_train_step(record: Record) -> dict[str, Any]:
    """Losses, gradients, and weights after the steps of the optimizer."""
    options, model = record["options"], build_model(record).train()
    clip: Clip = {"video": from_unit_range(record["x"])}  # type: ignore[typeddict-item]
    if options["optimizer"] == "adam":
        optimizer: Any = torch.optim.Adam(model.parameters(), options["lr"], (options["beta1"], 0.999))
    else:
        optimizer = torch.optim.RMSprop(model.parameters(), options["lr"])
    first = first_step(record, model)
    outputs: dict[str, Any] = {"mse": [], "kld": [], "loss": []}
    for number, noise in enumerate(record["noise"]):
        optimizer.zero_grad()
        terms = model.loss_terms(clip, noise)
        loss = terms["reconstruction"].sum() + options["beta"] * terms["kl"].sum()
        loss.backward()
        for name, value in zip(outputs, (terms["reconstruction"], terms["kl"], loss), strict=True):
            outputs[name].append(value.detach())
        if number == 0:
            gradients = released_names(record, {name: p.grad for name, p in model.named_parameters()})  # type: ignore[misc]
            norms = {network: {key: x.norm() for key, x in each.items()} for network, each in gradients.items()}
        optimizer.step()
    outputs = {name: torch.stack(values) for name, values in outputs.items()}
    frames = record["x"].shape[1]
    outputs |= {f"reported_{name}": outputs[name].sum(-1) / frames for name in ("mse", "kld")}
    weights = released_names(record, dict(model.named_parameters()))
    return {"train": {**first, **outputs, "gradients": gradients, "gradient_norms": norms, "weights_after": weights}}


def first_step(record: Record, model: SVG) -> dict[str, Tensor]:
    """Gaussians, z and predicted frames before the first step of the optimizer; the running statistics stay."""
    clip: Clip = {"video": from_unit_range(record["x"])}  # type: ignore[typeddict-item]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        codes, skips = model.encoder(record["x"])
        posterior, prior = model.latent_gaussians(codes, clip)
        assert posterior is not None
        assert prior is not None
        z = posterior.sample(record["noise"][0])
        predicted, _ = model.predictor(torch.cat([codes[:, :-1], z], -1))
        maps = model.skip_projection([skip[:, : model.skip_frames(codes.shape[1])] for skip in skips])
        frames = model.decoder(predicted, maps)
    model.load_state_dict(state)
    found = {"z": z, "mu": posterior.mean, "logvar": posterior.log_variance, "predictions": frames}
    return found | {"prior_mu": prior.mean, "prior_logvar": prior.log_variance}


@torch.no_grad()
def replay_rollout(record: Record) -> dict[str, Any]:
    """Frames one after another, with what the predictor was fed."""
    options = record["options"]
    model = build_model(record).train(options["norm"] == "train")
    fixed, training = options["variant"] == "fp", options["script"] == "training"
    if fixed and training and options["source"] == "prior":
        outputs = roll_out_codes(record, model)
    else:
        outputs = roll_out_frames(record, model, options["source"], mean=fixed and not training)
    return {options["norm"]: outputs}


def noise_of(record: Record) -> Any:
    """Step -> noise of z; zeros where the record has none."""
    options = record["options"]
    zeros = torch.zeros(options["batch_size"], options["z_dim"])
    return lambda step: record["noise"][:, step - 1] if "noise" in record else zeros


def roll_out_frames(record: Record, model: SVG, source: str, mean: bool) -> dict[str, Tensor]:
    """Every frame is predicted from the frame before, true in the context and generated afterwards.

    source: where z comes from after the context; reconstruction feeds true frames throughout. mean: z of the context is
    the posterior's mean.
    """
    options, x = record["options"], record["x"]
    rollout, context = Rollout(model, noise_of(record)), options["n_past"]
    previous = rollout.encode(x[:, 0])
    frames: list[Tensor] = []
    codes: list[Tensor] = []
    latents: list[Any] = []
    for t in range(1, context + options["n_future"]):
        if t == 1 or model.takes_skips(t, context):
            rollout.take_skips(previous)
        truth = rollout.encode(x[:, t]) if source != "prior" or t < context else None
        code = rollout.advance(previous, truth, torch.zeros(len(x), 0), mean or source == "posterior")
        codes.append(previous.code)
        latents.append(rollout.latent)
        if t >= context:
            frames.append(rollout.decode(code))
        if truth is not None and (t < context or source == "reconstruction"):
            previous = truth
        else:
            previous = rollout.encode(frames[-1])
    return {"frames": torch.stack(frames, 1), "codes": torch.cat(codes, 1), "z": torch.cat(latents, 1)}


def roll_out_codes(record: Record, model: SVG) -> dict[str, Tensor]:
    """The pictures that the release makes while it trains with a fixed prior: after the context, the predictor is fed
    its own codes, and at first that of the second-to-last context frame again. The zoo does not sample so."""
    options, x = record["options"], record["x"]
    rollout, context = Rollout(model, noise_of(record)), options["n_past"]
    previous = rollout.encode(x[:, 0])
    frames: list[Tensor] = []
    codes: list[Tensor] = []
    latents: list[Any] = []
    for t in range(1, context + options["n_future"]):
        if t < context:
            previous = rollout.encode(x[:, t - 1])
            rollout.take_skips(previous)
        truth = rollout.encode(x[:, t]) if t < context else None
        code = rollout.advance(previous, truth, torch.zeros(len(x), 0))
        codes.append(previous.code)
        latents.append(rollout.latent)
        if t >= context:
            frames.append(rollout.decode(code))
            previous = EncodedFrame(code, [])
    return {"frames": torch.stack(frames, 1), "codes": torch.cat(codes, 1), "z": torch.cat(latents, 1)}


def replay_metrics(record: Record) -> dict[str, Any]:
    """Metrics of every frame: the zoo's PSNR and SSIM (the record's ``finn_ssim``), and the SSIM that the release chose
    the best sample by, a form of its own."""
    made = record["made"]
    real = record["real"][:, None].expand_as(made)
    shape = made.shape[:3]
    one, other = (from_unit_range(x).flatten(0, 2) for x in (made, real))

    setup = Setup(frames=shape[2], clips=shape[0])
    metric = PSNR("psnr", setup)
    pair = (made.flatten(0, 2), real.flatten(0, 2))
    uniform = torch.full((7, 7), 1 / 49, dtype=torch.float64)
    chosen_by = ssim(pair, uniform, 2.0, 49 / 48).view(shape)  # as scikit-image took frames in [0, 1] then
    best = chosen_by.mean(-1).argmax(-1).tolist()
    errors = (made - real).square().mean((3, 4, 5))
    channels = [metric.compare(one[:, [c]], other[:, [c]]) for c in range(one.shape[1])]
    psnr = torch.stack(channels).mean(0).view(shape)
    found = {"mse": errors, "psnr": psnr, "ssim": chosen_by, "finn_psnr": psnr, "best": best}
    return {"train": {**found, "finn_ssim": SSIM("ssim", setup).compare(one, other).view(shape)}}


def ssim(pair: tuple[Tensor, Tensor], window: Tensor, value_range: float, sample: float) -> Tensor:
    """SSIM of images (N, C, H, W) under a window, at every place where it fits: (N,).

    sample: factor on the covariances. value_range: that of the pixels, which sets the two constants.
    """

    def mean(x: Tensor) -> Tensor:
        maps = F.conv2d(x.flatten(0, 1)[:, None], window[None, None])
        return maps.view(*x.shape[:2], *maps.shape[2:])

    means = [mean(x) for x in pair]

    def covariance(i: int, j: int) -> Tensor:
        return sample * (mean(pair[i] * pair[j]) - means[i] * means[j])

    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    top = (2 * means[0] * means[1] + c1) * (2 * covariance(0, 1) + c2)
    bottom = (means[0].square() + means[1].square() + c1) * (covariance(0, 0) + covariance(1, 1) + c2)
    return (top / bottom).flatten(1).mean(1)


# ---------------------------------------------------------------- moving digits


def replay_digits(record: Record) -> dict[str, Any]:
    """Frames of moving digits from given random draws, and how many draws each digit used."""
    options = record["options"]
    room = options["image_size"] - options["digit_size"]
    moved = [_move(draws, options, Room(room, room)) for draws in record["draws"]]
    positions = np.stack([trajectory.positions for trajectory, _ in moved])
    size, digits = options["image_size"], record["digits"].float().numpy()
    frames = Rendering(digits, positions, size, size, added=True).frames
    return {"train": {"clip": torch.from_numpy(frames)[:, None], "draws_used": [used for _, used in moved]}}


def _move(draws: list[list[int]], options: Mapping[str, Any], room: Room) -> tuple[Trajectory, int]:
    """Move a digit with given draws, [low, high, value] each; returns how many were used, too."""
    left = list(draws)

    def draw(low: int, high: int) -> int:
        wanted_low, wanted_high, value = left.pop(0)
        assert (low, high) == (wanted_low, wanted_high)
        return value

    trajectory = svg_trajectory(draw, options["seq_len"], room, redraws=not options["deterministic"])
    return trajectory, len(draws) - len(left)


REPLAYS = {
    "svg_moving_digits": replay_digits,
    "svg_metrics": replay_metrics,
    "svg_backbone": replay_backbone,
    "svg_train_step": replay_train_step,
    "svg_rollout": replay_rollout,
}
