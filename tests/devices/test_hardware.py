"""Unsupported strategies, devices and precisions are refused before torch is imported, with a suggestion."""

import subprocess
import sys
from dataclasses import replace

import pytest

from zoo import ZooError
from zoo.card import MODELS
from zoo.devices import hardware
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
        ("vid2vid", DEEPSPEED, {}, "supports one optimizer, and vid2vid trains with several. It supports auto"),
        ("videovae", DEEPSPEED, {}, "strategy=deepspeed needs a GPU, and none is available with accelerator=auto"),
        ("videovae", FSDP, {}, "this training has one. Try: strategy=fsdp strategy.accelerator=cpu strategy.devices=2"),
        ("videovae", replace(AUTO, devices="2"), {}, "but strategy.devices=2 needs 2. Try: strategy=ddp"),
        ("videovae", replace(DDP, devices="many"), {}, "devices=many is neither a number of devices nor a list"),
        ("videovae", replace(AUTO, accelerator="tpu"), {}, "strategy.accelerator=tpu is not a choice. Did you mean"),
        ("videovae", replace(AUTO, accelerator="gpu"), {}, "accelerator=gpu, but there is no such device here. Try: s"),
        ("videovae", AUTO, {"num_nodes": 2}, "trainer.num_nodes=2 needs a strategy for several processes"),
        ("vid2vid", AUTO, {"precision": "16"}, "trainer.precision=16 needs a GPU. bf16 works on the CPU"),
        ("vid2vid", AUTO, {"precision": "16-mixed"}, "trainer.precision=16-mixed needs a GPU"),
        ("vid2vid", AUTO, {"precision": "bf61"}, "trainer.precision=bf61 is not a choice. Did you mean `bf16`?"),
    ],
)  # fmt: skip
def test_unsupported_settings_are_refused(model, strategy, trainer, sentence):
    assert sentence in problems(model, strategy, **trainer)


@pytest.mark.parametrize("precision", ["32", "bf16", "64", "32-true", "64-true", "bf16-mixed", "bf16-true"])
def test_supported_settings_are_accepted(precision):
    for model in ("vid2vid", "videovae"):
        for strategy in (AUTO, Strategy("cpu", "cpu", "1"), DDP, Strategy("fsdp", "cpu", "2")):
            assert problems(model, strategy, precision=precision, compile=True) == ""


def test_deepspeed_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(hardware, "find_spec", lambda name: None)
    assert "pip install 'video-zoo[deepspeed]'" in problems("videovae", DEEPSPEED)
    monkeypatch.setattr(hardware, "find_spec", lambda name: name)
    monkeypatch.setattr(hardware, "gpus", lambda: 2)
    assert problems("videovae", DEEPSPEED) == ""
    assert "supports one optimizer" in problems("pix2pixhd", DEEPSPEED)
    assert "DeepSpeed does not support trainer.precision=64" in problems("videovae", DEEPSPEED, precision="64")
    assert "Try: trainer.precision=bf16" in problems("videovae", FSDP, precision="16")
    assert problems("videovae", DDP, precision="16") == ""


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "trainer.compile=true needs a C++ compiler, and none of c++, g++, clang++ is on the PATH" in problems(
        "classifier", AUTO, compile=True
    )
    monkeypatch.setenv("CXX", "/opt/c++")
    assert problems("classifier", AUTO, compile=True) == ""


def test_channels_last_with_fsdp_is_refused():
    assert "Leave trainer.channels_last out" in problems("vid2vid", FSDP, channels_last=True)
    assert problems("vid2vid", DDP, channels_last=True) == ""


def test_gpus_are_counted_as_cuda_visible_devices_lists_them(monkeypatch):
    monkeypatch.setattr(hardware, "version", lambda name: "2.14.1+cu130")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert gpus() == 2
    monkeypatch.setattr(hardware, "version", lambda name: "2.14.1+cpu")
    assert gpus() == 0


@pytest.mark.parametrize(
    ("devices", "count"), [("auto", 1), ("3", 3), ("[0, 2]", 2), ("0,", 1), ("-1", 1), ("0", None)]
)
def test_processes_are_counted(devices, count):
    settings = Train(strategy=Strategy("ddp", "cpu", devices), trainer=TrainerSettings(num_nodes=2))
    assert processes(settings) == (count and 2 * count)


def test_checks_import_no_torch():
    code = "import sys, zoo.devices.hardware, zoo.training.preflight; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
