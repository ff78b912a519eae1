"""Named protocols of prediction on moving digits: every field, the source of the digits, and what is refused."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.sets.moving_mnist import config as moving_mnist_config
from zoo.data.sets.moving_mnist.config import MovingMNISTConfig
from zoo.data.sets.moving_mnist.digits import load_digits
from zoo.data.sets.moving_mnist.files import CLIPS_NAME, MNIST, PACKAGED, MNISTFiles
from zoo.errors import ZooError
from zoo.evaluate import evaluate
from zoo.evaluation import evaluate_run
from zoo.evaluation.named_protocols import NAMED_PROTOCOLS, apply_protocol, choose_source
from zoo.evaluation.results import read_results
from zoo.settings import EvaluateSettings
from zoo.training.plan import plan
from zoo.training.trainer import train

TINY = [
    "model=svg",
    "model.width=4",
    "model.code=16",
    "model.latent=4",
    "model.hidden=16",
    "model.context=2",
    "data=moving_mnist",
    "data.variant=srvp",
    "data.frames=4",
    "data.workers=0",
    "data.batch_size=2",
    "budget.clips=2",
    "evaluation.rounds=1",
    "evaluation.clips=1",
    "trainer.progress=false",
    "trainer.threads=1",
    "logger.wandb=disabled",
]
PUBLISHED = {
    "svg-smmnist": ("svg", 256, 30, 5, 100, ["psnr", "ssim_range2", "ssim", "sharpness"]),
    "srvp-smmnist": ("srvp", 5000, 25, 5, 100, ["psnr", "ssim", "sharpness"]),
    "predrnn-mmnist": ("predrnn", 10_000, 20, 10, 1, ["mse_sum", "mae_sum", "psnr", "ssim_range2", "ssim"]),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("run")
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        train(plan(compose("train", overrides=TINY)), run)
    return run


@pytest.fixture
def short(monkeypatch):
    """Makes a protocol shorter without giving it another name."""

    def shorten(name: str, **settings: object) -> None:
        named = NAMED_PROTOCOLS[name]
        sources = tuple(replace(each, clips=settings["clips"]) for each in named.sources)
        changed = replace(named, settings={**named.settings, **settings}, sources=sources)
        monkeypatch.setitem(NAMED_PROTOCOLS, name, changed)

    return shorten


@pytest.mark.parametrize("name", PUBLISHED)
def test_all_fields_are_set_at_once(name):
    applied, named = apply_protocol(EvaluateSettings(protocol=name, run="runs/x"))
    variant, *measured, metrics = PUBLISHED[name]
    assert [applied.clips, applied.frames, applied.context, applied.draws] == measured
    assert (applied.split, applied.seed, applied.metrics) == ("test", 0, metrics)
    assert (named.data, dict(named.data_settings)) == ("moving_mnist", {"variant": variant, "digits": 2, "channels": 1})
    assert (named.height, named.width, named.selection) == (64, 64, "first")
    assert set(named.settings) <= {each.name for each in fields(EvaluateSettings)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"context": 1}, "context=1, but the protocol srvp-smmnist has context=5"),
        ({"draws": 1}, "draws=1, but the protocol srvp-smmnist has draws=100.*draws=1 protocol_name=<name>"),
        ({"frames": 30}, "frames=30, but"),
        ({"split": "val"}, "split=val, but"),
        ({"clips": 64}, "clips=64, but"),
        ({"temperature": 0.5}, "temperature=0.5, but"),
        ({"metrics": ["psnr"]}, "metrics="),
        ({"features": "r3d_18"}, "features=r3d_18, but"),
        ({"height": 32}, "height=32, but"),
        ({"protocol_name": "srvp-smmnist-zoo-digits"}, "is the name of a published protocol"),
        ({"protocol_name": "predrnn-mmnist-drawn"}, "is the name of a published protocol"),
    ],
)
def test_overrides_are_refused_unless_the_protocol_is_renamed(changed, said):
    with pytest.raises(ZooError, match=said):
        apply_protocol(EvaluateSettings(**({"protocol": "srvp-smmnist"} | changed)))


def test_a_renamed_protocol_can_have_one_draw():
    applied, _ = apply_protocol(EvaluateSettings(protocol="srvp-smmnist", protocol_name="mine", draws=1, context=2))
    assert (applied.draws, applied.context, applied.frames) == (1, 2, 25)


@pytest.mark.parametrize(
    ("name", "digits", "has_file", "called", "clips"),
    [
        ("svg-smmnist", MNIST, False, "svg-smmnist", 256),
        ("svg-smmnist", PACKAGED, False, "svg-smmnist-zoo-digits", 256),
        ("srvp-smmnist", MNIST, True, "srvp-smmnist", 5000),
        ("srvp-smmnist", PACKAGED, False, "srvp-smmnist-zoo-digits", None),
        ("predrnn-mmnist", PACKAGED, True, "predrnn-mmnist", 10_000),  # the file alone decides what is measured
        ("predrnn-mmnist", MNIST, True, "predrnn-mmnist", 10_000),
        ("predrnn-mmnist", MNIST, False, "predrnn-mmnist-drawn", None),
        ("predrnn-mmnist", PACKAGED, False, "predrnn-mmnist-zoo-digits", None),
    ],
)
def test_the_source_of_the_clips_is_part_of_the_name(monkeypatch, caplog, name, digits, has_file, called, clips):
    found = MNISTFiles({"any": Path()} if digits == MNIST else {}, Path(CLIPS_NAME) if has_file else None)
    monkeypatch.setattr(moving_mnist_config, "find_files", lambda root: found)
    data = MovingMNISTConfig(variant=PUBLISHED[name][0], root="mnist")
    with caplog.at_level("INFO", logger="zoo"):
        named, count = choose_source(*_settings_data_protocol(name, data))
    assert (named.name, count) == (called, clips)
    assert bool(caplog.text) == (called != name)
    assert called == name or f"The measurement is called {called}." in caplog.text
    with_own_name, count = choose_source(*_settings_data_protocol(name, data, protocol_name="mine", clips=7))
    assert (with_own_name.name, count) == ("mine", 7)


def _settings_data_protocol(name, data, **more):
    settings, named = apply_protocol(EvaluateSettings(protocol=name, **more))
    return settings, data, named


def test_other_data_is_refused(run, tmp_path):
    with pytest.raises(ZooError) as error:
        evaluate(EvaluateSettings(run=str(run), protocol="svg-smmnist"))
    assert "was trained with data.variant=srvp, but the protocol svg-smmnist is of data.variant=svg" in str(error.value)
    assert "zoo.train data=moving_mnist data.variant=svg data.digits=2 data.channels=1" in str(error.value)
    assert "protocol_name=<name>" in str(error.value)
    for config, said in (
        (MovingMNISTConfig(variant="svg", digits=1), "data.digits=1, but"),
        (MovingMNISTConfig(variant="svg", channels=3), "data.channels=3, but"),
        (replace(MovingMNISTConfig(), name="puppets"), "data.name=puppets, but"),
    ):
        with pytest.raises(ZooError, match=said):
            NAMED_PROTOCOLS["svg-smmnist"].check_data("runs/x", config)
    with pytest.raises(ZooError, match="it measures a run"):
        evaluate(EvaluateSettings(real=str(tmp_path), fake=str(tmp_path), protocol="srvp-smmnist"))


def test_a_run_is_measured_under_the_protocol(run, short):
    """The context is the protocol's, not the default of 1 and not the one of the training."""
    short("srvp-smmnist", clips=3, draws=2, frames=8)
    [measured] = evaluate(EvaluateSettings(run=str(run), protocol="srvp-smmnist", batch_size=2))
    protocol = measured.protocol
    assert protocol.key("psnr_best") == "test/psnr_best@3x8f-c5-64x64px-1ch-d2-srvp-smmnist-zoo-digits"
    assert (protocol.selection, protocol.settings["source"]) == ("first", PACKAGED)
    assert {"psnr", "psnr_best", "psnr_worst", "ssim_best", "sharpness"} <= set(measured.metrics)
    assert {name: len(curve) for name, curve in measured.curves.items()}["ssim_best"] == 3
    rows = [result.baseline for result in read_results(run) if result.protocol == protocol]
    assert rows == ["", "given frame repeated", "mean of the given frames", "black frames"]


def test_all_clips_are_measured_where_the_digits_are_fewer(run, short):
    """Two of the test digits that travel with the zoo make a clip."""
    short("srvp-smmnist", clips=None, draws=1, frames=6, metrics=["psnr"])
    [measured] = evaluate(EvaluateSettings(run=str(run), protocol="srvp-smmnist", baselines=False, batch_size=64))
    assert measured.protocol.clips == len(load_digits(None, "test")) // 2 > 256


def test_lpips_is_measured_where_its_weights_are_present(monkeypatch, tmp_path):
    names = {}
    file = tmp_path / "alexnet.pth"
    monkeypatch.setattr(evaluate_run, "backbone_file", lambda net: file if net == "alex" else tmp_path / "none")
    for present in (False, True):
        if present:
            file.touch()
        for name in PUBLISHED:
            settings, named = apply_protocol(EvaluateSettings(protocol=name))
            names[name, present] = evaluate_run.metric_names(settings, None, named)
    assert names["srvp-smmnist", True] == [*names["srvp-smmnist", False], "lpips_alex"]
    assert names["svg-smmnist", True][-1] == "lpips_alex"
    assert names["predrnn-mmnist", True] == names["predrnn-mmnist", False] == PUBLISHED["predrnn-mmnist"][-1]
    settings, named = apply_protocol(EvaluateSettings(protocol="srvp-smmnist", protocol_name="mine", metrics=["psnr"]))
    assert evaluate_run.metric_names(settings, None, named) == ["psnr"]
