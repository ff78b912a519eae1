"""What a machine or a model cannot do is told before torch is imported, with what to type instead."""

import subprocess
import sys
from dataclasses import replace

import pytest

from zoo import ZooError
from zoo.card import MODELS
from zoo.devices import hardware as machine
from zoo.devices.hardware import gpus, processes
from zoo.settings import Strategy, Train, TrainerSettings
from zoo.testing import tiny_data
from zoo.training.preflight import check


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("CXX", raising=False)


def problems(model: str, strategy: Strategy, **trainer: object) -> str:
    data = tiny_data(model)
    settings = Train(MODELS.find(model).config.tiny(), data, strategy, TrainerSettings(**trainer))
    try:
        check(MODELS.find(model).card, data.spec(), settings)
    except ZooError as mistake:
        return str(mistake)
    return ""


AUTO = Strategy("auto", "auto", "1")
DDP, FSDP, DEEPSPEED = (Strategy(name, "auto", "auto") for name in ("ddp", "fsdp", "deepspeed"))


@pytest.mark.parametrize(
    ("model", "strategy", "trainer", "sentence"),
    [
        ("vid2vid", DEEPSPEED, {}, "several optimizers in turn, and DeepSpeed takes one. What works: auto, cpu, ddp"),
        ("videovae", DEEPSPEED, {}, "strategy=deepspeed needs a GPU, and there is none here"),
        ("videovae", FSDP, {}, "this training has one. Try: strategy=fsdp strategy.accelerator=cpu strategy.devices=2"),
        ("videovae", replace(AUTO, devices="2"), {}, "strategy.devices=2 asks for 2. Try: strategy=ddp"),
        ("videovae", replace(DDP, devices="many"), {}, "strategy.devices=many is no number of devices"),
        ("videovae", DDP, {"num_nodes": 0}, "trainer.num_nodes=0: one machine at least"),
        ("videovae", AUTO, {"num_nodes": 2}, "trainer.num_nodes=2 takes a strategy of several processes"),
        ("vid2vid", AUTO, {"precision": "16"}, "trainer.precision=16 needs a GPU. On the processor bf16 works"),
        ("vid2vid", AUTO, {"precision": "16-mixed"}, "trainer.precision=16-mixed needs a GPU"),
        ("vid2vid", AUTO, {"precision": "bf61"}, "trainer.precision=bf61 is not a choice. Did you mean `bf16`?"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(model, strategy, trainer, sentence):
    assert sentence in problems(model, strategy, **trainer)


@pytest.mark.parametrize("precision", ["32", "bf16", "64", "32-true", "64-true", "bf16-mixed", "bf16-true"])
def test_what_works_is_let_through(precision):
    for model in ("vid2vid", "videovae"):
        for strategy in (AUTO, Strategy("cpu", "cpu", "1"), DDP, Strategy("fsdp", "cpu", "2")):
            assert problems(model, strategy, precision=precision, compile=True) == ""


def test_deepspeed_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    assert "pip install 'video-zoo[deepspeed]'" in problems("videovae", DEEPSPEED)
    monkeypatch.setattr(machine, "find_spec", lambda name: name)
    monkeypatch.setattr(machine, "gpus", lambda: 2)
    assert problems("videovae", DEEPSPEED) == ""
    assert "DeepSpeed takes one" in problems("pix2pixhd", DEEPSPEED)
    assert "DeepSpeed knows no trainer.precision=64" in problems("videovae", DEEPSPEED, precision="64")
    assert "Try: trainer.precision=bf16" in problems("videovae", FSDP, precision="16")
    assert problems("videovae", DDP, precision="16") == ""


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "trainer.compile=true needs a C++ compiler (c++, g++, clang++)" in problems("classifier", AUTO, compile=True)
    monkeypatch.setenv("CXX", "/opt/c++")
    assert problems("classifier", AUTO, compile=True) == ""


def test_sharded_weights_lie_by_default():
    assert "Leave trainer.channels_last out" in problems("vid2vid", FSDP, channels_last=True)
    assert problems("vid2vid", DDP, channels_last=True) == ""


def test_gpus_are_counted_as_they_are_shown(monkeypatch):
    monkeypatch.setattr(machine, "version", lambda name: "2.14.1+cu130")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert gpus() == 2
    monkeypatch.setattr(machine, "version", lambda name: "2.14.1+cpu")
    assert gpus() == 0


@pytest.mark.parametrize(
    ("devices", "count"), [("auto", 1), ("3", 3), ("[0, 2]", 2), ("0,", 1), ("-1", 1), ("0", None)]
)
def test_processes_are_counted(devices, count):
    settings = Train(strategy=Strategy("ddp", "cpu", devices), trainer=TrainerSettings(num_nodes=2))
    assert processes(settings) == (count and 2 * count)


def test_it_is_told_without_torch():
    code = "import sys, zoo.devices.hardware, zoo.training.preflight; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
