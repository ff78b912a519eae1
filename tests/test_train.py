"""Train and sample: a training with all loggers on, the files it writes, and samples from it."""

import csv
import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir

import zoo
from tests.helpers.arrays import moving_square, save
from tests.helpers.bair import write_records
from tests.helpers.commands import run_command
from tests.helpers.kth import write_kth
from tests.helpers.paths import FIXTURES
from zoo import ZooError, settings
from zoo.comparison.gather import read_films
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.base import DATA_SETS
from zoo.data.decode import VideoWriter, probe, read_frames, read_image, write_video
from zoo.data.sets.puppets.clips import PuppetClips
from zoo.models.vid2vid.networks import SequentialGenerator
from zoo.runs.load import find_checkpoint, load
from zoo.runs.metrics_csv import read_curves
from zoo.runs.wandb_logger import has_key
from zoo.sample import sample
from zoo.settings import SampleSettings
from zoo.testing import recorded_reads
from zoo.testing.fake_device import DEVICE, FakeDevice
from zoo.training.plan import plan
from zoo.training.trainer import train
from zoo.visualization.curves import draw_curves
from zoo.visualization.grids import to_bytes

TINY = [
    "model.width=8",
    "model.downsamplings=1",
    "model.blocks=2",
    "model.discriminator_width=8",
    "model.discriminator_layers=2",
    "data.height=32",
    "data.width=32",
    "data.workers=0",
    "data.batch_size=1",
    "budget.clips=5",
    "evaluation.rounds=2",
    "evaluation.clips=3",
    "callbacks.gallery_clips=2",
    "trainer.progress=false",
    "trainer.log_every=1",
    "trainer.threads=1",
]
GROUPS = [
    settings.Budget,
    settings.Strategy,
    settings.TrainerSettings,
    settings.Evaluation,
    settings.Callbacks,
    settings.Logger,
]
SLUG = "3x8f-c1-32x32px"


def train_in(run: Path, *overrides: str) -> dict[str, float]:
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return train(plan(compose("train", overrides=[*TINY, *overrides])), run)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run with all loggers on; reads.json holds the settings that were read."""
    run = tmp_path_factory.mktemp("run")
    with ExitStack() as stack:
        reads = {kind: stack.enter_context(recorded_reads(kind)) for kind in GROUPS}
        train_in(run, "logger.wandb=offline", "evaluation.frames=8")
    (run / "reads.json").write_text(json.dumps({kind.__name__: sorted(read) for kind, read in reads.items()}))
    return run


def test_every_setting_of_the_command_is_read(run):
    reads = json.loads((run / "reads.json").read_text())
    of_networks = {"features_weights", "features_sha256"}  # read with a feature network: tests/test_evaluate.py
    for kind in GROUPS:
        assert {field.name for field in fields(kind)} - set(reads[kind.__name__]) <= of_networks, kind


@pytest.mark.parametrize("name", DATA_SETS.names())
def test_every_setting_of_a_data_set_is_read(name, tmp_path):
    """A training reads every setting: checks, both splits, loading."""
    for folder, shape in (("data/a", (32, 32, 3)), ("labels/a", (32, 32))):
        (tmp_path / folder).mkdir(parents=True)
        for frame in range(40):
            cv2.imwrite(
                f"{tmp_path}/{folder}/{frame}.png", np.random.default_rng(frame).integers(0, 5, shape, np.uint8)
            )
    root = {"folder": [f"data.root={tmp_path}/data", f"data.labels={tmp_path}/labels", "data.label_count=5"]}.get(
        name, []
    )
    if name == "strips":
        for file in ("a/ann_1.png", "a/bob_1.png", "a/cat_1.png", "b/ann_2.png", "b/bob_2.png", "b/cat_2.png"):
            (tmp_path / "strips" / file).parent.mkdir(parents=True, exist_ok=True)
            strip = np.random.default_rng(0).integers(0, 255, (32, 32 * 40, 3), np.uint8)
            cv2.imwrite(f"{tmp_path}/strips/{file}", strip)
        root = [f"data.root={tmp_path}/strips", "data.name_attributes=[person]", "data.condition=edges"]
    if name == "arrays":
        save(tmp_path / "arrays/videos.npy", moving_square())
        root = [f"data.root={tmp_path}/arrays", "data.condition=edges"]
    if name == "bair":
        root = [f"data.root={write_records(tmp_path / name)}", "data.condition=edges", "data.frames=4"]
    if name == "kth":
        root = [f"data.root={write_kth(tmp_path / name, (1, 2, 25))}", "data.condition=edges", "data.frames=4"]
    root += ["data.channels=3"] if name in ("kth", "moving_mnist") else []  # the trained model translates RGB
    layout = FIXTURES / name
    if layout.is_dir():
        root = [f"data.root={shutil.copytree(layout, tmp_path / name)}"]
        root += ["data.label_count=14"] if name == "paired" else []
    kind = DATA_SETS.find(name).config
    with recorded_reads(kind) as read:
        train_in(
            tmp_path / "run", f"data={name}", *root, "logger.wandb=disabled", "budget.clips=1", "evaluation.clips=1"
        )
    assert {field.name for field in fields(kind)} - read == set()


def test_run_folder_is_complete(run):
    expected = {
        "config.yaml",
        "command.txt",
        "environment.json",
        "metrics.csv",
        "results.jsonl",
        "last.ckpt",
        "best.ckpt",
    }
    assert expected | {"gallery.mp4", "gallery.png", "samples"} <= {path.name for path in run.iterdir()}
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["width"] == 8
    assert config["data"]["view"] == "street"
    environment = json.loads((run / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_curves_are_logged_over_clips_seen(run):
    curves = read_curves(run / "metrics.csv")
    assert [seen for seen, _ in curves["train/loss/flow"]] == [1, 2, 3, 4, 5]
    # two rounds of five steps: after steps two and four, and at the end
    assert [seen for seen, _ in curves[f"val/l1@{SLUG}"]] == [2, 4, 5]
    assert {"perf/clips_per_s", "perf/wait_share", "perf/peak_memory_mib"} <= set(curves)
    assert all(0 <= share <= 1 for _, share in curves["perf/wait_share"])
    with (run / "metrics.csv").open() as file:
        assert all(row["step"] == row["seen/clips"].removesuffix(".0") for row in csv.DictReader(file))


def test_curves_are_drawn(run):
    draw_curves(run / "metrics.csv", run / "curves.png")
    assert read_image(run / "curves.png").std() > 10


def test_results_contain_their_protocol(run):
    lines = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert [line["seen/clips"] for line in lines] == [2, 4, 5]
    assert lines[-1]["protocol"]["context"] == 1
    assert lines[-1]["protocol"]["data"] == "puppets"
    assert set(lines[-1]["metrics"]) == {"l1", "psnr", "ssim"}


def test_best_and_last_checkpoint(run):
    rounds = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    best = min(rounds, key=lambda line: line["metrics"]["l1"])["seen/clips"]
    assert load(str(run / "best.ckpt")).clips_seen == best
    assert load(str(run)).clips_seen == 5
    assert find_checkpoint(str(run)).name == "last.ckpt"


def test_a_loaded_model_gives_the_metrics_of_validation(run):
    """Validation and loading both use the averaged weights."""
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config
    from zoo.types import SampleRequest

    model = zoo.load(str(run))
    clips = build_set(data_config(str(run)), "val", model.card.wanted(), seed=0)
    clip = default_collate([clips.clip(index, 0, 8) for index in range(3)])
    made = model.sample(SampleRequest(8, clip, context=1)).video
    distance = (made[:, 1:] - clip["video"][:, 1:]).abs().mean()
    last = json.loads((run / "results.jsonl").read_text().splitlines()[-1])["metrics"]
    assert distance.item() == pytest.approx(last["l1"], rel=1e-5)


def test_the_gallery_shows_the_real_clip(run):
    """The rows are given, real, generated; the second row of the PNG is the real clip."""
    from zoo.data.base import build_set
    from zoo.runs.load import data_config

    picture = torch.from_numpy(read_image(run / "gallery.png")).permute(2, 0, 1)
    clip = build_set(data_config(str(run)), "val", frozenset({"labels"}), seed=0).clip(0, 0, 8)
    real = to_bytes(clip["video"][0])
    row, left = 1 * (128 + 2), 84  # 32 px enlarged four times, 2 px between rows, names at the left
    assert torch.equal(picture[:, row : row + 128 : 4, left : left + 128 : 4], real)
    film = probe(run / "gallery.mp4")
    assert (film.frames, film.fps) == (8, 12.5)


def test_the_wandb_run_has_the_curves_and_videos(run):
    offline = next(run.glob("wandb/offline-run-*"))
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(next(offline.glob("*.wandb")))],
        capture_output=True,
        text=True,
        check=True,
    )
    records = done.stdout
    for key in ("seen/clips", "train/loss/flow", f"val/l1@{SLUG}", "gallery", "vid2vid-puppets-s1-w"):
        assert key in records, key
    videos = sorted(offline.rglob("media/**/*.mp4"))
    assert len(videos) == 3
    assert probe(videos[0]).frames == 8
    # One table per round, with one row per clip, and its videos.
    assert len(list(offline.rglob("comparison_*.table.json"))) == 3
    films = {
        kind: set(re.findall(rf"media/videos/\w+/{kind}\.mp4", records)) for kind in ("given", "real", "generated")
    }
    assert all(len(found) >= 2 for found in films.values())  # two clips
    assert len(films["generated"]) >= 6  # in three rounds
    assert {"config.yaml", "results.jsonl", "metrics.csv", "clips"} <= {path.name for path in offline.glob("files/*/*")}


def test_evaluation_clips_are_saved_as_videos(run):
    films = read_films(run / "clips")
    assert list(films) == ["puppets/val-000000/0", "puppets/val-000001/0"]
    for kinds in films.values():
        assert list(kinds) == ["given", "real", "generated"]
        assert {probe(path).frames for path in kinds.values()} == {8}


def test_sample_writes_videos_of_any_length(run, tmp_path):
    written = sample(SampleSettings(run=str(run), frames=30, clips=1, draws=2, out=str(tmp_path)))
    assert [path.suffix for path in written] == [".mp4", ".png"] * 2
    assert probe(written[0]).frames == 30
    assert "draw1" in written[2].name
    again = SampleSettings(run=str(run), frames=2, clips=1, out=str(tmp_path))
    with pytest.raises(ZooError, match=r"draw0.mp4 already exists. To replace it: overwrite=true"):
        sample(again)
    assert probe(written[0]).frames == 30
    sample(replace(again, overwrite=True))
    assert probe(written[0]).frames == 2
    assert not list(tmp_path.glob(".*"))


def test_a_long_sample_is_generated_piece_by_piece(run, tmp_path, monkeypatch):
    """The input is rendered when it is needed, and a frame is written before the next one is generated."""
    events = []

    def recorded(event, function):
        def record(*args):
            events.append(event)
            return function(*args)

        return record

    monkeypatch.setattr(PuppetClips, "_render_clip", recorded("film", PuppetClips._render_clip))
    monkeypatch.setattr(VideoWriter, "write", recorded("write", VideoWriter.write))
    monkeypatch.setattr(SequentialGenerator, "forward", recorded("generate", SequentialGenerator.forward))
    sample(SampleSettings(run=str(run), frames=70, clips=1, out=str(tmp_path)))
    expected = []
    for frames in (32, 32, 6):
        expected += ["film", *["generate", "write"] * frames]
    expected.remove("generate")  # the first frame is given
    assert events == expected


@pytest.mark.parametrize("options", [{}, {"context": 2}])
def test_sampling_runs_on_the_accelerator(run, tmp_path, monkeypatch, options):
    """On a device that cannot be mixed with the CPU; frames are copied back one by one."""
    monkeypatch.setattr("zoo.devices.hardware.find_device", lambda accelerator: DEVICE)
    with FakeDevice(watched=False):
        film, _ = sample(SampleSettings(run=str(run), frames=4, clips=1, out=str(tmp_path), **options))
    assert probe(film).frames == 4


def test_an_unavailable_accelerator_is_refused(run):
    with pytest.raises(ZooError, match=r"accelerator=gpuu is not a choice. Did you mean `gpu`"):
        sample(SampleSettings(run=str(run), accelerator="gpuu"))
    if not torch.backends.mps.is_available():
        with pytest.raises(
            ZooError, match=r"accelerator=mps, but PyTorch finds no such device here. Try: accelerator=cpu"
        ):
            sample(SampleSettings(run=str(run), accelerator="mps"))


def test_sample_begins_with_its_context(run, tmp_path):
    film = sample(SampleSettings(run=str(run), frames=4, clips=1, context=2, out=str(tmp_path)))[0]
    from zoo.data.base import build_set
    from zoo.runs.load import data_config

    clip = build_set(data_config(str(run)), "val", frozenset(), seed=0).clip(0, 0, 4)
    real = to_bytes(clip["video"]).permute(0, 2, 3, 1).float()
    error = (torch.from_numpy(read_frames(film, range(4))).float() - real).abs().mean((1, 2, 3))
    assert (error[:2] < 8).all()
    assert (error[2:] > 12).all()


def test_sampling_from_given_footage(tmp_path):
    frames = torch.randint(0, 255, (40, 32, 32, 3), dtype=torch.uint8).numpy()
    write_video(tmp_path / "data" / "a.mp4", frames, 12.5)
    run = tmp_path / "run"
    train_in(
        run,
        "data=folder",
        f"data.root={tmp_path / 'data'}",
        "data.condition=edges",
        "logger.wandb=disabled",
        "evaluation.clips=1",
    )
    write_video(tmp_path / "other.mp4", frames[:20], 25.0)
    made = sample(SampleSettings(run=str(run), given=str(tmp_path / "other.mp4"), out=str(tmp_path)))
    assert probe(made[0]).frames == 10  # 20 frames at 25 fps are 10 at the 12.5 fps of the run
    with pytest.raises(ZooError, match=r"has 10 frames at 12\.5 fps, fewer than 11\. Try: frames=10"):
        sample(SampleSettings(run=str(run), given=str(tmp_path / "other.mp4"), frames=11))
    with pytest.raises(ZooError, match=r"there is no such file"):
        sample(SampleSettings(run=str(run), given="no.mp4"))


def test_same_command_gives_the_same_weights(run, tmp_path):
    train_in(tmp_path, "logger.wandb=disabled")
    ours, theirs = (torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (tmp_path, run))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_loading_something_else_is_an_error(run, tmp_path):
    with pytest.raises(ZooError, match=r"does not exist; expected a run folder or a checkpoint"):
        load(str(tmp_path / "nothing"))
    with pytest.raises(ZooError, match=r"contains no last\.ckpt or best\.ckpt; found nothing"):
        load(str(tmp_path))
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ZooError, match=r"cannot be read as a checkpoint"):
        load(str(tmp_path / "text.ckpt"))
    torch.save({"a": 1}, tmp_path / "other.ckpt")
    with pytest.raises(ZooError, match=r"not a checkpoint of the zoo"):
        load(str(tmp_path / "other.ckpt"))
    shutil.copy(run / "last.ckpt", tmp_path / "last.ckpt")
    with pytest.raises(ZooError, match=r"contains no config\.yaml"):
        sample(SampleSettings(run=str(tmp_path)))


def test_the_wandb_key_is_found_without_a_prompt(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not has_key()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert has_key()
    monkeypatch.delenv("WANDB_API_KEY")
    netrc = tmp_path / "my-netrc"  # read as latin-1, and not in the home folder
    netrc.write_bytes(f"machine api.wandb.ai login J\xfcrgen password {'x' * 40}\n".encode("latin-1"))
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert isinstance(has_key(), bool)  # whether wandb reads it depends on the locale; it never ends the training
    netrc.write_text(f"machine api.wandb.ai login user password {'x' * 40}\n")
    assert has_key()


def test_ddp_gives_the_weights_of_one_process(tmp_path):
    """The command with half the batch in each of two processes: the same clips and the same weights.

    tests/devices/test_strategies.py tests the other models and strategies, in processes that start faster.

    In double precision, since the adversaries amplify rounding errors to per cents in single precision. With instance
    norm, since batch norm would see half the batch in each process.
    """
    exact = ["trainer.precision=64-true", "model.perceptual=none", "model.norm=instance", "model.norm_statistics=batch"]
    common = ["data.batch_size=2", "budget.clips=4", "logger.wandb=disabled", "evaluation.rounds=1", *exact]
    train_in(tmp_path / "one", *common)
    words = [*TINY, *common, "data.batch_size=1", "strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2"]
    two = tmp_path / "two"
    done = run_command("zoo.train", *words, f"hydra.run.dir={two}")
    assert done.returncode == 0, done.stderr
    one, both = (torch.load(folder / "last.ckpt", weights_only=True) for folder in (tmp_path / "one", two))
    assert one["clips_seen"] == both["clips_seen"] == 4
    for key, weight in one["state_dict"].items():
        # A bias before a norm has no effect: its gradient is rounding error, which Adam scales up to full steps.
        if key.endswith("weight"):
            assert (weight - both["state_dict"][key]).norm() < 1e-8 * weight.norm(), key


def test_a_loss_of_nan_stops_the_run_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    """Losses are NaN in the second half of the training; the checkpoint of the round before stays."""
    from zoo.models.vid2vid.model import Vid2Vid

    flow_losses = Vid2Vid.flow_losses

    def nan_losses(self, clip, chunk):
        losses = flow_losses(self, clip, chunk)
        return {name: value * (float("nan") if self.clips_seen > 3 else 1.0) for name, value in losses.items()}

    monkeypatch.setattr(Vid2Vid, "flow_losses", nan_losses)
    with pytest.raises(
        ZooError, match=r"train/loss/.*flow.* became NaN or infinite at 4 clips; .* checkpoint is .*last\.ckpt"
    ):
        train_in(tmp_path, "logger.wandb=disabled", "model.perceptual=none")
    assert all(weight.isfinite().all() for weight in load(str(tmp_path)).parameters())
    assert load(str(tmp_path)).clips_seen == 2


def test_an_image_model_generates_the_first_frame(tmp_path):
    """The image model is trained first and stored in the video model's checkpoint; its own run can be deleted."""
    common = ["logger.wandb=disabled", "model.perceptual=none", "budget.clips=2", "evaluation.rounds=1"]
    tiny = [word for word in common if "model=" not in word]
    stages = [
        "model.scales=2",
        "model.clips_per_scale=1",
    ]  # the curriculum stage that it was trained in must be stored, too
    train_in(tmp_path / "image", "model=pix2pixhd", *tiny, *stages)
    image_model = load(str(tmp_path / "image"))
    choice = ["model.first_frame=image", f"model.image_run={tmp_path / 'image'}", "evaluation.context=0"]
    train_in(tmp_path / "video", *tiny, *choice)
    shutil.rmtree(tmp_path / "image")
    model = load(str(tmp_path / "video"))
    assert not any("discriminator" in name or "objective" in name for name, _ in model.image_model.named_modules())
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config
    from zoo.types import SampleRequest

    clips = build_set(data_config(str(tmp_path / "video")), "val", model.card.wanted(), seed=0)
    clip = default_collate([clips.clip(0, 0, 4)])
    made = model.sample(SampleRequest(4, clip))
    assert torch.equal(made.video[:, 0], image_model.sample(SampleRequest(1, clip)).video[:, 0])
    generated = model.sample(SampleRequest(4, clip, options={"first_frame": "generated"})).video
    assert not torch.equal(made.video[:, 0], generated[:, 0])
    assert not torch.equal(made.video[:, 1], generated[:, 1])
    with pytest.raises(ZooError, match=r"first_frame=given needs a real frame to begin with. Type context=1"):
        model.sample(SampleRequest(4, clip, options={"first_frame": "given"}))
    with pytest.raises(ZooError, match=r"first_frame=image and context=1 contradict each other"):
        model.sample(SampleRequest(4, clip, context=1, options={"first_frame": "image"}))
    written = sample(SampleSettings(run=str(tmp_path / "video"), first_frame="image", clips=1, out=str(tmp_path)))
    assert probe(written[0]).frames == 8
    train_in(tmp_path / "again", "model=pix2pixhd", *tiny)
    with pytest.raises(ZooError, match=r"pix2pixhd has no sampling option `first_frame`. Its options: appearance"):
        sample(SampleSettings(run=str(tmp_path / "again"), first_frame="image"))


def test_four_draws_have_four_appearances(tmp_path):
    words = ["logger.wandb=disabled", "model.perceptual=none", "budget.clips=4", "evaluation.rounds=1"]
    appearances = ["model.appearance_features=2", "model.appearance_clips=4"]
    train_in(tmp_path, *words, *appearances)
    written = sample(SampleSettings(run=str(tmp_path), clips=1, draws=4, frames=3, out=str(tmp_path / "out")))
    films = [read_frames(path, range(3)) for path in written if path.suffix == ".mp4"]
    assert len(films) == 4
    assert len({film.tobytes() for film in films}) == 4
    cv2.imwrite(str(tmp_path / "appearance.png"), np.full((32, 32, 3), 200, np.uint8))
    appearance = settings.AppearanceSettings(image=str(tmp_path / "appearance.png"), instance=1)
    (chosen, _) = sample(
        SampleSettings(run=str(tmp_path), clips=1, frames=3, context=0, appearance=appearance, out=str(tmp_path))
    )
    assert not np.array_equal(read_frames(chosen, range(3)), films[0])
    cv2.imwrite(str(tmp_path / "ids.png"), np.zeros((16, 32), np.uint8))
    appearance = settings.AppearanceSettings(image=str(tmp_path / "appearance.png"), labels=str(tmp_path / "ids.png"))
    with pytest.raises(ZooError, match=r"is 32x16 pixels, but appearance.image is 32x32 pixels"):
        sample(SampleSettings(run=str(tmp_path), appearance=appearance))
