"""Commands import only what they need: no torch for help and errors, no wandb before the first step is over."""

import copy
import subprocess
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from zoo.config.compose import conf_dir, prepare_hydra

QUICK = """
import sys
from zoo import compare, evaluate, list, sample, train

for command, words in (
    (list, []), (train, ["--help"]), (train, ["--cfg", "job"]), (train, ["model=vid2vidd"]), (train, ["model.widht=3"]),
    (train, ["logger.wandb=ofline"]), (sample, ["--help"]), (evaluate, ["--help"]), (compare, ["--help"]),
):
    sys.argv[1:] = words
    try:
        command.main()
    except SystemExit:
        pass
print({"torch", "lightning", "numpy", "av", "cv2", "scipy", "matplotlib", "wandb"} & set(sys.modules))
"""

FIRST_STEP = """
import sys
import torch, lightning

from zoo import train
from zoo.training import trainer

of_libraries = set(sys.modules)  # torchmetrics, a part of lightning, imports many installed packages

def build_watched(plan, run, build=trainer.build_callbacks):
    from lightning import Callback

    class Watch(Callback):
        def on_train_batch_start(self, *_):
            self.begun = set(sys.modules) - of_libraries

        def on_train_batch_end(self, *_):
            late = {"wandb", "matplotlib.pyplot", "pandas", "sklearn", "zoo.evaluation.features.load"}
            print("at first", late & self.begun, "then", late & (set(sys.modules) - of_libraries))

    return [*build(plan, run), Watch()]

trainer.build_callbacks = build_watched
train.main()
"""


def run_program(program: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_help_lists_and_errors_import_no_large_package(tmp_path):
    assert run_program(QUICK, folder=tmp_path).splitlines()[-1] == "set()"


def test_the_first_step_imports_nothing_that_is_needed_later(tmp_path):
    overrides = ["model=videovae", "debug=smoke", "model.width=8", "data.workers=0", "logger.wandb=offline"]
    output = run_program(FIRST_STEP, *overrides, f"hydra.run.dir={tmp_path}/run", folder=tmp_path)
    assert "at first set() then {'wandb'}" in output
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 1


def test_hydras_config_store_is_shared_by_copies_and_not_changed_by_composing():
    prepare_hydra()
    store = ConfigStore.instance()
    assert copy.deepcopy({"sources": [store]})["sources"][0] is store
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        first = compose("train", overrides=["model.width=7", "data.frames=9"])
        second = compose("train")
    assert (first.model.width, first.data.frames) == (7, 9)
    assert second.model.width != 7
    assert second.data.frames != 9
