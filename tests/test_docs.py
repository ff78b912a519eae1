"""The docs build without warnings and load nothing; README's Python and the tutorials run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import list_models
from zoo.card import MODELS
from zoo.data.base import DATA_SETS
from zoo.help.text import settings_of

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.py"))
SMALLEST = ["debug=smoke", "budget.clips=4", "data.workers=0", "logger.wandb=disabled", "trainer.progress=false"]
SMALLER_VID2VID = ["model.width=8", "model.blocks=2", "model.discriminator_width=8", "model.perceptual=none"]
LOADED = re.compile(r"""<(?:script|img|link|iframe|source|video)\b[^>]*?(?:src|href)=["']((?:https?:)?//[^"']+)""")
LOADED_BY_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command of this Python with this checkout; its output."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run("-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", folder, cwd=ROOT)
    return folder


def test_pages_load_nothing_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    loaded = {page.name: found for page in pages if (found := LOADED.findall(page.read_text()))}
    assert not loaded
    styles = {
        style.name: found for style in site.rglob("*.css") if (found := LOADED_BY_STYLE.findall(style.read_text()))
    }
    assert not styles


def test_every_setting_is_on_a_page(site):
    for registry, page, prefix in ((MODELS, "models", "model."), (DATA_SETS, "data", "data.")):
        text = (site / f"reference/settings/{page}.html").read_text()
        for entry in registry.entries():
            names = {setting.name for setting in settings_of(entry.config, prefix=prefix)} - {f"{prefix}name"}
            assert [name for name in names if f">{name}<" not in text] == []


def test_every_model_has_a_page(site):
    for name in list_models():
        assert (site / f"models/{name}.html").is_file(), name


def test_readme_quickstart_runs(tmp_path):
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("<!-- python -->")[2].partition("<!-- end of python -->")[0]
    script = tmp_path / "quickstart.py"
    script.write_text(section.partition("```python\n")[2].partition("```")[0])
    run(script, cwd=tmp_path)
    assert (tmp_path / "sample.mp4").stat().st_size > 1000


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=[path.stem for path in TUTORIALS])
def test_tutorial_runs(tutorial, tmp_path):
    settings = {"add_a_model": SMALLEST, "measure_folders": []}.get(tutorial.stem, [*SMALLEST, *SMALLER_VID2VID])
    assert run(tutorial, *settings, cwd=tmp_path)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(document):
    text = (ROOT / document).read_text()
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)}
    missing = [target for target in targets if target and "://" not in target and not (ROOT / target).exists()]
    assert missing == []
