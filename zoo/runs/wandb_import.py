"""Import wandb with settings of the user alone: those of his home and his environment.

wandb also reads ``wandb/settings`` of the current folder, which may name a server to which it then sends the API key,
and asks Git about the folder, whose configuration may name programs to run. The folder may be a download.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

logger = logging.getLogger(__name__)

WITHOUT_GIT = "WANDB_DISABLE_GIT"
SETTINGS_OF_FOLDER = ("wandb/settings", ".wandb/settings")


def import_wandb() -> Any:
    """Return the module wandb, with its settings loaded. A file of settings in the current folder is left out, which is
    said once."""
    os.environ.setdefault(WITHOUT_GIT, "true")  # the commit stands in environment.json
    import wandb

    if left_out := [name for name in SETTINGS_OF_FOLDER if os.path.lexists(name)]:
        _load_elsewhere(left_out[0])
    return wandb


def _load_elsewhere(left_out: str) -> None:
    """Let wandb load its settings, once a process, while the current folder is an empty one."""
    from wandb.sdk import wandb_setup

    here = str(Path.cwd())
    with TemporaryDirectory() as empty, contextlib.chdir(empty):
        settings = wandb_setup.singleton().settings
        loaded_now = Path(settings.root_dir).resolve() == Path(empty).resolve()
    if loaded_now:
        settings.root_dir = here
        logger.warning(
            f"{left_out} in the current folder is not read, since the folder may be somebody else's. To use what it "
            "says, type it as logger.entity and logger.project, or set WANDB_BASE_URL and the like."
        )
