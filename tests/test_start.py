"""What a command does not need is not imported: help and mistakes come without torch, the first step without wandb."""

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

alone = set(sys.modules)  # torchmetrics, which is a part of lightning, imports much of what is installed

def watched(plan, run, build=trainer.build_callbacks):
    from lightning import Callback

    class Watch(Callback):
        def on_train_batch_start(self, *_):
            self.begun = set(sys.modules) - alone

        def on_train_batch_end(self, *_):
            late = {"wandb", "matplotlib.pyplot", "pandas", "sklearn", "zoo.evaluation.features.load"}
            print("at first", late & self.begun, "then", late & (set(sys.modules) - alone))

    return [*build(plan, run), Watch()]

trainer.build_callbacks = watched
train.main()
"""


def last_words(program: str, *words: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_help_lists_and_mistakes_import_nothing_large(tmp_path):
    assert last_words(QUICK, folder=tmp_path).splitlines()[-1] == "set()"


def test_first_step_does_not_wait_for_what_comes_later(tmp_path):
    words = ["model=videovae", "debug=smoke", "model.width=8", "data.workers=0", "logger.wandb=offline"]
    told = last_words(FIRST_STEP, *words, f"hydra.run.dir={tmp_path}/run", folder=tmp_path)
    assert "at first set() then {'wandb'}" in told
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 1


def test_settings_are_shared_by_copies_of_hydra_and_not_changed_by_what_is_composed():
    prepare_hydra()
    store = ConfigStore.instance()
    assert copy.deepcopy({"sources": [store]})["sources"][0] is store
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        first = compose("train", overrides=["model.width=7", "data.frames=9"])
        second = compose("train")
    assert (first.model.width, first.data.frames) == (7, 9)
    assert second.model.width != 7
    assert second.data.frames != 9
