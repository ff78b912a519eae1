"""Several processes give the result of one, for every model and every strategy that this machine supports."""

import math
import os
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from zoo import list_models
from zoo.blocks.convolution import find_norm
from zoo.card import MODELS
from zoo.comparison.gather import read_films
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.devices.collectives import average_gradients
from zoo.devices.synced_norm import SyncedBatchNorm, sync_batch_norm
from zoo.evaluation.results import read_results
from zoo.models.image_translation.objective import region_box
from zoo.runs.load import read_checkpoint
from zoo.testing import tiny_model
from zoo.testing.ranks import on_ranks
from zoo.training.plan import plan
from zoo.training.trainer import train

COMMON = [
    "data.height=32",
    "data.width=32",
    "data.frames=4",
    "data.workers=0",
    "budget.clips=8",
    "evaluation.rounds=1",
    "evaluation.clips=3",
    "callbacks.gallery_clips=3",
    "logger.wandb=disabled",
    "trainer.progress=false",
    "trainer.log_every=1",
    "trainer.threads=1",
]
TRANSLATOR = [
    "model.width=8",
    "model.downsamplings=1",
    "model.blocks=2",
    "model.discriminator_width=8",
    "model.discriminator_layers=2",
    "model.perceptual=none",
    "model.scales=2",
    "model.local_blocks=1",
    "model.clips_per_scale=4",
    "model.region=[head]",
    "model.appearance_features=2",
    "model.appearance_width=4",
    "model.appearance_downsamplings=1",
]
TINY = {
    # Without a given first frame, batch norm gets channels without variance, and rounding decides the side of a ReLU.
    "vid2vid": [*TRANSLATOR, "model.foreground=true", "model.first_frame=given"],
    "pix2pixhd": TRANSLATOR,
    "videovae": ["model.width=8", "model.code=16", "model.hidden=32", "model.features=32", "model.units=32",
                 "model.free_bits=0.01", "model.norm=batch", "data.labelled_fraction=0.5"],
    "classifier": ["model.width=8", "model.blocks=3", "data.transitions=0.5"],
    "segmenter": ["model.width=4"],
    "svg": ["model.width=4", "model.code=16", "model.latent=4", "model.hidden=32", "model.context=1"],
    "vgan": ["model.noise=8", "model.width=4", "model.discriminator_width=4", "model.r1_every=1"],
    "dvdgan": ["model.noise=8", "model.embedding=4", "model.width=4", "model.discriminator_width=2",
               "model.category=action", "model.scored_frames=2"],
    "mocogan": ["model.width=4", "model.discriminator_width=4", "model.category=action",
                "model.discriminator_norm=batch", "model.r1=0"],
    "tgan": ["model.slow=8", "model.fast=4", "model.temporal_width=8", "model.width=2", "model.discriminator_width=4",
             "model.discriminator_norm=batch", "model.r1=0", "model.clipping=singular_values", "model.clip_every=2"],
    "tgan2": ["model.code=8", "model.features=8", "model.width=2", "model.levels=3", "model.discriminator_width=2",
              "model.category=action", "model.r1_every=1"],
}  # fmt: skip
EXACT = "trainer.precision=64-true"
"""In single precision the adversaries amplify rounding errors, and so does Adam where gradients are such errors."""


def train_in(run: Path, *overrides: str) -> None:
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        train(plan(compose("train", overrides=[*COMMON, *overrides])), run)


def overrides_for(name: str, *more: str) -> list[str]:
    return [f"model={name}", *TINY[name], EXACT, *more]


def two_processes(strategy: str) -> list[str]:
    return [f"strategy={strategy}", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=2"]


def train_and_save_ranks(run: Path, *overrides: str) -> None:
    """Train, and save the final weights of this rank in the run folder."""
    import zoo.model

    final = {}

    def keep_weights(self):
        final["weights"] = {
            k: v.full_tensor() if hasattr(v, "full_tensor") else v for k, v in self.state_dict().items()
        }

    zoo.model.VideoModel.on_train_end = keep_weights  # this process runs nothing else
    train_in(run, *overrides)
    torch.save(final["weights"], run / f"rank{torch.distributed.get_rank()}.pt")


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, weight in one.items():
        # A bias before a norm has no effect: its gradient is rounding error, which Adam scales up to full steps.
        if weight.is_floating_point() and not key.endswith("bias"):
            error = (weight - other[key]).norm() / weight.norm().clamp(min=1e-3)
            assert error < 1e-5, (key, float(error))


@pytest.fixture(scope="module")
def single_run(tmp_path_factory):
    """A run of every model in one process, trained on first use."""
    runs: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in runs:
            runs[name] = tmp_path_factory.mktemp(name)
            train_in(runs[name], *overrides_for(name), "data.batch_size=4", "strategy=cpu")
        return runs[name]

    return run


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", list_models())
def test_two_processes_give_the_weights_of_one(name, strategy, single_run, tmp_path):
    """With half the batch each: the same weights and averages, equal in both processes bit for bit."""
    if strategy not in MODELS.find(name).card.strategies:
        pytest.skip("the card does not list the strategy")
    on_ranks(
        tmp_path,
        train_and_save_ranks,
        tmp_path,
        *overrides_for(name),
        *two_processes(strategy),
        "trainer.sync_batchnorm=true",
    )
    one, both = (read_checkpoint(run / "last.ckpt") for run in (single_run(name), tmp_path))
    assert one["clips_seen"] == both["clips_seen"] == 8
    assert_close(one["state_dict"], both["state_dict"])
    for part, average in one["ema"].items():
        assert_close(average, both["ema"][part])
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    [single], [together] = (read_results(run) for run in (single_run(name), tmp_path))
    assert together.protocol == single.protocol
    assert together.metrics == pytest.approx(single.metrics, rel=1e-4)
    if (single_run(name) / "clips").exists():  # the second clip comes from the other rank
        assert list(read_films(tmp_path / "clips")) == list(read_films(single_run(name) / "clips"))


def test_batch_norm_statistics_are_equal_on_all_ranks_without_sync(tmp_path):
    on_ranks(tmp_path, train_and_save_ranks, tmp_path, *overrides_for("segmenter"), *two_processes("ddp"))
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert any(key.endswith("running_mean") for key in first)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(("name", "strategy"), [("videovae", "ddp"), ("segmenter", "fsdp"), ("classifier", "ddp")])
def test_a_rank_without_validation_clips_does_not_block_the_others(name, strategy, tmp_path):
    on_ranks(tmp_path, train_in, tmp_path, *overrides_for(name), *two_processes(strategy), "evaluation.clips=1")
    [result] = read_results(tmp_path)
    assert result.protocol.clips == 1
    assert (
        all(math.isfinite(value) for value in result.metrics.values()) or name == "classifier"
    )  # an attribute of its clip may change


# ---------------------------------------------------------------- collectives


def uneven_gradients() -> None:
    """Three parameters: with a gradient on both ranks, on the second only, and on none; then an infinite gradient."""
    rank = join_group()
    kernel = torch.zeros(2, 2, 2, 2).contiguous(memory_format=torch.channels_last)
    parameters = [nn.Parameter(torch.zeros(3)), nn.Parameter(kernel), nn.Parameter(torch.zeros(1))]
    parameters[0].grad = torch.full((3,), 1.0 + rank)
    if rank:
        parameters[1].grad = torch.full_like(kernel, 6.0)
    average_gradients(parameters)
    assert torch.equal(parameters[0].grad, torch.full((3,), 1.5))
    assert torch.equal(parameters[1].grad, torch.full_like(kernel, 3.0))
    assert parameters[1].grad.stride() == kernel.stride()  # a fused step needs the same memory format
    assert parameters[2].grad is None
    infinite = nn.Parameter(torch.zeros(1))
    infinite.grad = torch.tensor([math.inf if rank else 1.0])
    average_gradients([infinite])
    assert infinite.grad.isinf().all()  # so every rank skips the step with precision=16


def join_group() -> int:
    rank = int(os.environ["LOCAL_RANK"])
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    return rank


def test_gradients_are_averaged_and_stay_none_if_no_rank_has_one(tmp_path):
    on_ranks(tmp_path, uneven_gradients)


def check_half_batch(kind: type[nn.Module], shape: tuple[int, ...], whole_path: Path) -> None:
    rank = join_group()
    whole = torch.load(whole_path)
    layer = kind(shape[1]).double()
    sync_batch_norm(layer)
    x = whole["x"].chunk(2)[rank].requires_grad_()
    made = layer(x)
    (made * whole["weight"].chunk(2)[rank]).sum().backward()
    assert torch.allclose(made, whole["made"].chunk(2)[rank])
    assert torch.allclose(x.grad, whole["gradient"].chunk(2)[rank])
    assert torch.allclose(layer.running_var, whole["running_var"])
    assert torch.allclose(layer.running_mean, whole["running_mean"])


@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm2d, (4, 3, 5, 2)), (nn.BatchNorm3d, (4, 2, 3, 2, 2))])
def test_synced_batch_norm_is_that_of_the_full_batch(kind, shape, tmp_path):
    torch.manual_seed(0)
    layer, x = kind(shape[1]).double(), torch.randn(shape, dtype=torch.double).requires_grad_()
    weight, made = torch.randn(shape, dtype=torch.double), layer(x)
    (made * weight).sum().backward()
    whole = {"x": x.detach(), "weight": weight, "made": made.detach(), "gradient": x.grad}
    torch.save(whole | dict(layer.named_buffers()), tmp_path / "whole.pt")
    on_ranks(tmp_path, check_half_batch, kind, shape, tmp_path / "whole.pt")


def test_a_synced_norm_keeps_names_and_evaluation_output():
    layer = find_norm("batch")(3).eval()
    x = torch.randn(2, 3, 4, 4)
    before, names = layer(x), list(layer.state_dict())
    sync_batch_norm(layer)
    assert isinstance(layer, SyncedBatchNorm)
    assert torch.equal(layer(x), before)
    assert list(layer.state_dict()) == names


def check_region_of_one_rank() -> None:
    rank = join_group()
    region = torch.zeros(2, 32, 32, dtype=torch.bool)
    if rank:
        region[1, 20:24, 4:8] = True
    box = region_box(region, 8)
    assert (box.rows.tolist(), box.columns.tolist()) == (list(range(17, 25)), list(range(1, 9)))
    assert box.present == 1


def test_a_region_is_used_by_all_ranks_or_by_none(tmp_path):
    """Otherwise the rank that sees the region would wait for the gradients of the others."""
    on_ranks(tmp_path, check_region_of_one_rank)


def test_loaded_optimizer_state_takes_the_memory_format_of_the_weights(tmp_path):
    """A fused Adam on the CPU reads weights and state in memory order: with a contiguous state and channels-last
    weights, the step must be that of contiguous weights."""
    after = []
    for last in (False, True):
        torch.manual_seed(0)
        model = tiny_model("segmenter")
        first = model.adam(model.parameters(), 1e-2)
        for parameter in model.parameters():
            parameter.grad = torch.rand_like(parameter)
        first.step()
        kept = first.state_dict()
        if last:
            model.to_channels_last()
        second = model.adam(model.parameters(), 1e-2)
        second.load_state_dict(kept)
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.1)
        second.step()
        after.append([parameter.detach().clone() for parameter in model.parameters()])
    for plain, laid in zip(*after, strict=True):
        assert torch.allclose(plain, laid, atol=1e-6)
