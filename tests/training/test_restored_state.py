"""What is loaded is checked whole: damage and losses are refused, and an older good checkpoint is offered."""

import copy
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

import zoo
from zoo import ZooError
from zoo.callbacks.restored_state import example_state, find_optimizer_misfits
from zoo.io.contents import count_values
from zoo.runs.load import read_checkpoint
from zoo.runs.training_state import check_training_state
from zoo.testing.kills import CLIPS, kill_at
from zoo.testing.rerun import differing_files, resume_training, tiny_plan
from zoo.training.trainer import train


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A training that was stopped after its fifth step; best.ckpt is from the round after the third."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with kill_at("on_train_batch_start", 6):
        train(tiny_plan("segmenter", CLIPS), run)
    assert [read_checkpoint(run / name)["clips_seen"] for name in ("best.ckpt", "last.ckpt")] == [6, 10]
    return run


@pytest.fixture
def run(stopped, tmp_path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "a run"))


def refused(run: Path) -> str:
    """The error message of resuming, which must leave the checkpoint as it was."""
    before = (run / "last.ckpt").read_bytes() if (run / "last.ckpt").exists() else None
    with pytest.raises(ZooError) as error:
        resume_training(run)
    assert before == ((run / "last.ckpt").read_bytes() if (run / "last.ckpt").exists() else None)
    return str(error.value)


def largest_member(file: Path) -> int:
    """The offset of the middle of the largest tensor in a checkpoint."""
    with zipfile.ZipFile(file) as archive:
        tensors = [each for each in archive.infolist() if "/data/" in each.filename]
    member = max(tensors, key=lambda each: each.file_size)
    data = file.read_bytes()
    lengths = [int.from_bytes(data[member.header_offset + at :][:2], "little") for at in (26, 28)]
    return member.header_offset + 30 + sum(lengths) + member.file_size // 2


def flip_a_bit(file: Path) -> None:
    data, at = bytearray(file.read_bytes()), largest_member(file)
    data[at] ^= 0x40
    file.write_bytes(data)


def erase(file: Path) -> None:
    data, at = bytearray(file.read_bytes()), largest_member(file)
    data[at : at + 64] = bytes(64)
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3000])


@pytest.mark.parametrize(("damage", "sentence"), [(flip_a_bit, "checksum"), (erase, "checksum"), (cut, "truncated")])
def test_a_damaged_checkpoint_is_refused_and_the_older_one_offered(damage, sentence, run):
    damage(run / "last.ckpt")
    message = refused(run)
    assert f"{run / 'last.ckpt'} cannot be read as a checkpoint: " in message
    assert sentence in message
    assert f"The older checkpoint {run / 'best.ckpt'} is complete, from 6 clips." in message
    with pytest.raises(ZooError, match=rf"{sentence}(.|\n)*best.ckpt is complete, from 6 clips. Type it in place of"):
        zoo.load(str(run))


def test_the_offered_command_resumes_exactly(run, tmp_path):
    """The training ends with the bits of one that was never stopped."""
    train(tiny_plan("segmenter", CLIPS), tmp_path / "whole")
    flip_a_bit(run / "last.ckpt")
    command = refused(run).partition("To resume from it: ")[2]
    files, _, resume = command.rpartition(" && ")
    assert shlex.split(resume) == ["python", "-m", "zoo.train", f"resume={run}"]
    subprocess.run(files, shell=True, check=True)
    resume_training(run)
    assert differing_files(run, tmp_path / "whole") == []


def test_a_lost_checkpoint_does_not_start_the_training_anew(run):
    (run / "last.ckpt").unlink()
    assert "last.ckpt is missing" in (message := refused(run))
    assert f"cp -r {shlex.quote(str(run / 'best.ckpt'))} {shlex.quote(str(run / 'last.ckpt'))} && python" in message
    (run / "best.ckpt").unlink()
    assert "No other checkpoint of the run can be resumed. To train anew, add overwrite=true" in refused(run)


def test_a_training_without_a_first_checkpoint_begins_anew_and_says_so(tmp_path, caplog):
    caplog.set_level("INFO", "zoo")
    with kill_at("on_train_batch_end", 1):
        train(tiny_plan("segmenter", 2), tmp_path)
    resume_training(tmp_path)
    assert "has no checkpoint yet, so the training begins anew" in caplog.text


def test_missing_rows_of_metrics_are_refused(run):
    metrics = run / "metrics.csv"
    lines = metrics.read_text().splitlines(keepends=True)
    rows = read_checkpoint(run / "last.ckpt")["zoo"]["rows"]
    metrics.write_text("".join(lines[: rows - 1]))  # the header, and two rows too few
    message = refused(run)
    assert f"{metrics} has {rows - 2} rows, but {rows} were logged before {run / 'last.ckpt'} was written" in message
    assert "best.ckpt is complete, from 6 clips" in message
    fill = message.partition("and resume: ")[2].splitlines()[0].rpartition(" && ")[0]
    subprocess.run(fill, shell=True, check=True)
    resume_training(run)
    assert read_checkpoint(run / "last.ckpt")["clips_seen"] == CLIPS
    metrics.unlink()
    assert f"{metrics} has 0 rows" in refused(run)


def optimizer(checkpoint):
    return checkpoint["optimizer_states"][0]


def shrink(checkpoint):
    for state in optimizer(checkpoint)["state"].values():
        state.update(exp_avg=torch.ones(3))


LOSSES = {
    "shape": (shrink, r"optimizer 0: `exp_avg` of parameter 0 has the shape \(3,\), but .* was expected"),
    "order": (lambda c: optimizer(c)["param_groups"][0]["params"].reverse(), "are not the parameters of the model"),
    "states": (lambda c: optimizer(c)["state"].clear(), "`optimizer_states` has .* values of the"),
    "optimizers": (lambda c: c["optimizer_states"].clear(), "`optimizer_states` has 1 values of the"),
    "part": (lambda c: c.pop("optimizer_states"), "`optimizer_states` has 0 values of the"),
    "loops": (lambda c: c.pop("loops"), "`loops` has 0 values of the"),
    "counter": (lambda c: c["loops"]["fit_loop"].pop("epoch_loop.batch_progress"), "`loops` has"),
    "averages": (lambda c: c.pop("ema"), "`ema` has 0 values of the"),
    "best": (lambda c: c["callbacks"].clear(), "`callbacks` has 1 values of the"),
}


@pytest.mark.parametrize(("change", "sentence"), LOSSES.values(), ids=LOSSES)
def test_what_is_missing_or_misshapen_is_refused(change, sentence, run):
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, run / "last.ckpt")
    message = refused(run)
    assert re.search(sentence, message), message
    assert str(run / "last.ckpt") in message
    assert "best.ckpt is complete, from 6 clips" in message


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["loops"]["fit_loop"].pop("epoch_loop.state_dict"), "`loops.epoch_loop.state_dict` is missing"),
        (lambda c: c["optimizer_states"].append({}), "holds the states of 2 optimizers, but the model has 1"),
        (lambda c: c["loops"].clear(), "`loops` is no mapping"),
    ],
)
def test_files_without_a_record_of_contents_are_checked_too(change, sentence, run):
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    change(checkpoint)
    del checkpoint["contents"]
    torch.save(checkpoint, run / "last.ckpt")
    assert sentence in refused(run)


@pytest.mark.parametrize("part", ["optimizer_states", "lr_schedulers", "loops", "callbacks"])
def test_every_part_is_required(part, stopped):
    state = torch.load(stopped / "last.ckpt", weights_only=True)
    check_training_state(stopped / "last.ckpt", state)
    with pytest.raises(ZooError, match=f"its part `{part}` is of type str"):
        check_training_state(stopped / "last.ckpt", state | {part: "none"})
    del state[part]
    with pytest.raises(ZooError, match=f"its part `{part}` is missing"):
        check_training_state(stopped / "last.ckpt", state)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop, torch.optim.SGD])
def test_optimizer_states_fit_themselves_and_nothing_else(kind):
    """Averages have the shape of their parameter, also where it has none; counts have no axes."""
    parameters = [torch.zeros(shape, requires_grad=True) for shape in ((4, 2), (), (1,))]
    made = kind(parameters, lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {}))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    made.step()
    state = made.state_dict()
    assert list(find_optimizer_misfits(made, state)) == []
    for name, example in example_state(made).items():
        worse = copy.deepcopy(state)
        worse["state"][0][name] = torch.ones(2)
        assert len(list(find_optimizer_misfits(made, worse))) == 1, (name, example)
        del worse["state"][0][name]
        assert f"`{name}` of parameter 0 is missing" in list(find_optimizer_misfits(made, worse))
    wrong = copy.deepcopy(state)
    wrong["param_groups"][0]["lr"] = "fast"
    assert "`lr` is 'fast'" in next(find_optimizer_misfits(made, wrong))
    assert "has the entry 3, but there are 3 parameters" in next(
        find_optimizer_misfits(made, state | {"state": {3: state["state"][0]}})
    )


def test_values_are_counted_with_their_containers():
    assert count_values({"a": [1, 2], "b": {"c": torch.ones(5)}}) == 6
    endless = []
    assert count_values(endless) == 1
    endless.append(endless)
    assert count_values(endless) > 1_000_000


def test_every_bit_of_a_checkpoint_counts(stopped, tmp_path):
    """A flipped bit in any of 40 places changes nothing or is refused."""
    data, file = (stopped / "last.ckpt").read_bytes(), tmp_path / "last.ckpt"
    whole = read_checkpoint(stopped / "last.ckpt")
    from zoo.testing.rerun import differing_values

    for place in range(40):
        at = place * len(data) // 41 + 7 * place
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        try:
            read = read_checkpoint(file)
        except ZooError:
            continue
        assert differing_values(read, whole) == []
