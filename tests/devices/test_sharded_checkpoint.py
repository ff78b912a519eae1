"""Sharded checkpoints: merged in one process, complete at any moment, and read without running code."""

import json
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.distributed.tensor import DTensor

import zoo
from tests.devices.test_strategies import COMMON, overrides_for, train_in, two_processes
from zoo import ZooError
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.module import VideoData
from zoo.devices.sharded_checkpoint import INDEX, read_sharded, shard_state, write_sharded
from zoo.model import build
from zoo.runs.load import find_checkpoint
from zoo.testing.ranks import on_ranks
from zoo.training.plan import plan
from zoo.training.trainer import build_trainer


def write(folder: Path, ranks: int = 1, **state: object) -> None:
    for rank in reversed(range(ranks)):
        write_sharded(state, folder, rank, 1)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    weight = torch.arange(6.0).view(3, 2)
    write(tmp_path / "last.ckpt", state_dict={"weight": weight}, clips_seen=8, names=["a", {"b": torch.ones(2)}])
    read = read_sharded(tmp_path / "last.ckpt")
    assert torch.equal(read["state_dict"]["weight"], weight)
    assert read["clips_seen"] == 8
    assert torch.equal(read["names"][1]["b"], torch.ones(2))


def test_a_kill_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    """Killed while a file is written, and before the index is replaced."""
    folder = tmp_path / "last.ckpt"
    write(folder, value=1)
    for moment in ("save", "replace"):
        with monkeypatch.context() as patch:
            if moment == "save":
                patch.setattr(torch, "save", lambda state, file: file.write(b"half") and 1 / 0)
            else:
                patch.setattr(Path, "replace", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                write(folder, value=2)
        assert read_sharded(folder) == {"value": 1}
    write(folder, value=3)
    assert read_sharded(folder) == {"value": 3}
    assert len(list(folder.iterdir())) == 2  # leftover files are deleted


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_code_in_a_shard_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "last.ckpt"
    write(folder, value=1)
    [shard] = folder.glob("*.pt")
    torch.save({"state_dict": Evil()}, shard)
    with pytest.raises(ZooError, match="cannot be read as a checkpoint"):
        zoo.load(str(tmp_path))
    shard.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ZooError, match="cannot be read as a checkpoint"):
        zoo.load(str(tmp_path))
    assert not Path("ran").exists()
    pickle.loads(pickle.dumps(Evil()))
    assert Path("ran").exists()  # unpickling would have run it


@pytest.mark.parametrize(
    "index",
    ["[]", "{}", '{"files": []}', '{"files": ["../other.pt"]}', '{"files": [7]}', "no json", '{"files": ["/x"]}'],
)
def test_an_index_that_does_not_name_files_of_its_folder_is_refused(index, tmp_path):
    write(tmp_path / "last.ckpt", value=1)
    (tmp_path / "last.ckpt" / INDEX).write_text(index)
    with pytest.raises(ZooError, match="does not name files of this folder"):
        read_sharded(tmp_path / "last.ckpt")


def test_shards_of_different_checkpoints_are_refused(tmp_path):
    folder = tmp_path / "last.ckpt"
    folder.mkdir()
    torch.save({"a": {"__rows_of_a_rank__": torch.ones(2, 2)}}, folder / "0.pt")
    torch.save({"b": 1}, folder / "1.pt")
    (folder / INDEX).write_text(json.dumps({"files": ["0.pt", "1.pt"]}))
    with pytest.raises(ZooError, match="are not parts of one checkpoint"):
        read_sharded(folder)


def test_a_state_of_another_model_is_refused():
    with pytest.raises(ZooError, match=r"belongs to another model; names that differ: .*weight"):
        shard_state(nn.Linear(2, 2), {"bias": torch.zeros(2), "other.weight": torch.zeros(2)})


def load_and_save(run: Path, overrides: list[str], kept: Path) -> None:
    """On each rank: build the training of some overrides, load the checkpoint of a run, and save it again."""
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        planned = plan(compose("train", overrides=[*COMMON, *overrides]))
    model = build(asdict(planned.settings.model), planned.spec)
    trainer = build_trainer(planned, kept / "again")
    data = VideoData(planned.data, planned.card.wanted(), planned.budget, 1, 3, 4, model.curriculum_stage)

    def keep() -> None:
        assert any(isinstance(p, DTensor) for p in model.parameters())
        trainer.save_checkpoint(kept / "kept.ckpt")
        trainer.should_stop = True

    model.on_train_start = keep
    model.training_step = lambda clip, batch_idx: None
    trainer.fit(model, data, ckpt_path=str(run / "last.ckpt"), weights_only=True)


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("name", ["videovae", "pix2pixhd"])
def test_a_sharded_run_is_loaded_by_one_process_and_resumed_by_two(name, tmp_path):
    """Weights, averages and optimizer states are equal bit for bit; learning rates are those of the larger budget."""
    overrides = overrides_for(name, "budget.clips=24")
    short = [override for override in overrides if override != "budget.clips=24"]
    on_ranks(tmp_path / "log", train_in, tmp_path, *short, *two_processes("fsdp"))
    assert find_checkpoint(str(tmp_path)) == tmp_path / "last.ckpt"
    assert (tmp_path / "last.ckpt").is_dir()
    model = zoo.load(str(tmp_path))
    assert model.clips_seen == 8
    whole = read_sharded(tmp_path / "last.ckpt")
    for part, module in model.ema_parts().items():
        for key, weight in module.state_dict().items():
            assert torch.equal(weight, whole["ema"][part][key].to(weight)), (part, key)
    on_ranks(tmp_path / "log", load_and_save, tmp_path, [*overrides, *two_processes("fsdp")], tmp_path / "two")
    kept = read_sharded(tmp_path / "two" / "kept.ckpt")
    for state in (whole, kept):
        for group in (group for optimizer in state["optimizer_states"] for group in optimizer["param_groups"]):
            group.pop("lr")
        for schedule in state["lr_schedulers"]:
            schedule.pop("_last_lr", None)
    for part in ("state_dict", "optimizer_states", "ema", "lr_schedulers", "clips_seen"):
        assert same(kept[part], whole[part]), part
