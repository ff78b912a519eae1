"""Malicious files are refused with an error message. They run no code, and use little memory and disk.

Every case of a table is one bad file; ``pytest tests/io/test_untrusted_files.py`` runs all.
"""

import copy
import io
import json
import os
import pickle
import resource
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch._utils import _rebuild_device_tensor_from_cpu_tensor

import zoo
from tests.helpers.paths import GOLDEN
from tests.test_compare import make_run
from zoo.compare import compare
from zoo.comparison.gather import gather
from zoo.comparison.online import download_wandb_runs
from zoo.convert import convert
from zoo.data.archives import unpack
from zoo.data.decode import frame_times, probe, read_image, write_video
from zoo.data.sequences.cache import ArrayCache, Origin, cache_folder, load_index, save_index
from zoo.data.sets.folder.catalogue import cached_info
from zoo.data.sets.pose.openpose import ARRAYS, read_people
from zoo.errors import ZooError
from zoo.evaluation.features.scripts import open_script
from zoo.evaluation.metrics import lpips
from zoo.evaluation.metrics.lpips import perceptual_network
from zoo.evaluation.tools import open_classifier
from zoo.flow.estimators import build_estimator
from zoo.io.safe_load import read_tensors
from zoo.losses.classifiers import load_vgg19
from zoo.models.image_translation.released import read_state
from zoo.models.vid2vid.model import Vid2Vid
from zoo.runs.load import data_config, read_config
from zoo.runs.validate import check_model
from zoo.testing import tiny_model

MEGABYTE = 1 << 20
Writer = Callable[[Path], object]  # writes one bad file


def in_little_memory(action: Callable[[], object], room: int = 160 * MEGABYTE) -> str:
    """Run ``action`` in a child process that may use ``room`` bytes more; returns the error message it ends with."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room,) * 2)
            action()
            outcome = "it was opened"
        except ZooError as problem:
            outcome = f"refused: {problem}"
        except BaseException as problem:
            outcome = f"{type(problem).__name__}: {problem}"
        os.write(writing, outcome.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        outcome = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return outcome


class PickledCall:
    """An object that is pickled as a call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# ---------------------------------------------------------------- code in files of tensors


def touch(marker: Path) -> PickledCall:
    return PickledCall(os.system, f"touch {marker}")


def zipped(path: Path, content: object) -> None:
    torch.save(content, path)


def legacy(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def plain(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content))


def tar(path: Path, content: object) -> None:
    """A pickle in a tar, as torch wrote it in 2016."""
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(content)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def settings_too(path: Path, content: object) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": {"model": {"name": content}, "spec": {}}}, path)


CODE: dict[str, Callable[[Path, object], None]] = {
    "zip": zipped,
    "legacy": legacy,
    "pickle": plain,
    "tar": tar,
    "hyper-parameters": settings_too,
}
READERS: dict[str, Callable[[Path], object]] = {
    "zoo.load": lambda path: zoo.load(str(path)),
    "classifier": lambda path: open_classifier(str(path), tiny_model("classifier").spec),
    "released": read_state,
    "vgg19": lambda path: load_vgg19(str(path)),
    "raft": lambda path: build_estimator("raft_small", str(path)),
    "lpips": lambda path: perceptual_network("alex"),
    "torchscript": open_script,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("write", CODE.values(), ids=CODE)
def test_no_code_runs(write, read, tmp_path, monkeypatch):
    marker, file = tmp_path / "ran", tmp_path / "bad.ckpt"
    write(file, touch(marker))
    monkeypatch.setattr(lpips, "verify_sha256", lambda path, sha256: sha256)  # eight digits can be forged
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / lpips.BACKBONES["alex"]).symlink_to(file)
    with pytest.raises(ZooError, match=r"bad\.ckpt|alexnet"):
        read(file)
    assert not marker.exists()


def test_unpickling_would_have_run_the_code(tmp_path):
    """A check of the test above."""
    marker, file = tmp_path / "ran", tmp_path / "bad.ckpt"
    zipped(file, touch(marker))
    torch.load(file, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("write", [zipped, legacy, plain])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: PickledCall(os.system, "true"), r"posix\.system"),
        (lambda: PickledCall(eval, "1"), r"\w*builtin\w*\.eval"),
        (lambda: PickledCall(torch.load, "x"), r"torch\.serialization\.load"),
        (lambda: nn.Linear(1, 1), r"torch\.nn\.modules\.linear\.Linear"),
        (lambda: Path("x"), r"pathlib\.PosixPath"),
    ],
)
def test_the_error_names_the_function(write, call, name, tmp_path):
    file = tmp_path / "bad.ckpt"
    write(file, {"weight": call()})
    with pytest.raises(ZooError, match=rf"cannot be read as a checkpoint: it uses {name}, .* Nothing was run"):
        read_tensors(file, "a checkpoint")


# ---------------------------------------------------------------- damaged files of tensors, and false sizes


def rewritten(path: Path, edit: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Write a checkpoint of 300 floats, with every member of the archive edited."""
    whole = io.BytesIO()
    torch.save({"w": torch.arange(300.0)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", compression) as target:
        for member in source.infolist():
            target.writestr(member.filename, edit(member.filename, source.read(member)))


def claim_more(name: str, data: bytes) -> bytes:
    """Change 300 floats to 2**26, in the pickle only."""
    return data.replace(b"M,\x01", b"J" + struct.pack("<i", 1 << 26)) if name.endswith("data.pkl") else data


def bomb(path: Path) -> None:
    """A quarter of a gigabyte of zeros in a few hundred kilobytes."""
    zeros = b"\0" * (1 << 28)
    rewritten(path, lambda n, d: zeros if n.endswith("data/0") else claim_more(n, d), zipfile.ZIP_DEFLATED)


def pickle_bomb(path: Path) -> None:
    """The same after the end of the pickle."""
    rewritten(path, lambda n, d: d + b"\0" * (1 << 28) if n.endswith("data.pkl") else d, zipfile.ZIP_DEFLATED)


def truncated(path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-600])


def truncated_legacy(path: Path) -> None:
    legacy(path, {"w": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-600])


def legacy_claim(path: Path) -> None:
    legacy(path, {"w": torch.arange(300.0)})
    path.write_bytes(claim_more("data.pkl", path.read_bytes()))


def cycle(path: Path) -> None:
    """A container that contains itself must not be walked forever."""
    content: dict[str, Any] = {"w": torch.zeros(1).expand(1 << 40)}
    content["again"] = content
    torch.save(content, path)


def repeated(dtype: torch.dtype) -> PickledCall:
    """One number, expanded and then copied to another dtype by a function that torch's own pickles use."""
    return PickledCall(_rebuild_device_tensor_from_cpu_tensor, torch.zeros(1).expand(1 << 28), dtype, "cpu", False)


def script_bomb(path: Path) -> None:
    torch.jit.script(nn.Linear(1, 1)).save(str(path))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}/code/more.py", b"\0" * (1 << 28))


TENSORS: dict[str, tuple[Writer, str]] = {
    "empty": (lambda p: p.touch(), "empty or truncated"),
    "text": (lambda p: p.write_text("these are notes\n" * 99), "not a complete PyTorch file"),
    "zeros": (lambda p: p.write_bytes(b"\0" * 999), "not a complete PyTorch file"),
    "json": (lambda p: p.write_text('{"state_dict": 1}'), "not a complete PyTorch file"),
    "truncated": (truncated, "empty or truncated"),
    "truncated, legacy": (truncated_legacy, "not a complete PyTorch file"),
    "four bytes": (lambda p: p.write_bytes(b"PK\3\4"), "empty or truncated"),
    "another archive": (lambda p: zipfile.ZipFile(p, "w").writestr("a.txt", "a"), "not a complete PyTorch file"),
    "torchscript": (lambda p: torch.jit.script(nn.Linear(1, 1)).save(str(p)), "TorchScript"),
    "bomb": (bomb, "would decompress from"),
    "bomb in the pickle": (pickle_bomb, "would decompress from"),
    "claimed": (lambda p: rewritten(p, claim_more), "not a complete PyTorch file"),
    "claimed, legacy": (legacy_claim, "not a complete PyTorch file"),
    "bytearray": (lambda p: zipped(p, {"w": PickledCall(bytearray, 1 << 28)}), "bytearray"),
    "bytearray, legacy": (lambda p: legacy(p, {"w": PickledCall(bytearray, 1 << 28)}), "bytearray"),
    "written out": (lambda p: zipped(p, {"w": repeated(torch.float64)}), "_rebuild_device_tensor_from_cpu_tensor"),
    "repeated": (lambda p: zipped(p, {"w": torch.zeros(1).expand(1 << 40)}), "whose values are not in the file"),
    "repeated, in a cycle": (cycle, "whose values are not in the file"),
    "meta": (lambda p: zipped(p, {"w": torch.empty(1 << 40, device="meta")}), "_rebuild_meta_tensor"),
    "sparse": (
        lambda p: zipped(p, {"w": torch.sparse_coo_tensor([[0]], [1.0], (1 << 40,))}),
        "_rebuild_sparse_tensor",
    ),
    "quantized": (
        lambda p: zipped(p, {"w": torch.quantize_per_tensor(torch.zeros(4), 1.0, 0, torch.quint8)}),
        "_rebuild_qtensor",
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch warns of quantized tensors and TorchScript
@pytest.mark.parametrize(("make", "sentence"), TENSORS.values(), ids=TENSORS)
def test_bad_files_of_tensors_are_refused(make, sentence, tmp_path):
    file = tmp_path / "bad.pt"
    make(file)
    outcome = in_little_memory(lambda: read_tensors(file, "a checkpoint"))
    assert outcome.startswith(f"refused: {file} ")
    assert sentence in outcome


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_bomb_is_refused(tmp_path):
    script_bomb(tmp_path / "bad.pt")
    assert "would decompress from" in in_little_memory(lambda: open_script(tmp_path / "bad.pt"))


@pytest.mark.parametrize("save", [zipped, legacy])
def test_valid_files_are_read(save, tmp_path):
    """In the current and the legacy format: views, shared storage, parameters, optimizers, half precision."""
    network = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    whole = torch.arange(12.0)
    content = {
        "state_dict": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameter": nn.Parameter(whole[2:5]),
        "view": whole.view(3, 4).T,
        "half": whole.bfloat16(),
        "none": torch.zeros(0),
        "plain": (1, 2.5, True, None, "word", b"bytes", {1, 2}, [3]),
    }
    save(tmp_path / "good.pt", content)
    read = read_tensors(tmp_path / "good.pt", "a file")
    assert torch.equal(read["view"], content["view"])
    assert torch.equal(read["state_dict"]["weight"], network.weight)
    assert read["plain"] == content["plain"]


# ---------------------------------------------------------------- settings in a checkpoint


@pytest.fixture(scope="module")
def valid_checkpoint() -> dict[str, Any]:
    """The checkpoint of a tiny model."""
    model = tiny_model("videovae")
    settings = {"model": asdict(model.config), "spec": asdict(model.spec)}
    return {"state_dict": model.state_dict(), "hyper_parameters": settings, "clips_seen": 4}


def model_setting(**changed: object) -> Callable[[dict[str, Any]], None]:
    return lambda checkpoint: checkpoint["hyper_parameters"]["model"].update(changed)


def spec_setting(**changed: object) -> Callable[[dict[str, Any]], None]:
    return lambda checkpoint: checkpoint["hyper_parameters"]["spec"].update(changed)


def other(**changed: object) -> Callable[[dict[str, Any]], None]:
    return lambda checkpoint: checkpoint.update(changed)


def endless() -> list[Any]:
    """A list that contains itself."""
    found: list[Any] = []
    found.append(found)
    return found


def laughs() -> list[Any]:
    """Forty nested lists that expand to 2**40."""
    found: list[Any] = []
    for _ in range(40):
        found = [found, found]
    return found


CHECKPOINTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a width of a billion": (model_setting(width=10**9), "but at most"),
    "a code of a billion": (model_setting(code=10**9), "but at most"),
    "a code beyond numbers": (model_setting(code=10**30), "has an integer of 100 bits"),
    "a class path": (model_setting(_target_="os.system"), "names code to run"),
    "a class path as name": (model_setting(name="os.system"), "There is no model"),
    "a list as name": (model_setting(name=["videovae"]), "do not match"),
    "an unknown setting": (model_setting(hook="os.system"), "has no setting `hook`"),
    "a word for a number": (model_setting(code="many"), "do not match"),
    "a secret": (model_setting(given="${oc.env:HOME}"), "is an interpolation, not a plain value"),
    "a secret in the spec": (spec_setting(condition_kind="${oc.env:HOME}"), "is an interpolation, not a plain value"),
    "a terminal": (spec_setting(condition_kind="\x1b]0;owned\x07"), "contains the control character"),
    "a list in itself": (spec_setting(label_names=endless()), "more than 100,000 values"),
    "laughs": (spec_setting(label_names=laughs()), "more than 100,000 values"),
    "a tensor as setting": (model_setting(width=torch.ones(1)), "a value of type Tensor is not plain data"),
    "a tall clip": (spec_setting(height=10**9), "height=1000000000"),
    "a wide clip": (spec_setting(width=10**9), "width=1000000000"),
    "a long clip": (spec_setting(frames=10**12), "frames=1000000000000"),
    "no frames": (spec_setting(frames=-1), "frames=-1"),
    "a word for a height": (spec_setting(height="64"), "height='64'"),
    "no rate": (spec_setting(fps=float("nan")), "fps=nan"),
    "a thick condition": (spec_setting(condition_channels=10**9), "condition_channels=1000000000"),
    "many channels": (spec_setting(channels=10**9), "channels=1000000000; expected 3 or 1"),
    "a word for channels": (spec_setting(channels="3"), "channels='3'; expected 3 or 1"),
    "numbers for actions": (spec_setting(action_names=(1,)), "have the fields"),
    "an unknown field": (spec_setting(fields=("video", "smell")), "smell"),
    "numbers for names": (spec_setting(label_names=(1, 2)), "have the fields"),
    "an unknown key of the spec": (spec_setting(hook="os.system"), "do not match"),
    "no spec": (lambda c: c["hyper_parameters"].pop("spec"), "it contains no model and spec"),
    "no settings": (lambda c: c.pop("hyper_parameters"), "it contains no model and spec"),
    "settings as a list": (other(hyper_parameters=["model", "spec"]), "it contains no model and spec"),
    "no weights": (lambda c: c.pop("state_dict"), "do not match"),
    "weights as a list": (other(state_dict=[1]), "do not match"),
    "a weight too few": (lambda c: c["state_dict"].popitem(), "do not match"),
    "a weight too many": (lambda c: c["state_dict"].update(more=torch.ones(1)), "do not match"),
    "a weight of another shape": (
        lambda c: c["state_dict"].update({next(iter(c["state_dict"])): torch.ones(7)}),
        "do not match",
    ),
    "an unknown average": (other(ema={"nobody": {}}), "do not match"),
    "averages as a list": (other(ema=[1]), "do not match"),
    "a word for a clock": (other(clips_seen="many"), "clips_seen is not an integer"),
    "no clock": (lambda c: c.pop("clips_seen"), "do not match"),
    "words for an accuracy": (other(accuracy={"action": "perfect"}), "accuracy is not a mapping"),
    "a number for an accuracy": (other(accuracy=1.0), "do not match"),
}


@pytest.mark.parametrize(("change", "sentence"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_settings_in_a_checkpoint_are_checked(change, sentence, valid_checkpoint, tmp_path):
    checkpoint = {**valid_checkpoint, "state_dict": dict(valid_checkpoint["state_dict"])}
    checkpoint["hyper_parameters"] = copy.deepcopy(valid_checkpoint["hyper_parameters"])
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "bad.ckpt")
    outcome = in_little_memory(lambda: zoo.load(str(tmp_path / "bad.ckpt")))
    assert outcome.startswith("refused: ")
    assert sentence in outcome


def test_a_model_of_a_billion_layers_is_not_built(tmp_path):
    model = tiny_model("vid2vid")
    settings = {"model": asdict(model.config) | {"blocks": 10**9}, "spec": asdict(model.spec)}
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": settings, "clips_seen": 4}, tmp_path / "bad.ckpt")
    assert "but at most" in in_little_memory(lambda: zoo.load(str(tmp_path / "bad.ckpt")))


def test_a_loaded_model_opens_no_file_that_only_its_training_needed(tmp_path):
    """Its settings come from the checkpoint, and may name any file: an empty one would be refused."""
    (tmp_path / "net.pt").touch()
    model, path = tiny_model("vid2vid"), tmp_path / "a.ckpt"
    settings = asdict(model.config) | {"perceptual": "vgg19", "perceptual_file": str(tmp_path / "net.pt")}
    checkpoint = {"state_dict": model.state_dict(), "clips_seen": 4}
    torch.save(checkpoint | {"hyper_parameters": {"model": settings, "spec": asdict(model.spec)}}, path)
    assert zoo.load(str(path)).config.perceptual_file is None
    settings |= {"first_frame": "image", "image_run": str(tmp_path / "net.pt")}
    torch.save(checkpoint | {"hyper_parameters": {"model": settings, "spec": asdict(model.spec)}}, path)
    with pytest.raises(ZooError, match="needs a model that generates the first frame"):  # which a training stores
        zoo.load(str(path))


@pytest.mark.parametrize("name", zoo.list_models())
def test_every_model_can_be_built_on_the_meta_device(name):
    """Loading a checkpoint builds the model on the meta device first."""
    model = tiny_model(name)
    settings = {"model": asdict(model.config), "spec": asdict(model.spec)}
    ema = {part: module.state_dict() for part, module in model.ema_parts().items()}
    saved = {"state_dict": model.state_dict(), "hyper_parameters": settings, "clips_seen": 4, "ema": ema}
    check_model(Path("good.ckpt"), saved)


GOLDEN = torch.load(GOLDEN / "g1_batch.pt", weights_only=True)["state_dict"][0]
RELEASED: dict[str, tuple[dict[str, Any], str]] = {
    "a width of no numbers": (
        {"model_down_seg.1.weight": torch.zeros(10**6, 15, 7, 0)},
        "model.width is 1000000, but at most",
    ),
    "a scalar": ({"model_down_img.1.weight": torch.tensor(1.0)}, "no released weights of vid2vid"),
    "a flat weight": ({"model_down_seg.1.weight": torch.ones(4)}, "no released weights of vid2vid"),
    "a number of 5000 digits": (
        {f"model_res_img.{'9' * 5000}.conv_block.1.weight": torch.ones(1)},
        "no released weights",
    ),
    "a layer that is none": ({"model_up_img.x.weight": torch.ones(1)}, "no released weights of vid2vid"),
    "no tensor": ({"model_down_seg.1.weight": 3}, "not a state dict"),
}


@pytest.mark.parametrize(("changed", "sentence"), RELEASED.values(), ids=RELEASED)
def test_released_weights_are_checked(changed, sentence, tmp_path):
    (tmp_path / "w").mkdir()
    torch.save({**GOLDEN, **changed}, tmp_path / "w" / "latest_net_G0.pth")
    settings = {"label_count": 5, "height": 16, "width": 32}
    outcome = in_little_memory(lambda: convert("vid2vid", tmp_path / "w", tmp_path / "run", settings))
    assert outcome.startswith("refused: ")
    assert sentence in outcome
    assert not (tmp_path / "run").exists()


def test_released_weights_in_the_legacy_format_are_read(tmp_path):
    legacy(tmp_path / "latest_net_G0.pth", GOLDEN)
    assert Vid2Vid.convert(tmp_path, {"label_count": 5, "height": 16, "width": 32}).config.width == 4


# ---------------------------------------------------------------- config.yaml of a run


def billion_laughs() -> str:
    return "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


def merged_laughs() -> str:
    return "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


CONFIGS: dict[str, tuple[str | bytes, str]] = {
    "a call": ("seed: !!python/object/apply:os.system ['touch ran']", "cannot be read as the settings"),
    "a new object": ("seed: !!python/object/new:os.system ['touch ran']", "cannot be read as the settings"),
    "a class": ("seed: !!python/name:os.system", "cannot be read as the settings"),
    "a module": ("seed: !!python/module:os", "cannot be read as the settings"),
    "a tuple of python": ("seed: !!python/tuple [1]", "cannot be read as the settings"),
    "a class path": ("data: {_target_: os.system, name: puppets}", "names code to run"),
    "a class path, deep": ("data: {name: puppets, more: [{_partial_: true}]}", "names code to run"),
    "a secret": ("data: {name: puppets, view: '${oc.env:HOME}'}", "is an interpolation, not a plain value"),
    "a secret as key": ("data: {'${oc.env:HOME}': 1}", "is an interpolation, not a plain value"),
    "a reference": ("data: {name: '${model.name}'}", "is an interpolation, not a plain value"),
    "a terminal": ('data: {name: "\\e]0;owned\\a"}', "contains the control character"),
    "laughs": (billion_laughs(), "contains an alias"),
    "merged laughs": (merged_laughs(), "contains an alias"),
    "itself": ("data: &d [*d]", "contains an alias"),
    "deep": ("data: " + "[" * 5000 + "]" * 5000, "cannot be read as the settings"),
    "a long number": ("seed: " + "9" * 5000, "cannot be read as the settings"),
    "a date": ("seed: 2020-99-99", "cannot be read as the settings"),
    "another date": ("seed: 2020-01-01", "a value of type date is not plain data"),
    "bytes": ("seed: !!binary aGVsbG8=", "a value of type bytes is not plain data"),
    "a set": ("seed: !!set {a, b}", "a value of type set is not plain data"),
    "a list": ("- a\n- b\n", "contains no mapping of settings"),
    "nothing": ("", "contains no mapping of settings"),
    "two documents": ("a: 1\n---\nb: 2\n", "cannot be read as the settings"),
    "large": ("a: " + "b" * (2 * MEGABYTE), "is larger than"),
    "no text": (b"\xff\xfe\x00", "cannot be read as the settings"),
    "a key that is a list": ("{[a]: 1}", "cannot be read as the settings"),
}


@pytest.mark.parametrize("reads", ["settings", "comparison"])
@pytest.mark.parametrize(("content", "sentence"), CONFIGS.values(), ids=CONFIGS)
def test_settings_of_a_run_are_plain(content, sentence, reads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.yaml"
    file.write_bytes(content) if isinstance(content, bytes) else file.write_text(content)
    outcome = in_little_memory(lambda: read_config(tmp_path) if reads == "settings" else gather([tmp_path]))
    assert outcome.startswith("refused: ")
    assert sentence in outcome
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"name": "os.system"}, "There is no data set `os.system`"),
        ({"name": "../../evil"}, "There is no data set"),
        ({"name": "puppets", "builds": "os:system"}, "There is no setting `builds`"),
        ({"name": ["puppets"]}, "do not name a data set"),
        ({"view": "person"}, "do not name a data set"),
        ("puppets", "do not name a data set"),
        ({"name": "puppets", "frames": "many"}, "`frames`"),
        ({"name": "puppets", "frames": [1]}, "`frames`"),
        ({"name": "puppets", "height": 10**9}, "data.height is 1000000000"),
        ({"name": "puppets", "frames": 10**12}, "data.frames is 1000000000000"),
    ],
)
def test_data_settings_of_a_run_are_typed(data, sentence, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(ZooError, match=sentence):
        data_config(str(tmp_path))


# ---------------------------------------------------------------- files that a comparison reads


def as_json(name: str, content: object) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(content if isinstance(content, str) else json.dumps(content))  # type: ignore[func-returns-value]


def film(**kinds: str) -> Callable[[Path], None]:
    return as_json("clips/index.json", {"key": {"generated": "00/generated.mp4"} | kinds})


def result(**changed: object) -> Callable[[Path], None]:
    """Change fields of the first line of results; ``protocol__name`` is a field of its protocol."""

    def write(run: Path) -> None:
        line = json.loads((run / "results.jsonl").read_text().splitlines()[0])
        for name, value in changed.items():
            group, _, inner = name.rpartition("__")
            (line[group] if group else line)[inner.replace("seen", "seen/clips")] = value
        (run / "results.jsonl").write_text(json.dumps(line))

    return write


def linked_film(run: Path) -> None:
    (run / "clips/00/link.mp4").symlink_to("/etc/passwd")
    film(real="00/link.mp4")(run)


def piped_film(run: Path) -> None:
    os.mkfifo(run / "clips/00/pipe.mp4")
    film(real="00/pipe.mp4")(run)


def wide_film(run: Path) -> None:
    write_video(run / "clips/00/wide.mp4", np.zeros((1, 2, 8000, 3), np.uint8), 5)
    film(real="00/wide.mp4")(run)


DEEP = "[" * 100_000

COMPARED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a film above": (film(generated="../../secret.mp4"), "outside its folder"),
    "an absolute film": (film(generated="/etc/passwd"), "outside its folder"),
    "a linked film": (linked_film, "outside its folder"),
    "a pipe": (piped_film, "that does not exist"),
    "a folder": (film(real="00"), "that does not exist"),
    "no film": (film(real="00/none.mp4"), "that does not exist"),
    "a kind that climbs": (film(**{"/../../../../escaped": "00/real.mp4"}), "of the kind"),
    "an unknown kind": (film(fake="00/real.mp4"), "of the kind"),
    "a kind with a zero": (film(**{"real\0": "00/real.mp4"}), "contains the control character"),
    "a name with a zero": (film(real="00/real.mp4\0.png"), "contains the control character"),
    "a number for a name": (as_json("clips/index.json", {"key": {"real": 3}}), "cannot be read"),
    "a list of films": (as_json("clips/index.json", [1]), "cannot be read"),
    "a word of films": (as_json("clips/index.json", {"key": "x"}), "cannot be read"),
    "a deep index": (as_json("clips/index.json", DEEP), "cannot be read"),
    "a terminal in an index": (as_json("clips/index.json", {"\x1b[2J": {}}), "contains the control character"),
    "a deep result": (as_json("results.jsonl", DEEP), "Line 1"),
    "a list as result": (as_json("results.jsonl", [1]), "Line 1"),
    "a word as result": (as_json("results.jsonl", '"x"'), "Line 1"),
    "endless clips": (result(seen=float("inf")), "Line 1"),
    "no number of clips": (result(seen=float("nan")), "Line 1"),
    "a metric of 400 digits": (result(metrics={"psnr": 10**400}), "Line 1"),
    "a number of 5000 digits": (as_json("results.jsonl", "9" * 5000), "Line 1"),
    "a word as metric": (result(metrics={"psnr": "good"}), "Line 1"),
    "metrics as list": (result(metrics=[1]), "Line 1"),
    "a word as curve": (result(curves={"psnr": "123456789"}), "Line 1"),
    "words in a curve": (result(curves={"psnr": ["good"] * 9}), "Line 1"),
    "a short curve": (result(curves={"psnr": [1.0]}), "one for each measured frame"),
    "a deep curve": (result(curves={"psnr": [[[1.0]]] * 9}), "Line 1"),
    "curves as list": (result(curves=["psnr"]), "Line 1"),
    "a terminal in a curve": (result(curves={"\x1b[2J": [1.0]}), "contains the control character"),
    "a terminal in a result": (result(given="\x1b]0;owned\x07"), "Line 1"),
    "a secret in a result": (result(task="${oc.env:HOME}"), "Line 1"),
    "an unknown protocol": (result(protocol__hook=1), "Line 1"),
    "a protocol of words": (result(protocol__frames="many"), "Line 1"),
    "a protocol beyond numbers": (result(protocol__clips=10**30), "Line 1"),
    "a protocol as list": (result(protocol=[1]), "Line 1"),
    "settings of a protocol as list": (result(protocol__settings=[1]), "Line 1"),
    "curves of bytes": (
        lambda run: (run / "metrics.csv").write_bytes(b"seen/clips,a/b\n\xff\xfe,1\n"),
        "as the curves",
    ),
    "a cell of a megabyte": (as_json("metrics.csv", "seen/clips,a/b\n1," + "x" * MEGABYTE), "as the curves"),
    "a terminal in curves": (as_json("metrics.csv", "seen/clips,a/\x1b[2J\n1,2\n"), "contains the control character"),
}


@pytest.mark.parametrize(("change", "sentence"), COMPARED.values(), ids=COMPARED)
def test_an_untrusted_run_with_bad_files_is_not_compared(change, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.comparison.report.reports_are_there", lambda: False)
    (tmp_path / "inside").mkdir()
    run = make_run(tmp_path / "inside" / "run")
    change(run)
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    with pytest.raises(ZooError) as caught:
        compare([str(run)], tmp_path / "inside" / "out")
    assert sentence in str(caught.value)
    assert {path for path in tmp_path.rglob("*") if "out" not in path.parts} == before


def test_a_film_too_wide_for_a_grid_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("zoo.comparison.report.reports_are_there", lambda: False)
    run = make_run(tmp_path / "run")
    wide_film(run)
    compare([str(run)], tmp_path / "out")
    assert "8000x2 pixels, but a film is at most 16 times as wide as high" in capsys.readouterr().out


@pytest.mark.parametrize(
    "word",
    ["</script><script>alert(1)</script>", "[/x]", "[bold", "|", "<img src=x onerror=alert(1)>", "$data"],
)
def test_texts_of_a_run_are_escaped(word, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.comparison.report.reports_are_there", lambda: False)
    run = make_run(tmp_path / "run", task=word, given=word, model=word)
    result(task=word, given=word, metrics={word: 1.0, f"a/{word}": 1.0}, protocol__features=word)(run)
    (run / "metrics.csv").write_text(f'seen/clips,"val/{word}"\n4,1\n')
    compare([str(run)], tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<script>alert" not in page
    assert "<img" not in page


class OnServer(SimpleNamespace):
    def download(self, root: str, exist_ok: bool) -> None:
        raise AssertionError("nothing may be downloaded")


SERVED = {
    "above": ([("r/results.jsonl", 1), ("r/../../../x", 1)], "outside of its folder"),
    "absolute": ([("/etc/results.jsonl", 1), ("/etc/passwd", 1)], "outside of its folder"),
    "home above": ([("../../r/results.jsonl", 1)], "outside of its folder"),
    "an exabyte": ([("r/results.jsonl", 1 << 60)], "are free"),
}


@pytest.mark.parametrize(("names", "sentence"), SERVED.values(), ids=SERVED)
def test_a_server_cannot_choose_where_files_are_written(names, sentence, tmp_path):
    files = [OnServer(name=name, size=size) for name, size in names]
    api = SimpleNamespace(run=lambda path: SimpleNamespace(files=lambda: files))
    with pytest.raises(ZooError, match=sentence):
        download_wandb_runs(["me/zoo/abc"], tmp_path / "wandb", api)


# ---------------------------------------------------------------- archives


def member(name: str, kind: int = 0, content: bytes = b"x") -> Writer:
    def write(path: Path) -> None:
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = (kind | 0o644) << 16
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("set/good.txt", "good")
            archive.writestr(info, content)

    return write


def archive_bomb(compression: int) -> Writer:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("set/a.avi", b"\0" * (1 << 26))

    return write


def overlapping(path: Path) -> None:
    """A thousand members that share one megabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("set/0.avi", b"\0" * MEGABYTE)
        for number in range(1, 1000):
            again = copy.copy(archive.infolist()[0])
            again.filename = again.orig_filename = f"set/{number}.avi"
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again


def damaged(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/a.avi", os.urandom(1000) + b"a" * 1000)
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)


ARCHIVES: dict[str, tuple[Writer, str]] = {
    "above": (member("../escaped.txt"), "leads out of the folder"),
    "above, deep": (member("set/../../escaped.txt"), "leads out of the folder"),
    "absolute": (member("/tmp/escaped.txt"), "leads out of the folder"),
    "above, of Windows": (member("..\\escaped.txt"), "leads out of the folder"),
    "a drive": (member("C:\\escaped.txt"), "leads out of the folder"),
    "a link": (member("set/link", stat.S_IFLNK, b"/etc/passwd"), "is a link or device"),
    "a character device": (member("set/device", stat.S_IFCHR), "is a link or device"),
    "a block device": (member("set/device", stat.S_IFBLK), "is a link or device"),
    "a pipe": (member("set/pipe", stat.S_IFIFO), "is a link or device"),
    "a socket": (member("set/socket", stat.S_IFSOCK), "is a link or device"),
    "a bomb": (archive_bomb(zipfile.ZIP_DEFLATED), "would decompress from"),
    "a bomb of bzip2": (archive_bomb(zipfile.ZIP_BZIP2), "would decompress from"),
    "a bomb of lzma": (archive_bomb(zipfile.ZIP_LZMA), "would decompress from"),
    "a thousand names": (overlapping, "would decompress from"),
    "damaged": (damaged, "cannot be unpacked"),
    "a tar": (lambda p: tar(p, "x"), "cannot be unpacked"),
    "text": (lambda p: p.write_text("notes"), "cannot be unpacked"),
}


@pytest.mark.parametrize(("make", "sentence"), ARCHIVES.values(), ids=ARCHIVES)
def test_archives_stay_in_their_folder(make, sentence, tmp_path):
    (tmp_path / "root").mkdir()
    make(tmp_path / "root" / "bad.zip")
    with pytest.raises(ZooError, match=rf"bad\.zip .*{sentence}|bad\.zip {sentence}"):
        unpack(tmp_path / "root" / "bad.zip")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "root" / "bad.zip"]


def test_too_little_space_is_detected_before_unpacking(tmp_path, monkeypatch):
    member("set/b.txt")(tmp_path / "a.zip")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(ZooError, match="needs 5 bytes, but 1 are free on that disk, so nothing was unpacked"):
        unpack(tmp_path / "a.zip")


# ---------------------------------------------------------------- caches beside the data

ORIGIN = Origin("a.mp4", "1-2-3", "frames", (2, 3))


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def saved_array(array: Any, **more: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **more)
    return out.getvalue()


def zipped_arrays() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3))
    return out.getvalue()


BEHIND = json.dumps(asdict(ORIGIN)).encode()
CACHES: dict[str, Callable[[Path], bytes]] = {
    "objects": lambda marker: saved_array(np.array([touch(marker)], object), allow_pickle=True) + BEHIND,
    "a pickle": lambda marker: pickle.dumps(touch(marker)),
    "an archive of arrays": lambda marker: zipped_arrays(),
    "a terabyte": lambda marker: header("(1099511627776,)") + b"\0" * 99 + BEHIND,
    "less than nothing": lambda marker: header("(-1,)") + b"\0" * 99 + BEHIND,
    "a call for a shape": lambda marker: header(f"__import__('os').system('touch {marker}')") + BEHIND,
    "a call for a type": lambda marker: header("(2,)", f"__import__('os').system('touch {marker}')") + BEHIND,
    "a long header": lambda marker: b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31) + b"(" * 99,
    "a deep origin": lambda marker: saved_array(np.zeros((2, 3), np.uint8)) + DEEP.encode()[: 1 << 15],
    "a list as origin": lambda marker: saved_array(np.zeros((2, 3), np.uint8)) + b"[1]",
    "no origin": lambda marker: saved_array(np.zeros((2, 3), np.uint8)),
    "nothing": lambda marker: b"",
}


@pytest.mark.parametrize("content", CACHES.values(), ids=CACHES)
def test_a_crafted_array_in_the_cache_is_replaced(content, tmp_path):
    marker = tmp_path / "ran"
    (tmp_path / "name.npy").write_bytes(content(marker))
    made = np.ones((2, 3), np.uint8)
    got = ArrayCache(tmp_path).get_or_make("name", ORIGIN, (2, 3), lambda: made)
    assert got is made
    assert not marker.exists()


def test_an_array_that_the_user_has_not_signed_is_made_anew(tmp_path, monkeypatch):
    """That of another user, and one's own with other pixels; one's own is used."""
    made, cache = np.ones((2, 3), np.uint8), ArrayCache(tmp_path)
    cache.store("name", ORIGIN, made)
    own = (tmp_path / "name.npy").read_bytes()
    assert cache.load("name", ORIGIN, (2, 3)) is not None
    changed = bytearray(own)
    changed[own.index(b"\n{") - 1] ^= 1
    (tmp_path / "name.npy").write_bytes(changed)
    assert cache.load("name", ORIGIN, (2, 3)) is None
    assert np.array_equal(cache.get_or_make("name", ORIGIN, (2, 3), lambda: made), made)
    assert (tmp_path / "name.npy").read_bytes() == own
    monkeypatch.setenv("ZOO_STATE", str(tmp_path / "of another user"))
    assert ArrayCache(tmp_path).load("name", ORIGIN, (2, 3)) is None


def test_an_index_that_the_user_has_not_signed_is_not_used(tmp_path, monkeypatch):
    index = {"a.mp4": {"1": {"frames": 8, "fps": 25.0, "height": 8, "width": 8}}}
    save_index(tmp_path, index)
    [file] = tmp_path.iterdir()
    assert load_index(tmp_path) == index
    file.write_bytes(file.read_bytes().replace(b"25.0", b"50.0"))
    assert load_index(tmp_path) == {}
    save_index(tmp_path, index)
    monkeypatch.setenv("ZOO_STATE", str(tmp_path / "of another user"))
    assert load_index(tmp_path) == {}


def test_a_cache_that_is_a_link_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data/.zoo").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match=r"\.zoo is not writable .*cached in .*home"):
        assert cache_folder(tmp_path / "data").is_relative_to(tmp_path / "home")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "index",
    [
        {},
        {"a": 1},
        {"a": {"s": 1}},
        {"a": {"s": {"frames": 1}}},
        {"a": {"s": {"frames": 10**12, "fps": 25.0, "height": 8, "width": 8}}},
        {"a": {"s": {"frames": 8, "fps": 0.0, "height": 8, "width": 8}}},
        {"a": {"s": {"frames": 8, "fps": float("nan"), "height": 8, "width": 8}}},
        {"a": {"s": {"frames": 8, "fps": 25.0, "height": -8, "width": 8}}},
        {"a": {"s": {"frames": 8, "fps": 25.0, "height": 8, "width": "8"}}},
        {"a": {"s": {"frames": 8, "fps": 25.0, "height": 8, "width": 8, "path": "/etc/passwd"}}},
    ],
)
def test_a_crafted_index_is_ignored(index):
    assert cached_info(index, "a", "s") is None


# ---------------------------------------------------------------- pictures, videos, keypoints


def png(width: int, height: int, rows: int = 0) -> bytes:
    """A black image with a header of this size, of which ``rows`` rows are stored."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * ((1 + width) * rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 154, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + b"\0" * 99


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + b"\0" * 6
        + b",\0\0\0\0"
        + struct.pack("<HHB", width, height, 0)
        + b"\x02\x02\x44\x01\0;"
    )


PICTURES: dict[str, tuple[str, bytes]] = {
    "png of 60000": ("a.png", png(60000, 60000)),
    "png of 16000, whole": ("a.png", png(16000, 16000, 16000)),
    "png of 9000, whole": ("a.png", png(9000, 9000, 9000)),
    "png of 2**31": ("a.png", png(2**31 - 1, 2**31 - 1)),
    "png of nothing": ("a.png", png(0, 0)),
    "png in a jpg": ("a.jpg", png(60000, 60000)),
    "bmp": ("a.bmp", bmp(60000, 60000)),
    "bmp of 12000": ("a.bmp", bmp(12000, 12000)),
    "gif": ("a.gif", gif(65535, 65535)),
    "gif of nothing": ("a.gif", b"GIF89a\x08\0\x08\0\0\0\0;"),
    "text": ("a.png", b"notes"),
    "list of files": ("a.png", b"ffconcat version 1.0\nfile secret.mp4\n"),
    "svg": ("a.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"/>'),
}


@pytest.mark.parametrize(("name", "content"), PICTURES.values(), ids=PICTURES)
def test_bad_images_are_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    outcome = in_little_memory(lambda: read_image(tmp_path / name))
    assert outcome.startswith(f"refused: {tmp_path / name} ")


LISTS: dict[str, str] = {
    "concat": "ffconcat version 1.0\nfile secret.mp4\n",
    "concat of many": "ffconcat version 1.0\n" + "file secret.mp4\n" * 10_000,
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
def test_a_video_that_lists_other_files_is_refused(content, tmp_path):
    write_video(tmp_path / "secret.mp4", np.zeros((3, 32, 32, 3), np.uint8), 5)
    (tmp_path / "a.mp4").write_text(content)
    with pytest.raises(ZooError, match=r"a\.mp4 cannot be read"):
        probe(tmp_path / "a.mp4")


def write_distant_frames(path: Path) -> None:
    """Two frames, thirty years apart: at 25 fps they would be 25 billion frames."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        packets = []
        for number in (0, 1):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, seconds in zip(packets, (0, 10**9), strict=True):
            packet.pts = packet.dts = seconds * 25
            container.mux(packet)


def patched(name: bytes, at: int, *values: int) -> Writer:
    """A video of three frames, with some numbers in a box of its header changed."""

    def write(path: Path) -> None:
        write_video(path, np.zeros((3, 64, 64, 3), np.uint8), 5)
        data = bytearray(path.read_bytes())
        struct.pack_into(f">{len(values)}I", data, data.index(name) + at, *values)
        path.write_bytes(data)

    return write


def endless_table(path: Path) -> None:
    """A table of 2**28 frames of one byte each, in one chunk."""
    patched(b"stsz", 8, 1, 1 << 28)(path)
    data = bytearray(path.read_bytes())
    struct.pack_into(">I", data, data.index(b"stsc") + 16, 1 << 28)
    path.write_bytes(data)


def endless_fragment(path: Path) -> None:
    write_video(path, np.zeros((3, 64, 64, 3), np.uint8), 5)
    run = struct.pack(">I4sIII", 20, b"trun", 1, 1 << 28, 0)
    with path.open("ab") as file:
        file.write(struct.pack(">I4sI4s", 16 + len(run), b"moof", 8 + len(run), b"traf") + run)


def hidden_table(path: Path) -> None:
    patched(b"stsz", 0, int.from_bytes(b"cmov"))(path)


def large_film(path: Path) -> None:
    """A complete black frame in a few thousand bytes."""
    with av.open(str(path), "w", format="mov") as container:
        stream: Any = container.add_stream("png", rate=25)
        stream.width = stream.height = 9000
        stream.pix_fmt = "gray"
        frame = av.VideoFrame.from_ndarray(np.zeros((9000, 9000), np.uint8), format="gray")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


VIDEOS: dict[str, tuple[Writer, str]] = {
    "endless table": (endless_table, "claims 268,435,456 frames"),
    "endless fragment": (endless_fragment, "claims 268,435,456 frames"),
    "hidden table": (hidden_table, "frame table is compressed"),
    "no table": (patched(b"stsz", 0, 0), "a.mp4"),
    "9000 pixels a side": (large_film, "no image of 1 to 67,108,864 pixels"),
}


@pytest.mark.parametrize(("make", "sentence"), VIDEOS.values(), ids=VIDEOS)
def test_bad_videos_are_refused(make, sentence, tmp_path):
    make(tmp_path / "a.mp4")
    outcome = in_little_memory(lambda: probe(tmp_path / "a.mp4"))
    assert outcome.startswith(f"refused: {tmp_path / 'a.mp4'}")
    assert sentence in outcome


@pytest.mark.parametrize("read", [probe, frame_times])
def test_frames_years_apart_are_refused(read, tmp_path):
    write_distant_frames(tmp_path / "a.mkv")
    with pytest.raises(ZooError, match=r"span more than 1,000,000 seconds"):
        read(tmp_path / "a.mkv")


def person(**arrays: list[Any]) -> str:
    return json.dumps({"people": [{name: [1.0] * 3 * count for name, count in ARRAYS.items()} | arrays]})


def point(value: Any) -> list[Any]:
    return [value] * (3 * ARRAYS["pose_keypoints_2d"])


KEYPOINTS: dict[str, str] = {
    "no number": person(pose_keypoints_2d=point(float("nan"))),
    "infinite": person(pose_keypoints_2d=point(float("inf"))),
    "beyond": person(pose_keypoints_2d=point(1e30)),
    "beyond single precision": person(pose_keypoints_2d=point(1e300)),
    "of 400 digits": person(pose_keypoints_2d=point(10**400)),
    "words": person(pose_keypoints_2d=point("x")),
    "lists": person(pose_keypoints_2d=point([1, 2])),
    "too many": person(pose_keypoints_2d=[1.0] * 300_000),
    "deep": DEEP,
    "a list": "[1]",
    "a number for a person": '{"people": [1]}',
    "a number for people": '{"people": 1}',
    "no array": '{"people": [{}]}',
}


@pytest.mark.filterwarnings("ignore")  # numpy warns of numbers beyond single precision
@pytest.mark.parametrize("content", KEYPOINTS.values(), ids=KEYPOINTS)
def test_keypoints_that_are_not_numbers_in_a_frame_are_refused(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ZooError, match=r"a\.json"):
        read_people(tmp_path / "a.json")
