"""The classifier, evaluation with it, and sampling with attributes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from tests.helpers.commands import run_command
from tests.helpers.paths import FIXTURES
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.base import build_set
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError
from zoo.evaluate import evaluate
from zoo.evaluation.evaluate_run import iter_batches
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.attribute_scores import AttributeScores
from zoo.evaluation.results import read_results
from zoo.evaluation.tools import check_classifier_on_real_clips, open_classifier
from zoo.io.contents import with_contents
from zoo.runs.load import load
from zoo.sample import sample
from zoo.settings import EvaluateSettings, SampleSettings
from zoo.training.plan import plan
from zoo.training.trainer import train
from zoo.types import SampleRequest

COMMON = [
    "data.height=32",
    "data.width=32",
    "data.frames=4",
    "data.workers=0",
    "logger.wandb=disabled",
    "trainer.progress=false",
    "trainer.threads=1",
    "evaluation.rounds=1",
    "budget.clips=8",
]
VAE = ["model=videovae", "model.width=4", "model.code=8", "model.hidden=16", "evaluation.clips=2"]
CLASSIFIER = ["model=classifier", "model.width=4", "model.blocks=2", "evaluation.clips=20"]


def trained(run: Path, *overrides: str) -> dict[str, float]:
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return train(plan(compose("train", overrides=[*COMMON, *overrides])), run)


def set_accuracy(run: Path, accuracy: float) -> None:
    """Overwrite the accuracy in a classifier's checkpoint."""
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    checkpoint["accuracy"] = dict.fromkeys(("identity", "action"), accuracy)
    torch.save(with_contents(checkpoint), run / "last.ckpt")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A model and a classifier, trained on a few clips."""
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "vae", *VAE)
    metrics = trained(folder / "classifier", *CLASSIFIER)
    (folder / "classifier-metrics.json").write_text(json.dumps(metrics))
    return folder


def test_accuracy_is_logged_and_stored_in_the_checkpoint(runs):
    metrics = json.loads((runs / "classifier-metrics.json").read_text())
    slug = "20x4f-c0-32x32px"
    line = json.loads((runs / "classifier" / "results.jsonl").read_text().splitlines()[-1])
    accuracy = load(str(runs / "classifier")).accuracy
    for name in ("identity", "action"):
        assert metrics[f"val/accuracy_{name}@{slug}"] == pytest.approx(accuracy[name])
        assert line["metrics"][f"accuracy_{name}"] == pytest.approx(accuracy[name])
    assert metrics[f"val/accuracy@{slug}"] == pytest.approx(sum(accuracy.values()) / 2)


def test_accuracy_equals_a_plain_reference(runs):
    """Counted clip by clip, without the callback."""
    classifier = load(str(runs / "classifier"))
    config = PuppetsConfig(frames=4, height=32, width=32, view="person")
    clips = build_set(config, "val", frozenset({"attributes"}), 0)
    right, steady = 0, 0
    for index in range(20):
        clip = clips.clip(index, 0, 4)
        actions = set(clip["attributes"]["action"].tolist())
        if len(actions) == 1:
            steady += 1
            right += int(classifier.classify(clip["video"][None])["action"].argmax()) in actions
    assert 10 < steady < 20
    assert classifier.accuracy["action"] == pytest.approx(right / steady)


def test_all_evaluation_clips_are_used_if_the_card_advises_more(tmp_path):
    root = shutil.copytree(FIXTURES / "weizmann", tmp_path / "weizmann")
    settings = ["model=classifier", "model.width=4", "data=weizmann", f"data.root={root}"]
    with pytest.warns(UserWarning, match="8 of the 93 videos"):
        trained(tmp_path / "run", *settings, "data.frames=10")
    line = json.loads((tmp_path / "run" / "results.jsonl").read_text().splitlines()[-1])
    assert line["protocol"]["clips"] == 8
    assert "clips: 8" in (tmp_path / "run" / "config.yaml").read_text()


def evaluation_of(runs: Path, **settings) -> EvaluateSettings:
    """Settings to evaluate VideoVAE with the classifier."""
    return EvaluateSettings(run=str(runs / "vae"), classifier=str(runs / "classifier"), **settings)


def test_classifiers_of_low_accuracy_are_rejected(runs):
    set_accuracy(runs / "classifier", 0.98)
    with pytest.raises(ZooError, match=r"identity 98.0%, action 98.0%, but 99% is required .* budget.clips=32"):
        evaluate(evaluation_of(runs, clips=4))
    for known in ({"identity": 1.0, "action": float("nan")}, {"identity": 1.0}):
        checkpoint = torch.load(runs / "classifier" / "last.ckpt", weights_only=True)
        torch.save(with_contents(checkpoint | {"accuracy": known}), runs / "classifier" / "last.ckpt")
        with pytest.raises(ZooError, match="action nan%"):
            evaluate(evaluation_of(runs, clips=4))
    with pytest.raises(
        ZooError, match=r"is not accurate enough on the real clips of this run's data: accuracy_action 90.0%"
    ):
        check_classifier_on_real_clips(
            {"accuracy_action": 0.2, "real/accuracy_identity": 1.0, "real/accuracy_action": 0.9}
        )


def test_classifiers_of_other_clips_are_rejected(runs):
    set_accuracy(runs / "classifier", 1.0)
    spec = load(str(runs / "vae")).spec
    assert open_classifier(str(runs / "classifier"), spec).card.name == "classifier"
    with pytest.raises(ZooError, match="which classifies nothing"):
        open_classifier(str(runs / "vae"), spec)
    with pytest.raises(ZooError, match="trained on clips of height 32; those here have 64"):
        open_classifier(str(runs / "classifier"), replace(spec, height=64))
    with pytest.raises(ZooError, match=r"trained on clips of fps 12.5; those here have 25.0"):
        open_classifier(str(runs / "classifier"), replace(spec, fps=25.0))
    with pytest.raises(ZooError, match="trained on clips of attributes"):
        open_classifier(str(runs / "classifier"), replace(spec, attributes={"scene": ("a", "b")}))
    assert (
        open_classifier(str(runs / "classifier"), replace(spec, attributes={})).card.name == "classifier"
    )  # of videos alone


def test_evaluation_reports_the_metrics_of_the_classifier(runs, monkeypatch):
    set_accuracy(runs / "classifier", 1.0)
    settings = evaluation_of(runs, clips=7, batch_size=3)
    with pytest.raises(ZooError, match="is not accurate enough on the real clips of this run's data"):
        evaluate(settings)  # it was trained for a moment
    assert read_results(runs / "vae")[-1].protocol.features == ""  # what needs no classifier was kept
    monkeypatch.setattr("zoo.evaluation.tools.LEAST_ACCURACY", 0.0)
    read: list[str] = []
    for place in ("evaluate_run", "tools"):
        monkeypatch.setattr(f"zoo.evaluation.{place}.load", lambda path: read.append(path) or load(path))
    measured = evaluate(settings)
    assert read == [settings.run, settings.classifier]  # each once, for both ways to begin
    classified = {each.given: each.metrics for each in measured if each.protocol.features == "classifier"}
    assert list(classified) == ["attributes", "attributes, 1 frame"]
    own = [result.metrics for result in read_results(runs / "vae") if not result.baseline]
    assert own[-4:] == [each.metrics for each in measured]
    assert {each.protocol.clips for each in measured} == {7}
    assert [each.protocol.frames for each in measured] == [
        4,
        4,
        5,
        5,
    ]  # the classifier sees four, of which none was given
    assert "l1" not in measured[0].metrics  # nothing says which clip attributes alone should give
    assert "l1" in measured[2].metrics
    # At once, and without the command.
    config = PuppetsConfig(frames=5, height=32, width=32, view="person")
    [clip] = iter_batches(build_set(config, "val", frozenset({"attributes"}), 0), range(7), 5, 10)
    classifier, model = load(str(runs / "classifier")), load(str(runs / "vae"))
    metric = AttributeScores("accuracy", Setup(4, 7, classifier=classifier))
    known = {"attributes": {name: ids[:, 1:] for name, ids in clip["attributes"].items()}}
    with torch.no_grad():
        metric.update(Videos(clip["video"][:, 1:], known), real=True)
        metric.update(Videos(model.sample(SampleRequest(5, clip, context=1)).video[:, 1:], known), real=False)
    assert classified["attributes, 1 frame"] == pytest.approx(metric.compute(), rel=1e-4)
    cold = evaluate(replace(settings, temperature=0.25, context=0, clips=2))
    assert cold[0].protocol.slug == "2x4f-c0-32x32px-temperature0.25"
    again = [each.metrics for each in evaluate(settings)]
    assert again == [each.metrics for each in measured]


def test_paired_metrics_need_a_reference_clip(runs):
    vae = str(runs / "vae")
    with pytest.raises(
        ZooError,
        match="psnr compares each sample with its real clip, but samples of videovae without context frames have no",
    ):
        evaluate(EvaluateSettings(run=vae, clips=2, metrics=["psnr"], context=0))
    with pytest.raises(ZooError, match="label_miou needs a model that generates from label maps"):
        evaluate(EvaluateSettings(run=vae, clips=2, metrics=["label_miou"], segmenter="x", context=1))
    [measured] = evaluate(
        EvaluateSettings(run=vae, clips=2, metrics=["psnr"])
    )  # so it is not asked for without a frame
    assert measured.protocol.context == 1


@pytest.mark.parametrize("settings", [{"clips": 0}, {"batch_size": 0}])
def test_evaluation_settings_of_zero_are_rejected(runs, settings):
    set_accuracy(runs / "classifier", 1.0)
    with pytest.raises(ZooError, match=f"{next(iter(settings))} is 0, but at least 1 is required"):
        evaluate(evaluation_of(runs, **settings))


def test_classifiers_can_be_neither_evaluated_nor_sampled(runs):
    with pytest.raises(ZooError, match="is a classifier: it makes no videos to measure"):
        evaluate(EvaluateSettings(run=str(runs / "classifier")))
    with pytest.raises(ZooError, match="which classifies videos and cannot generate them"):
        sample(SampleSettings(str(runs / "classifier")))


# ---------------------------------------------------------------- zoo.sample with attributes


def test_files_of_samples_are_named_after_their_attributes(runs, tmp_path):
    asked = {"action": "walk@0,run@5,walk@10"}
    written = sample(SampleSettings(str(runs / "vae"), frames=12, clips=2, attributes=asked, out=str(tmp_path)))
    stems = [f"sample_{i}-action-walk@0_run@5_walk@10-seed0-draw0" for i in (0, 1)]
    assert {path.name for path in written} == {f"{stem}.{end}" for stem in stems for end in ("mp4", "png")}


def test_sample_command_accepts_a_transition_and_suggests_corrections(runs, tmp_path):
    asked = ["attributes.action=walk@0,run@2", "attributes.identity=cleo", "frames=4", "clips=1", f"out={tmp_path}"]
    words = ["zoo.sample", f"run={runs / 'vae'}", *asked]
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    assert "sample_0-action-walk@0_run@2-identity-cleo-seed0-draw0.mp4" in done.stdout
    wrong = run_command(*words, "attributes.action=wlak")
    assert wrong.returncode == 1
    assert "Did you mean `walk`?" in wrong.stderr


@pytest.mark.parametrize("settings", [{"context": -1}, {"clips": 0}, {"frames": 0}, {"temperature": -1.0}])
def test_invalid_sampling_settings_are_rejected(runs, settings):
    name, value = next(iter(settings.items()))
    with pytest.raises(ZooError, match=f"{name} is {value}, but at least"):
        sample(SampleSettings(str(runs / "vae"), **settings))


def test_samples_can_continue_or_reconstruct_a_video(runs, tmp_path):
    cold = sample(SampleSettings(str(runs / "vae"), clips=1, temperature=0.5, draws=2, out=str(tmp_path)))
    assert [path.name for path in cold[::2]] == [f"sample_0-temperature0.5-seed0-draw{i}.mp4" for i in (0, 1)]
    [film, _] = sample(SampleSettings(str(runs / "vae"), clips=1, context=1, out=str(tmp_path)))
    assert film.name == "puppets_val-000000_0-seed0-draw0.mp4"
    continued = SampleSettings(str(runs / "vae"), frames=9, given=str(film), context=3, out=str(tmp_path / "on"))
    assert sample(continued)[0].name == f"{film.stem}-context3-seed0-draw0.mp4"
    too_many = SampleSettings(str(runs / "vae"), given=str(film), context=5, out=str(tmp_path))
    with pytest.raises(ZooError, match=r"has 4 frames at 12.5 fps, but 5 are required"):
        sample(too_many)
    from zoo.data.decode import probe

    back = SampleSettings(str(runs / "vae"), given=str(film), reconstruct=True, out=str(tmp_path / "back"))
    assert probe(sample(back)[0]).frames == 4


def test_sampling_options_of_other_models_are_rejected(runs):
    with pytest.raises(ZooError, match="videovae has no sampling option `first_frame`"):
        sample(SampleSettings(str(runs / "vae"), first_frame="generated"))
