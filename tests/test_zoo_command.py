"""``zoo train …`` and ``python -m zoo train …`` do what ``python -m zoo.train …`` does, in child processes too."""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.runs.test_run_folder import TINY
from zoo.help.commands import COMMANDS

SCRIPT = "import sys\nfrom zoo.__main__ import main\nsys.exit(main())\n"  # as pip writes it
WITHOUT_TORCH = """
import sys
from zoo.__main__ import main

for words in ([], ["--help"], ["trian"], ["list"], ["train", "--help"], ["train", "model=vid2vidd"], ["data", "-h"]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit:
        pass
print({"torch", "lightning", "numpy", "cv2", "wandb"} & set(sys.modules))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> list[str]:
    path = tmp_path_factory.mktemp("bin") / "zoo"
    path.write_text(SCRIPT)
    return [sys.executable, str(path)]


def run(command: list[str], folder: Path, check: bool = True) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=check)


def the_run(folder: Path) -> Path:
    (found,) = (folder / "runs").iterdir()
    return found


def test_commands_are_listed(script, tmp_path):
    for command in ([*script], [*script, "--help"], [sys.executable, "-m", "zoo"], [*script, "data"]):
        text = run(command, tmp_path).stdout
        assert all(f"  {each.words} " in text and each.summary in text for each in COMMANDS.values())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "There is no command `trian`. Did you mean `train`?"),
        (["data", "chekc", "root=x"], "There is no command `data chekc`. Did you mean `data check`?"),
        (["evaluat", "run=x"], "There is no command `evaluat`. Did you mean `evaluate`?"),
        (["train", "model=vid2vidd"], "There is no model `vid2vidd`. Did you mean `vid2vid`?"),
        (["data", "check", "x"], "`x` is not key=value."),
        (["list", "nothing*"], "No model matches nothing*."),
    ],
)
def test_mistakes_get_a_sentence(words, sentence, script, tmp_path):
    done = run([*script, *words], tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith(sentence)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.words)
def test_every_command_runs_under_its_words(command, script, tmp_path):
    ours = run([*script, *command.words.split(), "--help"], tmp_path).stdout
    assert ours == run([sys.executable, "-m", command.module, "--help"], tmp_path).stdout


def test_only_the_command_that_runs_is_imported(tmp_path):
    assert run([sys.executable, "-c", WITHOUT_TORCH], tmp_path).stdout.splitlines()[-1] == "set()"


def test_the_script_is_declared():
    names = {point.name: point.value for point in entry_points(group="console_scripts")}
    if "zoo" not in names:
        pytest.skip("the installed metadata are older than the script")
    assert names["zoo"] == "zoo.__main__:main"


def test_two_processes_then_resumed(script, tmp_path):
    """Lightning starts the second process itself: the same command again. command.txt keeps both commands."""
    words = ["budget.clips=16", "data.batch_size=1", "evaluation.clips=3", "strategy.accelerator=cpu"]
    run([*script, "train", *TINY, *words, "strategy=ddp", "strategy.devices=2"], tmp_path)
    folder = the_run(tmp_path)
    assert (folder / "command.txt").read_text().startswith("python -m zoo.train ")
    assert json.loads((folder / "outcome.json").read_text())
    done = run([*script, "train", f"resume={folder}"], tmp_path)
    assert "has already finished training" in done.stdout


def test_torchrun_starts_it(tmp_path):
    words = ["budget.clips=16", "data.batch_size=1", "evaluation.clips=3", "strategy.accelerator=cpu"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "zoo"]
    run([*torchrun, "train", *TINY, *words, "strategy=ddp"], tmp_path)
    assert (the_run(tmp_path) / "outcome.json").is_file()


def test_sweep(script, tmp_path):
    done = run([*script, "train", "-m", *TINY, "budget.clips=8", "evaluation.clips=2", "seed=1,2"], tmp_path)
    assert "2 done" in done.stdout
    (sweep,) = (tmp_path / "runs").glob("sweep-*")
    assert all((sweep / job / "outcome.json").is_file() for job in ("0", "1"))
