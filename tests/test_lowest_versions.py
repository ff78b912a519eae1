"""The lowest versions of dependencies that pyproject.toml allows are those that CI tests (.ci/run)."""

import tomllib
from pathlib import Path

from zoo.testing.rerun import tiny_plan
from zoo.training.trainer import train

ROOT = Path(__file__).resolve().parents[1]


def test_the_lowest_versions_that_are_allowed_are_those_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = {}
    for requirement in project["dependencies"]:
        name, _, version = requirement.partition(">=")
        allowed[name] = version.partition(",")[0]
    pinned = dict(
        line.split("==") for line in (ROOT / ".ci/lowest.txt").read_text().splitlines() if not line.startswith("#")
    )
    assert set(pinned) == set(allowed)
    for name, version in allowed.items():
        assert (pinned[name] + ".").startswith(version + "."), name


def test_a_model_trains_a_step(tmp_path):
    """On the lowest versions, too: CI runs this file there."""
    assert train(tiny_plan("classifier", 2), tmp_path / "run")
