"""Replay records of the original vid2vid with the zoo's networks and losses.

``replay(record)`` returns the record's outputs under the record's own names; weights come in through the converter.

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
from zoo.models.image_translation.objective import Box, inside
from zoo.models.image_translation.released import fit_state
from zoo.models.image_translation.released_networks import (
    translate_discriminator,
    translate_encoder,
    translate_image_generator,
)
from zoo.models.vid2vid.convert import translate_generators
from zoo.models.vid2vid.losses import Motion, motion_losses, sparse_groups, temporal_groups, video_input
from zoo.models.vid2vid.networks import GeneratedFrame, SequentialGenerator, plan_scales
from zoo.models.vid2vid.recurrence import Frame, Rollout

Record = Mapping[str, Any]
WEIGHT = 10.0  # of feature matching and of the flow losses, as released
FACE_WEIGHT = 2.0


def replay(record: Record) -> dict[str, Any]:
    """Whatever kind of record it is, its outputs."""
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
    """The record's generators, with running statistics, so that evaluation mode is the original's."""
    config, states = record["config"], record["state_dict"]
    form, state = translate_generators(states)
    foreground = config.get("fg_labels", ()) if form.foreground else ()
    generator = SequentialGenerator(
        form.map_channels,
        form.past_frames,
        plan_scales(form.scales, form.width, form.downsamplings, form.blocks, form.local_blocks),
        find_norm(form.norm, "running"),
        form.uses_flow,
        foreground,
    )
    generator.load_state_dict(fit_state(state, generator.state_dict(), "the record"))
    return generator


def encode(record: Record, generator: SequentialGenerator) -> list[Tensor]:
    """The maps of every frame at every scale, coarsest first, each (B, T, C, H, W)."""
    config, labels = record["config"], record["label"][:, :, 0]
    edges = bool(config.get("use_instance"))
    classes = generator.given_channels - int(edges)
    maps = one_hot(labels.long(), classes)
    if edges:
        maps = torch.cat([maps, instance_edges(record["inst"][:, :, 0])], 2)
    return pyramid(maps, len(generator.scales))


def replay_generator(record: Record) -> dict[str, Any]:
    """One frame, in both modes, with and without warping, and the loss in train mode."""
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
        painted = generator(given, past, warps)
        outputs[name] = [described(scale) for scale in painted]
    finest = painted[-1]
    loss = finest.frame.abs().mean() + finest.intermediate.abs().mean()
    if finest.flow is not None and finest.mask is not None:
        loss = loss + finest.flow.abs().mean() + finest.mask.mean()
    return {**outputs, "loss_train": loss}


def described(painted: GeneratedFrame) -> dict[str, Tensor]:
    """What was painted under the record's names; what there is not is left out."""
    names = {
        "img": painted.frame,
        "flow": painted.flow,
        "weight": painted.mask,
        "raw": painted.intermediate,
        "img_feat": painted.image_features,
        "flow_feat": painted.flow_features,
        "fg_feat": painted.foreground_features,
    }
    return {name: value for name, value in names.items() if value is not None}


# ---------------------------------------------------------------- discriminators and losses


def build_discriminator(state: Mapping[str, Tensor]) -> MultiScaleDiscriminator:
    form, translated = translate_discriminator(state)
    discriminator = MultiScaleDiscriminator(
        form.channels, form.width, form.layers, form.scales, find_norm(form.norm, "running")
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
    """Every loss of one step, and the gradients of the generator's to what the generator made."""
    config, states = record["config"], record["state_dict"]
    discriminators = {name: build_discriminator(state).train() for name, state in states.items()}
    features = 0.0 if config.get("no_ganFeat") else WEIGHT
    inputs = dict(record["inputs"])
    made = ("fake_B", "raw", "seq_fake", "flow", "weight")
    for name in made:
        if inputs.get(name) is not None:
            inputs[name] = inputs[name].detach().clone().requires_grad_()

    given, real = inputs["real_A"], inputs["real_B"]
    seen = [torch.cat([given, x], 1) for x in (real, inputs["fake_B"], inputs["raw"])]
    terms = adversarial_losses(discriminators["netD"], seen[0], seen[1:], "ls").generator
    losses = {
        "G_VGG": torch.zeros(()),
        "G_GAN": sum(gan for gan, _ in terms),
        "G_GAN_Feat": features * sum(matching for _, matching in terms),
        **motion_terms(inputs, config),
    }
    losses |= discriminator_terms(discriminators["netD"], seen[0], seen[1:], "D")
    face: dict[str, Any] = {}
    if config.get("add_face_disc"):
        face = face_terms(
            discriminators["netD_f"], seen[0], seen[1], record.get("face_region"), config["num_D"], features
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
    wanted = [inputs[name] for name in made if inputs.get(name) is not None]
    gradients = iter(torch.autograd.grad(loss_g, wanted, allow_unused=True))
    return {
        "losses": losses,
        "losses_T": temporal,
        "loss_G": loss_g,
        "loss_D": 0.5 * sum(value for name, value in losses.items() if name.startswith("D_")),
        "loss_D_T": halves,
        "grads_G": {name: next(gradients) if inputs.get(name) is not None else None for name in made},
    }


def motion_terms(inputs: Record, config: Record) -> dict[str, Tensor]:
    """G_Warp, F_Flow, F_Warp and W; the reference flow and its confidence are the record's."""

    def frames(name: str) -> Tensor | None:
        return None if inputs.get(name) is None else inputs[name].unsqueeze(1)

    names = ("real_B_prev", "real_B", "fake_B_prev", "fake_B", "flow_ref", "conf_ref")
    motion = Motion(*(frames(name) for name in names))  # type: ignore[arg-type]
    losses = motion_losses(motion, frames("flow"), frames("weight"), config.get("scales", 1))
    nothing = torch.zeros(())
    return {
        "G_Warp": WEIGHT * losses["consistency"],
        "F_Flow": WEIGHT * losses.get("flow", nothing),
        "F_Warp": WEIGHT * losses.get("warp", nothing),
        "W": losses.get("mask", nothing) if config.get("no_first_img") else nothing,
    }


def discriminator_terms(
    discriminator: MultiScaleDiscriminator, real: Tensor, fakes: list[Tensor], name: str
) -> dict[str, Tensor]:
    """The discriminator's own two halves: its loss is half of their sum."""
    both = 2 * adversarial_losses(discriminator, real, fakes, "ls").discriminator
    rule = OBJECTIVES["ls"]
    fake_half = sum(rule.fake(s).mean() for fake in fakes for s in scores(discriminator(fake.detach())[0]))
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
    """The face discriminator on the composed image, inside the record's box: rows from and to, columns from and to."""
    names = ("G_f_GAN", "G_f_GAN_Feat", "D_f_real", "D_f_fake")
    if box is None or any(edge is None for edge in box):
        return {name: torch.zeros(()) for name in names}
    top, bottom, left, right = (int(edge) for edge in box)
    box = Box(torch.arange(top, bottom), torch.arange(left, right), there=torch.tensor(1.0))
    real, fake = inside([real, fake], box)
    ((gan, matching),) = adversarial_losses(discriminator, real, [fake], "ls", scales).generator
    return {
        "G_f_GAN": FACE_WEIGHT * gan,
        "G_f_GAN_Feat": FACE_WEIGHT * features * matching,
        **discriminator_terms(discriminator, real, [fake], "D_f"),
    }


# ---------------------------------------------------------------- through time


def replay_rollout(record: Record) -> dict[str, Any]:
    """Frames one after another, from two real ones or from nothing."""
    config, generator = record["config"], build_generator(record)
    generator.train(in_train_mode(record))
    maps = encode(record, generator)
    first = generator.past_frames
    frames: list[Frame] = []
    if config.get("use_real_img"):
        frames = [pyramid(record["real"][:, t], len(generator.scales)) for t in range(first)]
    rollout = Rollout(generator)
    with torch.no_grad():
        for t in range(first, maps[-1].shape[1]):
            frames.append([scale.frame for scale in rollout(maps, frames, t)])
    made = frames[first:] if config.get("use_real_img") else frames
    return {"frames": torch.stack([frame[-1] for frame in made], 1)}


def in_train_mode(record: Record) -> bool:
    """Whether the norms were in train mode. Where the record does not say, its batch norms do: for evaluation they
    were calibrated, which counts more batches than the few that every record's state was made with."""
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
    """Two chunks of two frames in train mode; what was made goes on detached."""
    config, generator = record["config"], build_generator(record)
    generator.train()
    first, size = generator.past_frames, 2
    record = {**record, "inst": record.get("inst", record["label"])}
    maps, real = encode(record, generator), record["real"]
    from_nothing = bool(config.get("no_first_img"))
    scales = len(generator.scales)
    film: list[Frame] = [] if from_nothing else [pyramid(real[:, t], scales) for t in range(first)]
    rollout = Rollout(generator)
    chunks = []
    for begin in range(first, first + 2 * size, size):
        warps = not (from_nothing and begin == first)
        times = range(begin, begin + size)
        painted = rollout.paint(maps, film, times, config.get("n_frames_bp", 1), warps)
        finest = [frame[-1] for frame in painted]
        made = torch.stack([p.frame for p in finest], 1)
        chunk = {
            "fake_B": made,
            "raw": torch.stack([p.intermediate for p in finest], 1),
            # The records put the newest frame where the last one of the chunk before would be expected; so does this.
            "fake_B_prev": torch.cat([made[:, -1:] if chunks else real[:, first - 1 : first], made[:, :-1]], 1),
        }
        with suppress(TypeError):  # without flow there are none
            chunk |= {
                "flow": torch.stack([p.flow for p in finest], 1),
                "weight": torch.stack([p.mask for p in finest], 1),
            }
        chunks.append(chunk)
        film = [*film, *([scale.frame.detach() for scale in frame] for frame in painted)]
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
    """Step by step, the frames that each temporal scale picks: ``tD3_ts2_load4_total12`` or with ``_sparse``."""
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
    form, state = translate_encoder(entry["state_dict"])
    network = AppearanceEncoder(form.features, form.width, form.downsamplings, find_norm(form.norm, "running"))
    loaded(network, state)
    return lambda train: network.train(train)(entry["img"], entry["inst"][:, 0])


def build_image_generator(entry: Record) -> Callable[[bool], Tensor]:
    form, state = translate_image_generator(entry["state_dict"])
    norm = find_norm(form.norm, "running")
    plan = (form.channels, form.width, form.downsamplings, form.blocks, norm, form.appearance)
    network = LocalEnhancer(*plan, form.local_blocks) if form.enhanced else GlobalGenerator(*plan)
    loaded(network, state)
    return lambda train: network.train(train)(entry["x"], entry["z"])


def loaded(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(fit_state(state, network.state_dict(), "the record"))
