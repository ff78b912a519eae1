"""Replay golden records of TGANv2 with the zoo's networks and losses.

``replay(record)`` returns the outputs of a record under the record's own names. Chainer's Adam, which adds ε before the
bias correction, is in ``adam_step``; the model uses PyTorch's.

Shapes: N clips, T frames, C channels, H x W pixels; records have clips as (N, C, T, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.golden import tgan
from zoo.losses.adversarial import discriminator_loss, generator_loss
from zoo.losses.gradient_penalty import squared_gradients, wgan_gp_penalty
from zoo.models.tgan.convert import load_released as load_tgan
from zoo.models.tgan.convert import released_names as tgan_names
from zoo.models.tgan.networks import ClipPlan, TemporalGenerator
from zoo.models.tgan.networks import Discriminator as PlainDiscriminator
from zoo.models.tgan.networks import ImageGenerator as PlainImageGenerator
from zoo.models.tgan2.networks import (
    ConvLSTM,
    Discriminator,
    ImageGenerator,
    ImagePlan,
    LevelDiscriminators,
    Recurrence,
    Renderer,
    Start,
    Subsampling,
    pyramid,
)
from zoo.models.tgan2.released import load_released, released_names

Record = Mapping[str, Any]
LEVELS, DOUBLINGS = 4, 6
GENERATOR_PARTS = {"fc/": Start, "decoder": Recurrence, "": Renderer}
"""Start of a released name -> network here."""


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record."""
    kinds = {
        "generator": generator_outputs,
        "discriminator": discriminator_outputs,
        "step": step_outputs,
        "step_wgan_gp": wgan_gp_outputs,
        "conv_lstm": conv_lstm_outputs,
        "conditional": conditional_outputs,
        "optimizer": tgan.optimizer_outputs,
    }
    return kinds[record["kind"]](record) if record["kind"] in ("generator", "conditional") else {
        "train": kinds[record["kind"]](record)
    }  # fmt: skip


def as_released(video: Tensor) -> Tensor:
    """(N, T, C, H, W) <-> (N, C, T, H, W)."""
    return video.transpose(1, 2)


def set_norms(network: nn.Module, options: Mapping[str, Any]) -> None:
    """Give norms the constants of the record."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eps, layer.momentum = options["batch_norm_eps"], 1 - options["batch_norm_decay"]


# ---------------------------------------------------------------- multi-level generator


class Generator:
    """The networks of a generator with a record's weights."""

    def __init__(self, record: Record, training: bool = True) -> None:
        options, state = record["options"], record["state_dict"]["generator"]
        side = options["bottom_width"] << DOUBLINGS
        plan, features = ImagePlan(side, side, options["channels"]), options["recurrent_width"]
        assert plan.doublings == DOUBLINGS
        self.parts: dict[str, nn.Module] = {
            "fc/": Start(options["z_slow_dim"], features, plan.start),
            "decoder": Recurrence(features, options["recurrent_layers"]),
            "": Renderer(features, options["width"], LEVELS, plan, 0),
        }
        for start, part in self.parts.items():
            load_released(part, {key: value for key, value in state.items() if part_of(key) == start})
            set_norms(part, options)
            part.train(training)

    def features(self, code: Tensor, steps: list[int]) -> Tensor:
        """Features of the frames of some recurrent steps, (N, T, R, h, w)."""
        start, recurrence, _ = self.parts.values()
        x, states, found = start(code), None, []
        for step in range(max(steps) + 1):
            states = recurrence(x, states)
            x = None
            if step in steps:
                found.append(states[-1][0])
        return torch.stack(found, 1)

    def levels(self, record: Record) -> list[Tensor]:
        """Clips of all levels in training, (N, T, C, H, W) each."""
        options, inputs = record["options"], record["inputs"]
        first, stride = int(inputs.get("start_offset", 0)), options["frame_stride"]
        features = self.features(inputs["z"], [first + frame * stride for frame in range(options["frames"])])
        phases = [None] * 3 if options["average_frames"] else list(map(int, inputs["frame_phases"]))
        steps = zip(options["subsample_frame"], options["subsample_batch"], phases, strict=True)
        return self.parts[""](features, None, [Subsampling(*each) for each in steps])

    def named(self, values: Mapping[str, Mapping[str, Tensor]], wanted: str = "") -> dict[str, Tensor]:
        """Tensors by part and name here -> by released name; those whose name here contains a word."""
        return {
            released: values[start][ours]
            for start, part in self.parts.items()
            for released, ours in released_names(part).items()
            if ours in values[start] and wanted in ours
        }

    def running_statistics(self) -> dict[str, Tensor]:
        """Running means and variances by released name."""
        return self.named({start: part.state_dict() for start, part in self.parts.items()}, "running")

    def parameters(self) -> dict[str, Tensor]:
        """Parameters by released name."""
        return self.named({start: dict(part.named_parameters()) for start, part in self.parts.items()})


def part_of(key: str) -> str:
    """Start of the released name of a tensor of the generator, see GENERATOR_PARTS."""
    return next(start for start in GENERATOR_PARTS if key.startswith(start))


def generator_outputs(record: Record) -> dict[str, Any]:
    """Clips of all levels in training; in evaluation, the first clip at each level with all frames."""
    frames, found = record["options"]["eval_frames"], {}
    with torch.no_grad():
        generator = Generator(record)
        found["levels"] = [as_released(level) for level in generator.levels(record)]
        found["running_statistics_after"] = {"generator": generator.running_statistics()}
        generator = Generator(record, training=False)
        features = generator.features(record["inputs"]["z"], list(range(frames)))
        everything = generator.parts[""](features, None, [Subsampling(1)] * 3)
    first = {f"level{level}_first_clip": as_released(video)[0] for level, video in enumerate(everything, 1)}
    return {"train": found, "eval": first}


def conv_lstm_outputs(record: Record) -> dict[str, Any]:
    """Hidden states of all steps, and the last cell."""
    options = record["options"]
    cell = ConvLSTM(options["in_channels"], options["hidden"], options["kernel"])
    state = record["state_dict"]["cell"]
    names = {"w_xifoc/W": "input.weight", "w_xifoc/b": "input.bias", "w_hifoc/W": "state.weight"}
    cell.load_state_dict({names[key]: value for key, value in state.items()})
    states = None
    hidden = []
    for x in record["inputs"]["x"]:
        states = cell(x, states)
        hidden.append(states[0])
    return {"hidden_after_each_step": torch.stack(hidden), "cell_after_last_step": states[1]}


# ---------------------------------------------------------------- discriminator


def real_levels(record: Record) -> list[Tensor]:
    """The pyramid of the real clips, (N, T, C, H, W) each."""
    options, inputs = record["options"], record["inputs"]
    video = as_released((inputs["real_uint8"].float() - 128) / 128)
    phases = inputs.get("real_frame_phases", inputs.get("frame_phases"))
    given = phases is not None and len(phases) == len(video) and torch.as_tensor(phases).ndim == 2
    clip_steps = options.get("subsample_batch", [1, 1, 1])
    return pyramid(video, torch.as_tensor(phases) if given else None, options["subsample_frame"], clip_steps)


def build_discriminator(record: Record) -> LevelDiscriminators:
    """The record's discriminators of all levels."""
    options = record["options"]
    discriminator = LevelDiscriminators(LEVELS, options["channels"], options["discriminator_width"], padded=True)
    load_released(discriminator, record["state_dict"]["discriminator"], score=True)
    return discriminator


def discriminator_outputs(record: Record) -> dict[str, Any]:
    """Scores, and their gradients to the clips of every level."""
    levels = [level.requires_grad_() for level in real_levels(record)]
    scores = build_discriminator(record)(levels, [None] * LEVELS)
    gradients = torch.autograd.grad(scores.sum(), levels)
    return {
        "pyramid_level1": as_released(levels[0]),
        "pyramid_level2": as_released(levels[1]),
        "pyramid_square_sums": torch.stack([level.square().sum() for level in levels]),
        "scores": scores[:, None],
        "score_gradient_square_sums": torch.stack([gradient.square().sum() for gradient in gradients]),
        "score_gradient_level4_first_clip": as_released(gradients[3])[0],
    }


# ---------------------------------------------------------------- steps


def step_outputs(record: Record) -> dict[str, Any]:
    """Scores, losses, gradients and weights of a training step."""
    options, generator, discriminator = record["options"], Generator(record), build_discriminator(record)
    real = [level.requires_grad_() for level in real_levels(record)]
    real_scores = discriminator(real, [None] * LEVELS)
    generated = generator.levels(record)
    generated_scores = discriminator(generated, [None] * LEVELS)
    losses = {
        "generator": generator_loss([generated_scores], "original"),
        "discriminator_without_penalty": discriminator_loss([real_scores], [generated_scores], "original"),
    }
    if options["penalty_on"] == "fake":
        fixed = [level.detach().requires_grad_() for level in generated]
        squares = squared_gradients(discriminator(fixed, [None] * LEVELS), fixed)
    else:
        squares = squared_gradients(real_scores, real)
    losses["gradient_penalty"] = options["penalty_weight"] * torch.cat(squares).sum()
    names = released_names(discriminator, score=True)
    own = dict(discriminator.named_parameters())
    weights = {
        "generator": generator.parameters(),
        "discriminator": {released: own[ours] for released, ours in names.items() if ours in own},
    }
    total = losses["discriminator_without_penalty"] + losses["gradient_penalty"]
    gradients = {
        "generator": gradients_of(losses["generator"], weights["generator"]),
        "discriminator": gradients_of(total, weights["discriminator"]),
    }
    return {
        "score_real": real_scores[:, None],
        "score_fake": generated_scores[:, None],
        "losses": losses,
        "gradients": gradients,
        "weights_after_step": stepped(record, weights, gradients),
        "running_statistics_after": {"generator": generator.running_statistics()},
    }


def gradients_of(loss: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients by name; 0 of weights without effect."""
    found = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
    return {
        name: torch.zeros_like(weights[name]) if gradient is None else gradient
        for name, gradient in zip(weights, found, strict=True)
    }


def stepped(
    record: Record, weights: Mapping[str, Mapping[str, Tensor]], gradients: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """Weights after a step of Chainer's Adam, of which the record has the memory."""
    memory, options = record["optimizer_state"], record["options"]
    steps = memory.get("steps_done", options.get("steps_done"))
    zero = torch.zeros(())
    return {
        network: {
            name: adam_step(
                weight,
                gradients[network][name],
                memory.get("first_moment", {}).get(network, {}).get(name, zero),
                memory["second_moment"][network][name],
                options | {"steps_done": steps},
            )
            for name, weight in named.items()
            if name in memory["second_moment"].get(network, {})
        }
        for network, named in weights.items()
    }


def adam_step(weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, options: Mapping[str, Any]) -> Tensor:
    """One step of Adam as in Chainer: ε is added before the bias correction."""
    beta1, beta2, step = options["beta1"], options["beta2"], options["steps_done"] + 1
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient.square()
    rate = options["learning_rate"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
    return weight.detach() - rate * first / (second.sqrt() + options["optimizer_eps"])


def wgan_gp_outputs(record: Record) -> dict[str, Any]:
    """A step of TGAN as it is in this release: a discriminator without norms, and WGAN-GP."""
    options, inputs, state = record["options"], record["inputs"], record["state_dict"]
    real = (inputs["real_uint8"].float() - 128) / 128
    if real.shape[2] != options["channels"]:
        real = as_released(real)
    plan = ClipPlan(real.shape[1], *real.shape[3:], options["channels"], tgan.DOUBLINGS)
    parts = {
        part: {key.removeprefix(part): value for key, value in state["generator"].items() if key.startswith(part)}
        for part in ("tgen/", "igen/")
    }
    slow, fast = parts["tgen/"]["dc0/W"].shape[0], parts["igen/"]["l0f/W"].shape[1]
    widths = [parts["tgen/"][f"dc{layer}/W"].shape[1] for layer in range(tgan.DOUBLINGS)]
    networks: dict[str, nn.Module] = {
        "temporal_generator": TemporalGenerator(slow, fast, widths, plan.frames),
        "image_generator": PlainImageGenerator(slow, fast, len(parts["igen/"]["dc1/W"]) >> tgan.DOUBLINGS, plan),
        "discriminator": PlainDiscriminator(plan, len(state["discriminator"]["c0/W"]), normalise=False),
    }
    for (name, network), arrays in zip(
        networks.items(), (parts["tgen/"], parts["igen/"], state["discriminator"]), strict=True
    ):
        load_tgan(name, network, arrays)
        set_norms(network, options)
    code = inputs.get("z_slow", inputs.get("z"))
    _, generated = tgan.generate(networks, code)
    discriminator = networks["discriminator"]
    mix = inputs["mix"].view(-1, 1, 1, 1, 1)
    mixed = (mix * real + (1 - mix) * generated.detach()).requires_grad_()
    scores = {"real": discriminator(real), "fake": discriminator(generated), "mix": discriminator(mixed)}
    losses = {
        "generator": -scores["fake"].mean(),
        "discriminator_without_penalty": scores["fake"].mean() - scores["real"].mean(),
        "gradient_penalty": options["penalty_weight"] * wgan_gp_penalty(scores["mix"], mixed),
    }
    losses["discriminator"] = losses["discriminator_without_penalty"]
    total = losses["discriminator_without_penalty"] + losses["gradient_penalty"]
    weights: dict[str, dict[str, Tensor]] = {"generator": {}, "discriminator": {}}
    statistics: dict[str, dict[str, Tensor]] = {"generator": {}}
    for name, prefix in (("temporal_generator", "tgen/"), ("image_generator", "igen/"), ("discriminator", "")):
        part = "generator" if prefix else "discriminator"
        own = dict(networks[name].named_parameters())
        values = networks[name].state_dict()
        for released, ours in tgan_names(name, networks[name]).items():
            if ours in own:
                weights[part][prefix + released] = own[ours]
            elif prefix:
                statistics["generator"][prefix + released] = values[ours]
    gradients = {
        "generator": gradients_of(losses["generator"], weights["generator"]),
        "discriminator": gradients_of(total, weights["discriminator"]),
    }
    after = stepped(record, weights, gradients) if "optimizer_state" in record else {}
    found = {f"score_{name}": score[:, None] for name, score in scores.items()}
    for each in (gradients, after):
        if "discriminator" in each:
            each["discriminator"] = {
                key: value[:, :, 0] if key == "c4/W" and value.ndim == 5 else value
                for key, value in each["discriminator"].items()
            }
    return found | {
        "losses": losses, "gradients": gradients, "weights_after_step": after, "running_statistics_after": statistics,
    }  # fmt: skip


# ---------------------------------------------------------------- classes


class ClassDiscriminator:
    """The discriminator of clips, with a discriminator of one frame beside it in some records."""

    def __init__(self, record: Record) -> None:
        options, state = record["options"], record["state_dict"]["discriminator"]
        both = options["frame_discriminator"]
        self.parts: dict[str, Discriminator] = {}
        for prefix in ("video_dis/", "frame_dis/") if both else ("",):
            own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            classes = len(own["l_c/W"]) if "l_c/W" in own else 0
            network = Discriminator(
                options["channels"], len(own["block1/c1/W"]), classes, padded=True, images=prefix == "frame_dis/"
            )
            load_released(network, own, score=True)
            self.parts[prefix] = network

    def __call__(self, video: Tensor, inputs: Mapping[str, Any]) -> Tensor:
        """Scores (N,)."""
        scores = [
            part(video[:, int(inputs["frame_for_frame_discriminator"])] if part.images else video, inputs["classes"])
            for part in self.parts.values()
        ]
        return torch.stack(scores).sum(0)

    def parameters(self) -> dict[str, Tensor]:
        """Parameters by released name."""
        return {
            prefix + released: dict(part.named_parameters())[ours]
            for prefix, part in self.parts.items()
            for released, ours in released_names(part, score=True).items()
        }


def conditional_outputs(record: Record) -> dict[str, Any]:
    """Clips of classes, their scores, and gradients of a weighted sum of these."""
    options, inputs, found = record["options"], record["inputs"], {}
    doublings = 4
    side = options["bottom_width"] << doublings
    for mode in ("train", "eval"):
        generator = ImageGenerator(
            options["z_slow_dim"], options["z_fast_dim"], options["width"],
            ImagePlan(side, side, options["channels"]), options["classes"], doublings,
        )  # fmt: skip
        load_released(generator, record["state_dict"]["image_generator"])
        set_norms(generator, options)
        generator.train(mode == "train")
        discriminator = ClassDiscriminator(record)
        video = generator(inputs["z_slow"], inputs["z_fast"], inputs["classes"])
        scores = discriminator(video, inputs)
        found[mode] = {"video_first_clip": as_released(video)[0], "scores": scores[:, None]}
        if mode == "train":
            names, state = released_names(generator), generator.state_dict()
            own = dict(generator.named_parameters())
            total = (torch.linspace(0.5, 1.5, len(scores)) * scores).sum()
            found[mode]["gradients"] = {
                "image_generator": gradients_of(total, {key: own[ours] for key, ours in names.items() if ours in own}),
                "discriminator": gradients_of(total, discriminator.parameters()),
            }
            found[mode]["running_statistics_after"] = {
                "image_generator": {key: state[ours] for key, ours in names.items() if "running" in ours}
            }
    return found
