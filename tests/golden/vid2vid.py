"""Replay golden records of the original vid2vid with the zoo's networks and losses.

``replay(record)`` returns the outputs of a record under the record's own names. Weights are loaded by the converter.

Shapes: B clips, T frames, C channels of a map, H x W pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.appearance import AppearanceEncoder
from zoo.blocks.convolution import find_norm
from zoo.blocks.image_generator import GlobalGenerator, LocalEnhancer
from zoo.blocks.maps import instance_edges, one_hot, pyramid
from zoo.blocks.patchgan import MultiScaleDiscriminator, scores
from zoo.flow.warp import warp
from zoo.losses.adversarial import OBJECTIVES
from zoo.losses.gan import adversarial_losses
from zoo.models.image_translation.objective import RegionBox, crop
from zoo.models.image_translation.released import fit_state
from zoo.models.image_translation.released_networks import (
    translate_discriminator,
    translate_encoder,
    translate_image_generator,
)
from zoo.models.vid2vid.convert import translate_generators
from zoo.models.vid2vid.losses import MotionBatch, motion_losses, sparse_groups, temporal_groups, video_input
from zoo.models.vid2vid.networks import GeneratedFrame, SequentialGenerator, plan_scales
from zoo.models.vid2vid.recurrence import FramePyramid, Rollout

Record = Mapping[str, Any]
WEIGHT = 10.0  # weight of feature matching and of the flow losses, as released
FACE_WEIGHT = 2.0


def replay(record: Record) -> dict[str, Any]:
    """Compute the outputs of a record of any kind."""
    if "prev_images" in record:
        return replay_generator(record)
    if "resample" in record:
        return replay_misc(record)
    if "inputs" in record:
        return replay_losses(record)
    if "x" in record:
        return replay_discriminator(record)
    return replay_chunks(record) if "n_frames_bp" in record["config"] else replay_rollout(record)


# ---------------------------------------------------------------- generators


def build_generator(record: Record) -> SequentialGenerator:
    """Build the record's generators with running statistics, so that evaluation mode equals the original's."""
    config, states = record["config"], record["state_dict"]
    sizes, state = translate_generators(states)
    foreground = config.get("fg_labels", ()) if sizes.foreground else ()
    generator = SequentialGenerator(
        sizes.map_channels,
        sizes.past_frames,
        plan_scales(sizes.scales, sizes.width, sizes.downsamplings, sizes.blocks, sizes.local_blocks),
        find_norm(sizes.norm, "running"),
        sizes.uses_flow,
        foreground,
    )
    generator.load_state_dict(fit_state(state, generator.state_dict(), "the record"))
    return generator


def encode(record: Record, generator: SequentialGenerator) -> list[Tensor]:
    """Maps of every frame at every scale, coarsest first, each (B, T, C, H, W)."""
    config, labels = record["config"], record["label"][:, :, 0]
    edges = bool(config.get("use_instance"))
    classes = generator.given_channels - int(edges)
    maps = one_hot(labels.long(), classes)
    if edges:
        maps = torch.cat([maps, instance_edges(record["inst"][:, :, 0])], 2)
    return pyramid(maps, len(generator.scales))


def replay_generator(record: Record) -> dict[str, Any]:
    """One frame in both modes, with and without warping, and the loss in train mode."""
    generator = build_generator(record)
    if record["config"].get("label_nc"):
        maps = encode(record, generator)
        given = [rearrange(level, "b t c h w -> b (t c) h w") for level in maps]
    else:
        given = record["inputs"][::-1]
    past = [
        rearrange(level, "b t c h w -> b (t c) h w") for level in pyramid(record["prev_images"], len(generator.scales))
    ]
    start = {name: value.clone() for name, value in generator.state_dict().items()}
    outputs: dict[str, Any] = {}
    for name, train, warps in (
        ("eval", False, True),
        ("eval_rawonly", False, False),
        ("train_rawonly", True, False),
        ("train", True, True),
    ):
        generator.load_state_dict(start)
        generator.train(train)
        generated = generator(given, past, warps)
        outputs[name] = [named_outputs(scale) for scale in generated]
    finest = generated[-1]
    loss = finest.frame.abs().mean() + finest.intermediate.abs().mean()
    if finest.flow is not None and finest.mask is not None:
        loss = loss + finest.flow.abs().mean() + finest.mask.mean()
    return {**outputs, "loss_train": loss}


def named_outputs(generated: GeneratedFrame) -> dict[str, Tensor]:
    """Outputs of one scale under the record's names, without those that are None."""
    names = {
        "img": generated.frame,
        "flow": generated.flow,
        "weight": generated.mask,
        "raw": generated.intermediate,
        "img_feat": generated.image_features,
        "flow_feat": generated.flow_features,
        "fg_feat": generated.foreground_features,
    }
    return {name: value for name, value in names.items() if value is not None}


# ---------------------------------------------------------------- discriminators and losses


def build_discriminator(state: Mapping[str, Tensor]) -> MultiScaleDiscriminator:
    sizes, translated = translate_discriminator(state)
    discriminator = MultiScaleDiscriminator(
        sizes.channels, sizes.width, sizes.layers, sizes.scales, find_norm(sizes.norm, "running")
    )
    discriminator.load_state_dict(fit_state(translated, discriminator.state_dict(), "the record"))
    return discriminator


def replay_discriminator(record: Record) -> dict[str, Any]:
    outputs = {}
    for name in ("eval", "train"):
        discriminator = build_discriminator(record["state_dict"]).train(name == "train")
        (maps,) = discriminator(record["x"])
        keeps_features = record["config"].get("getIntermFeat", True)
        outputs[name] = maps if keeps_features else [scale[-1:] for scale in maps]
    return outputs


def replay_losses(record: Record) -> dict[str, Any]:
    """Every loss of one step, and the gradients of the generator's loss at its outputs."""
    config, states = record["config"], record["state_dict"]
    discriminators = {name: build_discriminator(state).train() for name, state in states.items()}
    features = 0.0 if config.get("no_ganFeat") else WEIGHT
    inputs = dict(record["inputs"])
    outputs = ("fake_B", "raw", "seq_fake", "flow", "weight")
    for name in outputs:
        if inputs.get(name) is not None:
            inputs[name] = inputs[name].detach().clone().requires_grad_()

    given, real = inputs["real_A"], inputs["real_B"]
    real, *fakes = (torch.cat([given, x], 1) for x in (real, inputs["fake_B"], inputs["raw"]))
    terms = adversarial_losses(discriminators["netD"], real, fakes, "ls").generator
    losses = {
        "G_VGG": torch.zeros(()),
        "G_GAN": sum(gan for gan, _ in terms),
        "G_GAN_Feat": features * sum(matching for _, matching in terms),
        **motion_terms(inputs, config),
    }
    losses |= discriminator_terms(discriminators["netD"], real, fakes, "D")
    face: dict[str, Any] = {}
    if config.get("add_face_disc"):
        face = face_terms(
            discriminators["netD_f"], real, fakes[0], record.get("face_region"), config["num_D"], features
        )
    temporal = [
        temporal_terms(discriminators[name], inputs, features)
        for name in sorted(states)
        if re.fullmatch(r"netD_T\d+", name)
    ]
    losses |= face
    generator_parts = [value for name, value in losses.items() if not name.startswith("D_")]
    generator_parts += [value for part in temporal for name, value in part.items() if not name.startswith("D_")]
    loss_g = sum(generator_parts)
    halves = [0.5 * (part["D_T_real"] + part["D_T_fake"]) for part in temporal]
    tensors = [inputs[name] for name in outputs if inputs.get(name) is not None]
    gradients = iter(torch.autograd.grad(loss_g, tensors, allow_unused=True))
    return {
        "losses": losses,
        "losses_T": temporal,
        "loss_G": loss_g,
        "loss_D": 0.5 * sum(value for name, value in losses.items() if name.startswith("D_")),
        "loss_D_T": halves,
        "grads_G": {name: next(gradients) if inputs.get(name) is not None else None for name in outputs},
    }


def motion_terms(inputs: Record, config: Record) -> dict[str, Tensor]:
    """G_Warp, F_Flow, F_Warp and W, with the reference flow and the confidence of the record."""

    def frames(name: str) -> Tensor | None:
        return None if inputs.get(name) is None else inputs[name].unsqueeze(1)

    names = ("real_B_prev", "real_B", "fake_B_prev", "fake_B", "flow_ref", "conf_ref")
    motion = MotionBatch(*(frames(name) for name in names))  # type: ignore[arg-type]
    losses = motion_losses(motion, frames("flow"), frames("weight"), config.get("scales", 1))
    zero = torch.zeros(())
    return {
        "G_Warp": WEIGHT * losses["consistency"],
        "F_Flow": WEIGHT * losses.get("flow", zero),
        "F_Warp": WEIGHT * losses.get("warp", zero),
        "W": losses.get("mask", zero) if config.get("no_first_img") else zero,
    }


def discriminator_terms(
    discriminator: MultiScaleDiscriminator, real: Tensor, fakes: list[Tensor], name: str
) -> dict[str, Tensor]:
    """The real and the fake loss of the discriminator, whose loss is half of their sum."""
    both = 2 * adversarial_losses(discriminator, real, fakes, "ls").discriminator
    objective = OBJECTIVES["ls"]
    fake_half = sum(objective.fake(s).mean() for fake in fakes for s in scores(discriminator(fake.detach())[0]))
    return {f"{name}_real": both - fake_half, f"{name}_fake": fake_half}


def temporal_terms(discriminator: MultiScaleDiscriminator, inputs: Record, features: float) -> dict[str, Any]:
    frames = inputs["seq_real"].shape[1]
    groups = [list(range(frames))]
    real, fake = (video_input(inputs[name], inputs["seq_flow"], groups) for name in ("seq_real", "seq_fake"))
    ((gan, matching),) = adversarial_losses(discriminator, real, [fake], "ls").generator
    return {
        "G_T_GAN": gan,
        "G_T_GAN_Feat": features * matching,
        **discriminator_terms(discriminator, real, [fake], "D_T"),
        "G_T_Warp": torch.zeros(()),
    }


def face_terms(
    discriminator: MultiScaleDiscriminator, real: Tensor, fake: Tensor, box: Any, scales: int, features: float
) -> dict[str, Any]:
    """The face discriminator on the final image, cropped to the record's box: top, bottom, left, right."""
    names = ("G_f_GAN", "G_f_GAN_Feat", "D_f_real", "D_f_fake")
    if box is None or any(edge is None for edge in box):
        return {name: torch.zeros(()) for name in names}
    top, bottom, left, right = (int(edge) for edge in box)
    box = RegionBox(torch.arange(top, bottom), torch.arange(left, right), present=torch.tensor(1.0))
    real, fake = crop([real, fake], box)
    ((gan, matching),) = adversarial_losses(discriminator, real, [fake], "ls", scales).generator
    return {
        "G_f_GAN": FACE_WEIGHT * gan,
        "G_f_GAN_Feat": FACE_WEIGHT * features * matching,
        **discriminator_terms(discriminator, real, [fake], "D_f"),
    }


# ---------------------------------------------------------------- through time


def replay_rollout(record: Record) -> dict[str, Any]:
    """Frames one after another, starting from two real frames or from none."""
    config, generator = record["config"], build_generator(record)
    generator.train(in_train_mode(record))
    maps = encode(record, generator)
    first = generator.past_frames
    frames: list[FramePyramid] = []
    if config.get("use_real_img"):
        frames = [pyramid(record["real"][:, t], len(generator.scales)) for t in range(first)]
    rollout = Rollout(generator)
    with torch.no_grad():
        for t in range(first, maps[-1].shape[1]):
            frames.append([scale.frame for scale in rollout.next_frame(maps, frames, t)])
    generated = frames[first:] if config.get("use_real_img") else frames
    return {"frames": torch.stack([frame[-1] for frame in generated], 1)}


def in_train_mode(record: Record) -> bool:
    """Whether the norms were in train mode.

    If the record does not say so, the batch counters of its norms do: for evaluation, the norms were calibrated with
    more batches than every record's state was made with.
    """
    config = record["config"]
    for where in (record, config):
        for name, train in (("train", True), ("training", True), ("eval", False)):
            if isinstance(where.get(name), bool):
                return where[name] is train
        if where.get("mode") in ("train", "eval"):
            return where["mode"] == "train"
    counts = [int(v) for state in record["state_dict"] for k, v in state.items() if k.endswith("num_batches_tracked")]
    return config.get("norm", "batch") == "batch" and 0 < max(counts, default=0) <= UNCALIBRATED


UNCALIBRATED = 7


def replay_chunks(record: Record) -> dict[str, Any]:
    """Two chunks of two frames in train mode; the second starts from the detached frames of the first."""
    config, generator = record["config"], build_generator(record)
    generator.train()
    first, size = generator.past_frames, 2
    record = {**record, "inst": record.get("inst", record["label"])}
    maps, real = encode(record, generator), record["real"]
    from_nothing = bool(config.get("no_first_img"))
    scales = len(generator.scales)
    frames: list[FramePyramid] = [] if from_nothing else [pyramid(real[:, t], scales) for t in range(first)]
    rollout = Rollout(generator)
    chunks = []
    for begin in range(first, first + 2 * size, size):
        warps = not (from_nothing and begin == first)
        times = range(begin, begin + size)
        generated = rollout.generate(maps, frames, times, config.get("n_frames_bp", 1), warps)
        finest = [frame[-1] for frame in generated]
        fake = torch.stack([p.frame for p in finest], 1)
        chunk = {
            "fake_B": fake,
            "raw": torch.stack([p.intermediate for p in finest], 1),
            # The records contain the newest frame where the last frame of the previous chunk is expected; so does this.
            "fake_B_prev": torch.cat([fake[:, -1:] if chunks else real[:, first - 1 : first], fake[:, :-1]], 1),
        }
        with suppress(TypeError):  # a generator without flow has neither
            chunk |= {
                "flow": torch.stack([p.flow for p in finest], 1),
                "weight": torch.stack([p.mask for p in finest], 1),
            }
        chunks.append(chunk)
        frames = [*frames, *([scale.frame.detach() for scale in frame] for frame in generated)]
    return {"chunks": chunks}


# ---------------------------------------------------------------- the rest


def replay_misc(record: Record) -> dict[str, Any]:
    resample = record["resample"]
    outputs: dict[str, Any] = {
        "resample": {"out_align_True": warp(resample["img"], resample["flow"])},
        "edges": {"out": instance_edges(record["edges"]["inst"][:, :, 0])},
        "pyr": {"out": pyramid(record["pyr"]["x"], 3)[::-1]},
        "frame_selection": {name: selection(name) for name in record["frame_selection"]},
        "encoder": in_both_modes(record["encoder"], build_encoder),
    }
    for name in ("single_global", "single_local", "single_global_with_features"):
        outputs[name] = in_both_modes(record[name], build_image_generator)
    return outputs


def selection(name: str) -> list[list[Any]]:
    """Frames that each temporal scale selects in each step, for ``tD3_ts2_load4_total12`` or with ``_sparse``."""
    group, scales, new, total = (int(re.search(f"{word}(\\d+)", name)[1]) for word in ("tD", "ts", "load", "total"))  # type: ignore[index]
    ends = list(range(new, total + 1, new))
    steps = []
    for step, end in enumerate(ends):
        if name.endswith("sparse"):
            found = [sparse_groups(ends[: step + 1], group, scale) for scale in range(scales)]
        else:
            found = [temporal_groups(end, new, group, scale) for scale in range(scales)]
        steps.append([groups or None for groups in found])
    return steps


def in_both_modes(entry: Record, build: Callable[[Record], Callable[[bool], Tensor]]) -> dict[str, Tensor]:
    return {name: build(entry)(name == "train") for name in ("eval", "train")}


def build_encoder(entry: Record) -> Callable[[bool], Tensor]:
    sizes, state = translate_encoder(entry["state_dict"])
    network = AppearanceEncoder(sizes.features, sizes.width, sizes.downsamplings, find_norm(sizes.norm, "running"))
    load_state(network, state)
    return lambda train: network.train(train)(entry["img"], entry["inst"][:, 0])


def build_image_generator(entry: Record) -> Callable[[bool], Tensor]:
    sizes, state = translate_image_generator(entry["state_dict"])
    norm = find_norm(sizes.norm, "running")
    plan = (sizes.channels, sizes.width, sizes.downsamplings, sizes.blocks, norm, sizes.appearance)
    network = LocalEnhancer(*plan, sizes.local_blocks) if sizes.enhanced else GlobalGenerator(*plan)
    load_state(network, state)
    return lambda train: network.train(train)(entry["x"], entry["z"])


def load_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(fit_state(state, network.state_dict(), "the record"))
