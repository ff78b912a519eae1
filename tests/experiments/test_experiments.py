"""The command at the head of each experiment runs."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.cards import UNMEASURED, is_unmeasured, zoo_models
from tests.helpers.commands import run_command
from tests.helpers.paths import ROOT
from tests.helpers.scripts import load_script
from zoo.card import MODELS
from zoo.config.compose import conf_dir
from zoo.data.decode import write_video

EXPERIMENTS = [path for path in sorted(conf_dir().glob("experiment/*.yaml")) if "preset: paper" not in path.read_text()]
"""Those of published settings are too large to run: see test_published_settings.py."""
SMALL = ["debug=smoke", "data.workers=0", "data.height=32", "data.width=32", "data.batch_size=1", "data.frames=4"]
SMALLER = ["budget.clips=1", "model.width=8", "model.blocks=2", "model.discriminator_width=8", "evaluation.clips=1"]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_header_command_runs(experiment: Path, tmp_path: Path):
    command = next(line for line in experiment.read_text().splitlines() if line.startswith("# python -m zoo."))
    frames = np.random.default_rng(0).integers(0, 255, (60, 32, 32, 3), np.uint8)
    write_video(tmp_path / "videos" / "a.mp4", frames, 15)
    words = shlex.split(command.removeprefix("# python -m ").replace("<folder of mp4s>", str(tmp_path / "videos")))
    words = [*words, *SMALL, *SMALLER, "logger.wandb=disabled", "trainer.progress=false"]
    done = run_command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("runs/*/gallery.mp4"))


def test_readme_holds_the_leaderboard():
    """Every model that the script lists, three seeds each, and the table as the script writes it."""
    leaderboard = load_script("experiments/leaderboard/run.py")
    rows = [row for row in leaderboard.comparison_of_results().rows if not row.baseline]
    assert {row.variant for row in rows} == set(leaderboard.MODELS)
    for row in rows:
        assert set(row.seeds) == {1, 2, 3}, row.variant
    text = (ROOT / "README.md").read_text()
    assert leaderboard.readme(text) == text
    assert all(f"| `{model}` |" in text for model in leaderboard.MODELS)


def test_leaderboard_holds_every_model_that_was_measured():
    """Of the models that generate videos. The card of any other says that it was not measured."""
    listed = set(load_script("experiments/leaderboard/run.py").MODELS)
    samplers = {name for name in zoo_models() if MODELS.find(name).card.samples}
    unmeasured = {name for name in samplers if is_unmeasured(name)}
    message = f"List the model in experiments/leaderboard/run.py and measure it, or write in its card: {UNMEASURED}"
    assert samplers - listed == unmeasured, message
    assert listed <= samplers


def test_readme_of_the_default_training_holds_its_tables():
    """As the script writes them from what was measured."""
    defaults = load_script("experiments/defaults/run.py")
    text = (ROOT / "experiments/defaults/README.md").read_text()
    assert defaults.readme(text) == text
    assert "| both minus as published | 3 |" in text


def test_readme_of_distortions_holds_its_tables():
    """As the script writes them from what was measured."""
    distortions = load_script("experiments/distortions/run.py")
    text = (ROOT / "experiments/distortions/README.md").read_text()
    assert distortions.readme(text) == text
    assert "| `temporal_distance` | yes |" in text


def test_docs_hold_the_table_of_speed():
    """As the script writes it from what was measured."""
    speed = load_script("experiments/speed/table.py")
    text = (ROOT / "docs/guides/performance.md").read_text()
    assert speed.page(text) == text
    assert "vid2vid, training, 128x64" in text
