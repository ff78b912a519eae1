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
    assert "22 passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=tmp_path)


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
