"""A plug-in package adds a model without any change to the zoo, installed normally and as editable."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.helpers.paths import FIXTURES

PLUGIN = FIXTURES / "plugin"


@pytest.fixture(scope="module", params=["editable", "installed"])
def python(request, tmp_path_factory) -> Path:
    """Python of an environment with the packages of this one and the plug-in."""
    folder = tmp_path_factory.mktemp(request.param)
    source = shutil.copytree(PLUGIN, folder / "source")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    packages = next((folder / "venv").glob("lib/python*/site-packages"))
    import zoo

    here = [sysconfig.get_path("purelib"), str(Path(zoo.__file__).parents[1])]
    (packages / "outer.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in here))
    flags = ["--no-deps", "--no-build-isolation", "--quiet"] + ["-e"] * (request.param == "editable")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *flags, str(source)]
    subprocess.run(pip, check=True)
    return python


def run(python: Path, *arguments: str, cwd: Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SMOKE = ["data.workers=0", "logger.wandb=disabled", "trainer.progress=false", "data.channels=1", "data.height=32"]


def test_plugin_is_listed_and_passes_the_contract_tests(python, tmp_path):
    assert "minigan" in run(python, "-m", "zoo.list", cwd=tmp_path)
    tests = str(python.parents[2] / "source" / "tests")
    assert "24 passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=tmp_path)


def test_plugin_is_trained_by_zoo_train(python, tmp_path):
    overrides = ["model=minigan", "debug=smoke", *SMOKE]
    assert "gallery.mp4" in run(python, "-m", "zoo.train", *overrides, "model.noise=7", cwd=tmp_path)
    config = next(tmp_path.glob("runs/minigan-puppets-*/config.yaml")).read_text()
    assert "noise: 7" in config
    assert "view: person" in config
    assert "context: 0" in config


def test_help_explains_the_settings_of_the_plugin(python, tmp_path):
    text = run(python, "-m", "zoo", "train", "model=minigan", "--help", cwd=tmp_path)
    assert "*minigan" in text
    assert "Weight λ of the gradient penalty." in text


WHOLE_WAY = """
from pathlib import Path

import zoo
from zoo.compare import compare
from zoo.evaluation.evaluate_run import evaluate_run
from zoo.sample import sample
from zoo.settings import EvaluateSettings, SampleSettings

common = ["data.height=32", "data.width=32", "data.frames=8", "data.workers=0", "logger.wandb=disabled",
          "budget.clips=8", "trainer.progress=false", "evaluation.rounds=1", "evaluation.clips=2",
          "callbacks.gallery_clips=2"]
gan = zoo.fit("model=minigan", "data.channels=1", "model.width=4", *common, "hydra.run.dir=runs/gan").folder
tiny = ["model.width=8", "model.downsamplings=1", "model.blocks=2", "model.discriminator_width=8",
        "model.discriminator_layers=2", "model.perceptual=none"]
vid2vid = zoo.fit("model=vid2vid", "data.view=person", *tiny, *common, "hydra.run.dir=runs/vid2vid").folder

print([path.name for path in sample(SampleSettings(str(gan), truncation=0.5, between=[0, 1], steps=3))])
print([path.name for path in sample(SampleSettings(str(gan), clips=2, frames=5))])
two, one = (zoo.load(gan).sample(zoo.SampleRequest(8, clips=n, first=f)).video for n, f in ((2, 0), (1, 1)))
assert (two[1] - one[0]).abs().max() < 1e-5
(result,) = evaluate_run(EvaluateSettings(run=str(gan), clips=3, samples=40, metrics=["flicker", "memorisation"]))
print(result.protocol.slug, result.given, sorted(result.metrics))
comparison = compare([str(gan), str(vid2vid)], Path("page"))
print([row.variant for row in comparison.rows if row.baseline], [row.standing for row in comparison.rows][:1])
print([(row.task, row.given) for row in comparison.rows if not row.baseline], Path("page/grid.mp4").exists())
"""


@pytest.mark.parametrize("python", ["installed"], indirect=True)
def test_plugin_goes_the_whole_way(python, tmp_path):
    """Trained, sampled, interpolated, evaluated on more samples than clips, and compared with vid2vid on one page."""
    out = run(python, "-c", WHOLE_WAY, cwd=tmp_path)
    stem = "between-0-1-truncation0.5-seed0-draw0"
    assert f"['{stem}.mp4', '{stem}.png']" in out
    assert "['sample_0-seed0-draw0.mp4', 'sample_0-seed0-draw0.png', 'sample_1-seed0-draw0.mp4'" in out
    assert "3x8f-c0-32x32px-1ch-n40 nothing ['flicker', 'memorisation', 'memorisation_share'" in out
    assert "[('generate', 'nothing'), ('translate', 'labels, 1 frame')] True" in out
    assert "'training frames held still', 'ceiling: training clips'] ['unknown whether past the trivial rows" in out
    page = (tmp_path / "page/index.html").read_text()
    assert "sample/0" not in page  # its films stand beside the clips of vid2vid
    assert page.count("puppets/val-000000/0") >= 1


@pytest.mark.parametrize("python", ["installed"], indirect=True)
def test_two_processes_give_the_weights_of_one(python, tmp_path):
    """In double precision: the critic would amplify rounding errors."""
    common = ["model=minigan", "model.width=4", "budget.clips=16", "debug=smoke", *SMOKE, "trainer.precision=64-true"]
    common += ["trainer.sync_batchnorm=true"]
    one = ["data.batch_size=4", "hydra.run.dir=one"]
    two = ["data.batch_size=2", "strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2", "hydra.run.dir=two"]
    for overrides in (one, two):
        run(python, "-m", "zoo.train", *common, *overrides, cwd=tmp_path)
    load = "import zoo, torch; a, b = (zoo.load(r).state_dict() for r in ('one', 'two'))\n"
    check = "print(max(float((a[key] - b[key]).abs().max()) for key in a) < 1e-9)"
    assert "True" in run(python, "-c", load + check, cwd=tmp_path)
