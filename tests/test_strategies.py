"""Several processes do the work of one: every model, every strategy that this machine has."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from tests.ranks import on_ranks
from zoo import list_models
from zoo.cli import conf_dir, prepare_hydra
from zoo.sharded import read_checkpoint
from zoo.train import plan, train

COMMON = [
    "data.height=32",
    "data.width=32",
    "data.frames=4",
    "data.workers=0",
    "budget.clips=8",
    "evaluation.rounds=1",
    "evaluation.clips=3",
    "callbacks.gallery_clips=2",
    "logger.wandb=disabled",
    "trainer.progress=false",
    "trainer.log_every=1",
    "trainer.threads=1",
]
PAINTER = [
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
    "vid2vid": [*PAINTER, "model.foreground=true"],
    "pix2pixhd": PAINTER,
    "videovae": ["model.width=8", "model.code=16", "model.hidden=32", "model.features=32", "model.units=32",
                 "model.free_bits=0.01", "model.norm=batch", "data.labelled_fraction=0.5"],
    "judge": ["model.width=8", "model.blocks=3", "data.transitions=0.5"],
    "segmenter": ["model.width=4"],
}  # fmt: skip
EXACT = "trainer.precision=64-true"
"""Two adversaries, and Adam where gradients are rounding, blow the last bits of a sum up in single precision."""


def trained(run: Path, *words: str) -> None:
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        train(plan(compose("train", overrides=[*COMMON, *words])), run)


def words_for(name: str, *more: str) -> list[str]:
    return [f"model={name}", *TINY[name], EXACT, *more]


def two(strategy: str) -> list[str]:
    return [f"strategy={strategy}", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=2"]


def digest_of_ranks(run: Path, *words: str) -> None:
    """Train, and leave what this rank ended with beside the run."""
    import zoo.model

    kept = {}

    def keep(self):
        kept["weights"] = {k: v.full_tensor() if hasattr(v, "full_tensor") else v for k, v in self.state_dict().items()}

    zoo.model.VideoModel.on_train_end = keep  # in a process of its own
    trained(run, *words)
    torch.save(kept["weights"], run / f"rank{torch.distributed.get_rank()}.pt")


def compare(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, weight in one.items():
        # A bias before a norm has no effect: its gradient is rounding, which Adam blows up to steps of its own.
        if weight.is_floating_point() and not key.endswith("bias"):
            error = (weight - other[key]).norm() / weight.norm().clamp(min=1e-3)
            assert error < 1e-5, (key, float(error))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, Path]:
    """A run of every model in one process, made when it is first asked for."""
    runs: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in runs:
            runs[name] = tmp_path_factory.mktemp(name)
            trained(runs[name], *words_for(name), "data.batch_size=4", "strategy=cpu")
        return runs[name]

    return run


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", list_models())
def test_two_processes_do_the_work_of_one(name, strategy, alone, tmp_path):
    """Half the batch each: the same weights and averages; and both processes have the same, bit for bit."""
    on_ranks(tmp_path, digest_of_ranks, tmp_path, *words_for(name), *two(strategy), "trainer.sync_batchnorm=true")
    one, both = (read_checkpoint(run / "last.ckpt") for run in (alone(name), tmp_path))
    assert one["clips_seen"] == both["clips_seen"] == 8
    compare(one["state_dict"], both["state_dict"])
    for part, average in one["ema"].items():
        compare(average, both["ema"][part])
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
