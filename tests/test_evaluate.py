"""`python -m zoo.evaluate`: runs under several protocols, and two folders of videos."""

import shutil
import weakref
from dataclasses import dataclass, field, fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import wandb
from hydra import compose, initialize_config_dir

from tests.helpers.commands import run_command
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.base import build_set
from zoo.data.decode import probe, read_frames, write_video
from zoo.errors import ZooError
from zoo.evaluate import evaluate, show
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, read_results
from zoo.evaluation.suite import Suite
from zoo.models.vid2vid.model import Vid2Vid
from zoo.runs.load import data_config, load
from zoo.settings import EvaluateSettings
from zoo.testing import recorded_reads
from zoo.training.plan import Plan, plan
from zoo.training.trainer import train
from zoo.types import SampleRequest

TINY = [
    "model.width=8",
    "model.downsamplings=1",
    "model.blocks=2",
    "model.discriminator_width=8",
    "model.discriminator_layers=2",
    "data.height=32",
    "data.width=32",
    "data.frames=4",
    "data.workers=0",
    "budget.clips=1",
    "data.batch_size=1",
    "evaluation.rounds=1",
    "evaluation.clips=1",
    "trainer.progress=false",
    "trainer.threads=1",
    "logger.wandb=disabled",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("run")
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        train(plan(compose("train", overrides=TINY)), run)
    return run


def own_results(run: Path) -> list[Result]:
    """The results of the model, without those of trivial samples."""
    return [result for result in read_results(run) if not result.baseline]


def test_evaluation_of_a_run_repeats_the_last_validation_round(run):
    """Clips, weights and samples are the same, so the values are."""
    [trained] = read_results(run)[:1]
    [measured] = evaluate(EvaluateSettings(run=str(run), clips=1))
    assert measured.protocol == trained.protocol
    assert measured.given == trained.given == "labels, 1 frame"
    for name, value in trained.metrics.items():
        assert measured.metrics[name] == pytest.approx(value, rel=1e-5)
    stored = own_results(run)[-1]
    assert stored.metrics == pytest.approx(measured.metrics)
    assert stored.curves == measured.curves
    assert trained.curves.keys() == measured.curves.keys() == {"l1", "psnr", "ssim"}
    for name, curve in trained.curves.items():
        assert measured.curves[name] == pytest.approx(curve, rel=1e-5)
        assert sum(curve) / len(curve) == pytest.approx(trained.metrics[name])
    assert {"warping_error_dis", "real/warping_error_dis", "flicker", "motion_dis"} <= set(measured.metrics)
    assert {"temporal_distance", "first_step"} <= set(measured.metrics)


def test_draws_frames_and_exact_flow_match_plain_loops(run):
    settings = EvaluateSettings(run=str(run), clips=3, frames=6, context=2, draws=2, flow="exact", batch_size=2, seed=5)
    [measured] = evaluate(settings)
    assert (measured.protocol.slug, measured.protocol.seed) == ("3x6f-c2-32x32px-d2", 5)
    assert {"l1_best", "l1_worst", "diversity", "warping_error_exact"} <= set(measured.metrics)
    from dataclasses import replace

    from torch.utils.data import default_collate

    model, config = load(str(run)), replace(data_config(str(run)), frames=6)
    clips = build_set(config, "val", model.card.wanted(), 0)
    distances, curves = [], []
    for index in range(3):
        clip = default_collate([clips.clip(index, 0, 6)])
        for draw in range(2):
            with torch.no_grad():
                generated = model.sample(SampleRequest(6, clip, 2, 5, draw)).video
            distances.append(float((generated - clip["video"])[:, 2:].abs().mean()))
            curves.append((generated - clip["video"])[0, 2:].abs().mean((1, 2, 3)))
    assert measured.metrics["l1"] == pytest.approx(sum(distances) / 6, rel=1e-5)
    best = [min(pair) for pair in zip(distances[::2], distances[1::2], strict=True)]
    assert measured.metrics["l1_best"] == pytest.approx(sum(best) / 3, rel=1e-5)
    worst = [max(pair) for pair in zip(distances[::2], distances[1::2], strict=True)]
    assert measured.metrics["l1_worst"] == pytest.approx(sum(worst) / 3, rel=1e-5)
    assert measured.curves["l1"] == pytest.approx(sum(curves).div(6).tolist(), rel=1e-5)


def test_trivial_samples_are_measured_on_the_same_clips_by_default(run, capsys):
    """The first frame repeated, worked out here; every draw of it is the same. Two videos of the same clips later, the
    network is still far from it."""
    settings = EvaluateSettings(run=str(run), clips=2, draws=2, metrics=["l1", "flicker", "diversity"], batch_size=1)
    [measured] = evaluate(settings)
    still, colours = measured.baselines.values()
    assert list(measured.baselines) == ["given frame repeated", "each label in its mean colour of the given frame"]
    model, config = load(str(run)), data_config(str(run))
    clips = build_set(config, "val", model.card.wanted(), 0)
    videos = [clips.clip(index, 0, 4)["video"] for index in range(2)]
    expected = sum(float((video[:1] - video[1:]).abs().mean()) for video in videos) / 2
    assert still["l1"] == still["l1_best"] == still["l1_worst"] == pytest.approx(expected, rel=1e-5)
    assert still["flicker"] == 0
    assert "diversity" not in still
    assert still["real/flicker"] == pytest.approx(measured.metrics["real/flicker"]) == colours["real/flicker"]
    lines = read_results(run)[-3:]
    assert [line.baseline for line in lines] == ["", *measured.baselines]
    assert len({line.protocol.slug for line in lines}) == 1
    assert "not past: given frame repeated (l1); each label" in lines[0].more["trivial_rows"]
    show([measured])
    printed = " ".join(capsys.readouterr().out.split())
    assert "given labels, 1 frame: not past: given frame repeated (l1); each label" in printed


def test_without_baselines_the_model_is_measured_alone(run):
    before = len(read_results(run))
    [measured] = evaluate(EvaluateSettings(run=str(run), clips=1, metrics=["l1"], baselines=False))
    assert measured.baselines == {}
    assert len(read_results(run)) == before + 1
    assert "trivial_rows" not in read_results(run)[-1].more


def test_a_hundred_draws_are_sampled_one_after_another(run, monkeypatch):
    """The next draw is sampled only when the last one has been measured and released."""
    videos: list[weakref.ref] = []
    sample = Vid2Vid.sample

    def watched(model, request):
        assert not any(video() is not None for video in videos)
        assert request.draw == len(videos)
        made = sample(model, request)
        videos.append(weakref.ref(made.video))
        return made

    monkeypatch.setattr(Vid2Vid, "sample", watched)
    settings = EvaluateSettings(run=str(run), clips=1, frames=4, draws=100, metrics=["l1", "ssim", "flicker"])
    [measured] = evaluate(settings)
    assert len(videos) == 100
    assert measured.protocol.slug == "1x4f-c1-32x32px-d100"
    assert measured.metrics["l1_best"] <= measured.metrics["l1"] <= measured.metrics["l1_worst"]
    [stored] = [result for result in own_results(run) if result.protocol.draws == 100]
    names = {"l1", "l1_best", "l1_worst", "ssim", "ssim_best", "ssim_worst"}
    assert {name: len(curve) for name, curve in stored.curves.items()} == dict.fromkeys(names, 3)
    assert measured.plot == run / "curves" / "val-1x4f-c1-32x32px-d100.png"
    assert measured.plot.is_file()


@dataclass
class FakeWandb:
    """A fake wandb run that records its calls."""

    opened: list[dict] = field(default_factory=list)
    logged: list[dict] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    finished: int = 0

    def init(self, **arguments):
        self.opened.append(arguments)
        return self

    def define_metric(self, *names, **more) -> None: ...

    def log(self, values):
        self.logged.append(values)

    def save(self, path, base_path, policy):
        self.saved.append(str(Path(path).relative_to(base_path)))

    def finish(self):
        self.finished += 1


def test_evaluation_is_logged_to_the_wandb_run_of_the_training(run, tmp_path, monkeypatch):
    """With an API key and an online run: all protocols in one call, and results.jsonl."""
    run = Path(shutil.copytree(run, tmp_path / "run"))
    fake = FakeWandb()
    monkeypatch.setattr(wandb, "init", fake.init)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    settings = EvaluateSettings(run=str(run), clips=1, metrics=["l1"])
    evaluate(settings)
    assert fake.opened == []  # wandb was off
    (run / "wandb" / "run-20260101_000000-dead").mkdir(parents=True)  # no server answered ...
    (run / "wandb" / "offline-run-20260101_000009-abc-1").mkdir()  # ... so it went on offline
    evaluate(settings)
    assert fake.opened == []
    (run / "wandb" / "run-20260101_000010-abc-2").mkdir()
    [measured] = evaluate(settings)
    [opened] = fake.opened
    assert {name: opened[name] for name in ("id", "resume", "mode", "project", "dir")} == {
        "id": "abc-2",
        "resume": "must",
        "mode": "online",
        "project": "zoo",
        "dir": str(run.resolve()),
    }
    assert opened["settings"].init_timeout == opened["settings"].finish_timeout == 5
    assert measured.plot is not None
    assert isinstance(fake.logged[0].pop("val/curves@1x4f-c1-32x32px"), wandb.Image)
    assert fake.logged == [{"seen/clips": 1, measured.protocol.key("l1"): measured.metrics["l1"]}]
    assert (fake.saved, fake.finished) == (["run/results.jsonl"], 1)
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    evaluate(settings)
    assert len(fake.opened) == 1  # no key


def test_wandb_errors_do_not_lose_an_evaluation(run, tmp_path, monkeypatch):
    run = Path(shutil.copytree(run, tmp_path / "run"))
    (run / "wandb" / "run-20260101_000000-abc").mkdir(parents=True)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    before = len(own_results(run))
    for problem in (wandb.errors.CommError("no such host"), RuntimeError("broken")):

        def fail(problem: Exception = problem, **arguments) -> None:
            raise problem

        monkeypatch.setattr(wandb, "init", fail)
        with pytest.warns(UserWarning, match=f"results.jsonl, but logging them to wandb failed: .*{problem}"):
            evaluate(EvaluateSettings(run=str(run), clips=1, metrics=["l1"]))
    assert len(own_results(run)) == before + 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"clips": 10_000},
            r"clips=10000, but the data set `puppets` has .* evaluation clips of 4 frames. Try: clips=",
        ),
        ({"frames": 1}, "frames=1 with context=1 leaves no frame to generate. Try: frames=9"),
        ({"draws": 0}, "draws is 0, but at least 1 is required. Try: draws=1"),
        ({"metrics": ["psnrr"]}, "There is no metric `psnrr`. Did you mean `psnr`"),
        ({"metrics": ["fvd"]}, "The metric fvd needs a feature network. Try: features=r3d_18"),
        ({"metrics": ["accuracy"]}, "needs a classifier. Train one with model=classifier"),
        ({"metrics": ["diversity"]}, "diversity compares several samples of one clip, but draws=1. Try: draws=4"),
        ({"metrics": ["ms_ssim"]}, "ms_ssim uses five scales and needs frames of at least 176 px"),
        ({"temperature": 0.5}, "temperature=0.5, but vid2vid has no temperature"),
        ({"height": 64}, "height=64 applies to two folders only"),
        ({"flow": "diss"}, "flow=diss is not a choice"),
        ({"classifier": "RUN"}, "which classifies nothing"),
        ({"real": "."}, "A run or two folders can be evaluated, but both are given"),
    ],
)
def test_impossible_evaluations_are_explained(run, settings, said):
    known = {key: str(run) if value == "RUN" else value for key, value in settings.items()}
    before = (run / "results.jsonl").read_text()
    with pytest.raises(ZooError, match=said):
        evaluate(EvaluateSettings(run=str(run), **({"clips": 1} | known)))
    assert (run / "results.jsonl").read_text() == before


def test_best_checkpoint_is_chosen_by_a_paired_metric(tmp_path):
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        for metrics, said in (
            ("[motion]", "best.ckpt is chosen by a paired metric, such as l1, psnr, ssim, or by a metric of two sets"),
            ("[nope]", "no metric `nope`"),
        ):
            with pytest.raises(ZooError, match=said):
                plan(compose("train", overrides=[*TINY, f"evaluation.metrics={metrics}"]))
        ready = plan(compose("train", overrides=[*TINY, "evaluation.metrics=[warping_error,psnr]"]))
        assert ready.monitor == "psnr"
        settings = ["model=videovae", "evaluation.metrics=[l1,label_miou]", "evaluation.segmenter=x"]
        with pytest.raises(
            ZooError, match="label_miou needs a model that generates from label maps, but videovae does not"
        ):
            plan(compose("train", overrides=settings))


def test_training_without_context_frames_computes_no_paired_metrics(tmp_path):
    """Samples of VideoVAE from attributes alone have no reference clip."""
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):

        def planned(*settings: str) -> Plan:
            return plan(compose("train", overrides=[*TINY[5:], *settings]))

        vae = ["model=videovae", "model.width=4", "model.code=8", "model.hidden=16", "evaluation.context=0"]
        assert planned(*TINY[:5], "evaluation.context=0").monitor == "l1"  # generated from labels
        assert planned(*vae[:-1]).metrics == ["l1", "psnr", "ssim"]
        with pytest.raises(ZooError, match=r"l1 compares each sample with its real clip, but .* evaluation.context=1"):
            planned(*vae, "evaluation.metrics=[motion,l1]")
        with pytest.raises(
            ZooError, match=r"callbacks.monitor=l1: .* have no reference clip.*features=r3d_18.*context=1"
        ):
            planned(*vae, "callbacks.monitor=l1")
        train(planned(*vae), tmp_path)
    [line] = read_results(tmp_path)
    assert line.given == "attributes"
    motion = ("warping_error_dis", "flicker", "motion_dis")
    assert set(line.metrics) == {"temporal_distance", *motion, *(f"real/{name}" for name in motion)}
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"last.ckpt"}  # no metric can choose best.ckpt


class Colours(torch.nn.Module):
    """Mean and deviation of every colour of a clip, (B, T, 3, H, W) -> (B, 6)."""

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return torch.cat([video.mean((1, 3, 4)), video.std((1, 3, 4))], 1)


def test_best_checkpoint_without_pairs_is_chosen_by_a_distance_of_sets(tmp_path):
    network = tmp_path / "my_colours.pt"
    torch.jit.script(Colours()).save(str(network))
    vae = ["model=videovae", "model.width=4", "model.code=8", "model.hidden=16", "evaluation.context=0"]
    features = [f"evaluation.features={network}", "evaluation.clips=8", "budget.clips=3", "evaluation.rounds=3"]
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):

        def planned(*settings: str) -> Plan:
            return plan(compose("train", overrides=[*TINY[5:], *vae, *features, *settings]))

        assert planned().metrics == ["temporal_distance", "warping_error", "flicker", "motion", "kvd"]
        assert planned("evaluation.metrics=[flicker,kvd,fvd]").monitor == "kvd"
        assert planned("evaluation.metrics=[kvd,fvd]", "callbacks.monitor=fvd").monitor == "fvd"
        with pytest.raises(ZooError, match=r"callbacks.monitor=flicker"):
            planned("callbacks.monitor=flicker")
        with pytest.raises(ZooError, match="kvd needs a feature network"):
            planned("evaluation.features=null", "evaluation.metrics=[kvd]", "callbacks.monitor=kvd")
        ready = planned("evaluation.metrics=[flicker,kvd]")
        run = tmp_path / "run"
        train(ready, run)
    assert ready.objective == ("val/kvd@8x4f-c0-32x32px-mycolours", "min")
    values = {line.seen: line.metrics["kvd"] for line in read_results(run) if "kvd" in line.metrics}
    best = torch.load(run / "best.ckpt", weights_only=True, map_location="cpu")
    assert best["callbacks"]["BestCheckpoint"]["best"] == pytest.approx(min(values.values()))
    assert load(str(run / "best.ckpt")).clips_seen == min(values, key=values.__getitem__)


def test_a_run_is_measured_on_clips_that_nothing_was_chosen_on(run):
    [test] = evaluate(EvaluateSettings(run=str(run), split="test", clips=2, metrics=["l1"], baselines=False))
    [val] = evaluate(EvaluateSettings(run=str(run), clips=2, metrics=["l1"], baselines=False))
    assert test.protocol.key("l1") == "test/l1@2x4f-c1-32x32px"
    assert list(test.protocol.differing_fields(val.protocol)) == ["split", "clip_keys"]
    assert read_results(run)[-2].protocol == test.protocol
    with pytest.raises(ZooError, match="split"):
        evaluate(EvaluateSettings(run=str(run), split="train", clips=2))


def test_a_named_protocol_measures_a_run_against_its_training_clips(run, tmp_path):
    network = tmp_path / "my_colours.pt"
    torch.jit.script(Colours()).save(str(network))
    named = {"run": str(run), "protocol": "styleganv-fvd2048-16f", "features": str(network)}
    with pytest.raises(
        ZooError, match=r"features=.*colours.pt, but the protocol styleganv-fvd2048-16f has features=i3d"
    ):
        evaluate(EvaluateSettings(**named))
    [measured] = evaluate(EvaluateSettings(**named, clips=8, frames=4, protocol_name="mine", batch_size=3))
    assert list(measured.metrics) == ["fvd", "real/fvd"]
    assert measured.protocol.key("fvd") == "train/fvd@8x4f-c0-32x32px-mycolours-mine"
    assert (measured.protocol.selection, measured.protocol.variant) == ("random-clip", "covariance by N")
    with pytest.raises(ZooError, match=r"The protocol is of 20000 videos, but the data set `puppets` has 10000"):
        evaluate(EvaluateSettings(**named, clips=20000, frames=4, protocol_name="mine"))


def test_missing_run_and_missing_checkpoint_are_explained(tmp_path):
    with pytest.raises(ZooError, match="A run or two folders can be evaluated, but neither is given"):
        evaluate(EvaluateSettings())
    (tmp_path / "config.yaml").write_text("seed: 1")
    with pytest.raises(ZooError, match=r"contains no last.ckpt or best.ckpt"):
        evaluate(EvaluateSettings(run=str(tmp_path)))


# ---------------------------------------------------------------- folders


def write_folder(folder: Path, count: int = 3, frames: int = 8, names: str = "v", shade: int = 0) -> Path:
    """Write different videos of coarse noise."""
    rng = np.random.default_rng(shade)
    for number in range(count):
        coarse = rng.integers(20, 200, (frames, 4, 4, 3))
        film = np.repeat(np.repeat(coarse, 8, 1), 8, 2).astype(np.uint8)
        write_video(folder / f"{names}{number}.mp4", film + np.uint8(shade), 12.5)
    return folder


def test_folders_with_equal_names_are_compared_in_pairs(tmp_path):
    real, fake = write_folder(tmp_path / "real"), write_folder(tmp_path / "fake")
    [same] = evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8))
    assert same.metrics["l1"] == 0
    assert same.metrics["flicker"] == same.metrics["real/flicker"] > 0.1
    assert same.protocol.slug == "3x8f-c0-32x32px"
    film = read_frames(fake / "v0.mp4", range(8))
    write_video(fake / "v0.mp4", np.clip(film.astype(int) + 25, 0, 255).astype(np.uint8), 12.5)
    [brighter] = evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8))
    assert brighter.metrics["l1"] == pytest.approx(25 / 127.5 / 3, abs=0.01)  # one of three videos
    assert [result.metrics["l1"] for result in read_results(fake)] == [0, brighter.metrics["l1"]]
    assert not (real / "results.jsonl").exists()


def test_protocol_depends_on_the_content_of_the_real_videos(tmp_path):
    """Other videos of the same names differ in the checksum of the clips; a copy elsewhere does not."""

    def protocol(real: Path) -> Protocol:
        fake = write_folder(real.parent / "fake")
        return evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8, metrics=["flicker"]))[0].protocol

    one = protocol(write_folder(tmp_path / "one" / "real"))
    assert protocol(shutil.copytree(tmp_path / "one" / "real", tmp_path / "copy" / "real")) == one
    assert one.differing_fields(protocol(write_folder(tmp_path / "other" / "real", shade=9))).keys() == {"clip_keys"}


def test_clips_of_a_video_are_cut_one_after_another(tmp_path, caplog):
    """The second clip starts where the first ends; a clip that only one folder has is in no pair."""
    caplog.set_level("INFO", "zoo")
    real, fake = write_folder(tmp_path / "real"), write_folder(tmp_path / "fake")
    film = read_frames(real / "v0.mp4", range(8))
    later = film.copy()
    later[4:] = np.clip(later[4:].astype(int) + 25, 0, 255)  # only the second half is brighter
    write_video(fake / "v0.mp4", later, 12.5)
    settings = EvaluateSettings(real=str(real), fake=str(fake), frames=4, clips_per_video=2, metrics=["l1"])
    [measured] = evaluate(settings)
    assert measured.protocol.clips == 6
    assert measured.metrics["l1"] == pytest.approx(25 / 127.5 / 6, abs=0.005)
    write_video(fake / "v1.mp4", read_frames(fake / "v1.mp4", range(7)), 12.5)
    assert evaluate(settings)[0].protocol.clips == 5  # v1 has one clip left, and pairs are still matched
    assert evaluate(settings)[0].metrics["l1"] == pytest.approx(25 / 127.5 / 5, abs=0.01)
    (fake / "v2.mp4").unlink()
    [measured] = evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=4))
    assert "l1" not in measured.metrics
    assert "No pairs are compared, since only one of the two folders holds v2." in caplog.text


def test_folders_with_different_names_are_compared_as_sets(tmp_path):
    real, fake = write_folder(tmp_path / "real"), write_folder(tmp_path / "fake", count=5, names="sample")
    settings = EvaluateSettings(real=str(real), fake=str(fake), frames=8)
    [measured] = evaluate(settings)
    assert "l1" not in measured.metrics
    assert measured.protocol.clips == 3  # the same number on both sides
    with pytest.raises(
        ZooError, match="l1 compares videos in pairs, but the two folders do not hold videos of the same names"
    ):
        evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8, metrics=["l1"]))
    with pytest.raises(ZooError, match=r"clips=5, but real=.* has 3 clips of 8 frames"):
        evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8, clips=5))
    [more] = evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=4, clips_per_video=2))
    assert more.protocol.clips == 6


def as_images(videos: Path, folder: Path) -> Path:
    """Write the same frames as one folder of PNGs per video."""
    for video in videos.glob("*.mp4"):
        (folder / video.stem).mkdir(parents=True)
        for number, frame in enumerate(read_frames(video, range(probe(video).frames))):
            cv2.imwrite(str(folder / video.stem / f"{number}.png"), frame[..., ::-1])
    return folder


def test_images_have_no_frame_rate_unless_it_is_given(tmp_path):
    videos = write_folder(tmp_path / "videos")
    real, fake = (str(as_images(videos, tmp_path / name)) for name in ("real", "fake"))
    [unknown] = evaluate(EvaluateSettings(real=real, fake=fake, frames=8))
    assert (unknown.protocol.fps, unknown.metrics["l1"]) == (0, 0)
    with pytest.raises(ZooError, match=r"holds 3 of 3 videos with fewer than 9 frames: v0 \(8\)"):
        evaluate(EvaluateSettings(real=real, fake=fake, frames=9))
    [typed] = evaluate(EvaluateSettings(real=real, fake=fake, frames=8, fps=12.5))
    assert unknown.protocol.differing_fields(typed.protocol) == {"fps": (0, 12.5)}
    with pytest.raises(
        ZooError, match=r"accuracy uses a classifier, which was trained at one frame rate.* Type the rate: fps="
    ):
        evaluate(EvaluateSettings(real=real, fake=fake, frames=8, classifier="somewhere"))
    for one, other in ((str(videos), fake), (fake, str(videos))):  # the frames of the videos would be ambiguous
        with pytest.raises(ZooError, match=r"v0 is a folder of images, .* Type the rate: fps=25"):
            evaluate(EvaluateSettings(real=one, fake=other, frames=8))
    [mixed] = evaluate(EvaluateSettings(real=str(videos), fake=fake, frames=8, fps=12.5))
    assert mixed.metrics["l1"] == 0


def test_height_width_and_frame_rate_can_be_set(tmp_path):
    """The real video has 16 frames at 12.5 fps; at half the rate every other frame is used."""
    real = tmp_path / "real"
    shades = (np.arange(16, dtype=np.uint8) * 8)[:, None, None, None]
    write_video(real / "v.mp4", np.broadcast_to(shades, (16, 32, 32, 3)), 12.5)
    fake = tmp_path / "fake"
    write_video(fake / "v.mp4", np.broadcast_to(shades[::2], (8, 32, 32, 3)), 6.25)
    typed = EvaluateSettings(real=str(real), fake=str(fake), frames=8, fps=6.25, height=16, width=24, metrics=["l1"])
    [measured] = evaluate(typed)
    protocol = measured.protocol
    assert (protocol.fps, protocol.height, protocol.width) == (6.25, 16, 24)
    assert protocol.slug == "1x8f-c0-16x24px"
    assert measured.metrics["l1"] == pytest.approx(0, abs=0.01)
    with pytest.raises(ZooError, match=r"v.mp4 has 12.5 frames per second, but .*v.mp4 has 6.25.* type fps=6.25"):
        evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8, metrics=["l1"]))
    write_video(fake / "v.mp4", np.broadcast_to(shades, (16, 32, 32, 3)), 12.5 * 1.009)
    [default] = evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8, metrics=["l1"]))
    assert (default.protocol.fps, default.protocol.height, default.protocol.width) == (12.5, 32, 32)
    assert default.metrics["l1"] < 0.01
    seen = []
    update = Suite.update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Suite, "update", lambda self, clip, fake: seen.append(clip["video"]) or update(self, clip, fake))
        evaluate(typed)
    assert seen[0].shape == (1, 8, 3, 16, 24)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fake": None}, "fake= is missing"),
        ({"real": "nowhere"}, "real=nowhere is no folder"),
        ({"real": "EMPTY"}, "holds no video. Searched 1 folders"),
        ({"frames": 9}, r"holds 3 of 3 videos with fewer than 9 frames at 12.5 per second: v0 \(8\).*Try: frames=8"),
        ({"metrics": ["label_miou"], "segmenter": "x"}, "label_miou is computed for runs only"),
        ({"metrics": ["memorisation"]}, "memorisation needs the training clips of a run"),
        ({"flow": "exact"}, "flow=exact needs a data set that provides flow"),
        ({"clips": -1}, "clips is -1, but at least 1 is required"),
        ({"draws": 4}, "draws=4 applies to the samples of a run only"),
        ({"clips_per_video": 0}, "clips_per_video is 0, but at least 1 is required"),
        ({"fps": -5.0}, "fps is -5.0, but at least 0.001 is required"),
    ],
)
def test_wrong_folders_and_settings_are_explained(tmp_path, settings, said):
    real, fake = write_folder(tmp_path / "real"), write_folder(tmp_path / "fake")
    (tmp_path / "empty").mkdir()
    known = {key: str(tmp_path / "empty") if value == "EMPTY" else value for key, value in settings.items()}
    with pytest.raises(ZooError, match=said):
        evaluate(EvaluateSettings(**({"real": str(real), "fake": str(fake), "frames": 8} | known)))
    assert not (fake / "results.jsonl").exists()


def test_command_prints_a_table(tmp_path):
    real, fake = write_folder(tmp_path / "real"), write_folder(tmp_path / "fake")
    words = ["zoo.evaluate", f"real={real}", f"fake={fake}", "frames=8", "metrics=[l1,flicker]"]
    done = run_command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "val/…@3x8f-c0-32x32px" in done.stdout
    assert "l1" in done.stdout
    assert "real clips" in done.stdout
    assert list(tmp_path.iterdir()) == [real, fake] or {p.name for p in tmp_path.iterdir()} == {"real", "fake"}


def test_every_setting_is_read(run, tmp_path):
    real, fake = write_folder(tmp_path / "real"), write_folder(tmp_path / "fake")
    with recorded_reads(EvaluateSettings) as read:
        evaluate(EvaluateSettings(run=str(run), clips=1))
        evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=8))
        with pytest.raises(ZooError, match="is not the expected file"):
            evaluate(EvaluateSettings(run=str(run), clips=2, features="lite0", features_sha256="0", metrics=["kvd"]))
    assert {field.name for field in fields(EvaluateSettings)} - read == set()
