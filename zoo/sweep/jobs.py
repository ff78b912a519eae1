"""One job of a sweep: its settings, its recorded state, and what is left to do.

When a sweep is run again it finds its folders: finished jobs are skipped, the others are resumed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.io.atomic import write_text
from zoo.io.own_files import make_folder
from zoo.io.safe_json import read_json
from zoo.io.safe_settings import read_settings
from zoo.runs.files import CONFIG, JOB, LAST, checkpoint_exists, lost_checkpoint
from zoo.runs.outcome import read_outcome, readable_outcome
from zoo.runs.trust import find_risks, is_own, retyped

DONE, FAILED, SKIPPED, RUNNING, STOPPED = "done", "failed", "skipped", "running", "stopped"


@dataclass(frozen=True)
class JobRecord:
    """The content of ``job.json`` in a job's folder.

    session: the sweep process that ran the job last. settings: of the run in the folder; None before there is one.
    state: done, failed, skipped (done before), running or stopped. sentence: the error message of a failure.
    """

    session: str
    overrides: list[str]
    settings: dict[str, Any] | None
    state: str
    sentence: str = ""


@dataclass(frozen=True)
class Job:
    """One training of a sweep.

    overrides: those of a single run. settings: what they compose to; mistake: the error message if they cannot be
    composed. flags: Hydra's. home: the folder in which the sweep was started.
    """

    session: str
    folder: Path
    overrides: tuple[str, ...]
    settings: Mapping[str, Any] | None = None
    mistake: str = ""
    flags: tuple[str, ...] = ()
    home: str = "."

    @property
    def name(self) -> str:
        """The number of the job, which is the name of its folder."""
        return self.folder.name

    @property
    def objective(self) -> float | None:
        """Value of the monitored metric; None before the run has finished, and if its outcome cannot be read."""
        value = (readable_outcome(self.folder) or {}).get("value")
        return None if value is None else float(value)

    def arguments(self) -> list[str] | None:
        """Arguments of `python -m zoo.train` that start or resume the job; None if it has finished.

        Raises ZooError for settings that cannot be composed, and for a folder that contains another run.
        """
        if self.mistake:
            raise ZooError(self.mistake)
        run_dir = f"hydra.run.dir={quote(str(self.folder))}"
        if not (self.folder / CONFIG).exists():  # a job that was only begun is begun anew
            return [*self.flags, *self.overrides, run_dir]
        self._check_settings()
        if read_outcome(self.folder):
            return None
        if checkpoint_exists(self.folder / LAST) or lost_checkpoint(self.folder):
            return [f"resume={quote(str(self.folder))}", run_dir, *self._retyped()]
        return [*self.flags, *self.overrides, "overwrite=true", run_dir]

    def _retyped(self) -> list[str]:
        """The settings that a folder which is not signed here, such as on another machine, needs typed again."""
        settings = to_json(self.settings)
        return [] if is_own(self.folder) else retyped(settings, find_risks(settings, self.folder))

    def _check_settings(self) -> None:
        hint = "Type hydra.sweep.dir=<another folder>, or move that one away."
        recorded = recorded_settings(self.folder)
        if recorded is None:
            raise ZooError(f"{self.folder} contains a run that was not started by a sweep. {hint}")
        changed = changed_settings(recorded, to_json(self.settings))
        if read_record(self.folder) is None:  # the settings are those of the run, which knows its number of clips
            changed = [change for change in changed if not change.startswith("`evaluation.clips`")]
        if changed:
            raise ZooError(f"{self.folder} contains a run with other settings: {'; '.join(changed[:3])}. {hint}")

    def write_record(self, state: str, message: str = "") -> None:
        """Record the state of the job. If its folder contains a run with other settings, those settings stay."""
        settings = to_json(self.settings) if self.settings is not None else None
        if (self.folder / CONFIG).exists():
            settings = None
            with suppress(ZooError):
                settings = recorded_settings(self.folder)
        make_folder(self.folder.parent, self.folder.name)
        record = JobRecord(self.session, list(self.overrides), settings, state, message)
        write_text(self.folder / JOB, json.dumps(asdict(record), indent=2) + "\n")


def read_record(folder: Path) -> JobRecord | None:
    """Read the record in a job's folder; None if no sweep has written one, or if it is damaged."""
    try:
        content = read_json(folder / JOB, "")
    except ZooError:
        return None
    kinds = {"session": str, "overrides": list, "settings": dict | None, "state": str, "sentence": str}
    fits = content.keys() == kinds.keys() and all(isinstance(content[name], kind) for name, kind in kinds.items())
    return JobRecord(**content) if fits and all(isinstance(word, str) for word in content["overrides"]) else None


def recorded_settings(folder: Path) -> dict[str, Any] | None:
    """Settings of the run in a job's folder: those in its record, or, if that is damaged, those of the run itself.

    None if no sweep has recorded any. Raises ZooError if neither can be read.
    """
    if (record := read_record(folder)) is not None:
        return record.settings
    if not (folder / JOB).is_file():
        return None
    return dict(to_json(read_settings(folder / CONFIG)))


def to_json(settings: Any) -> Any:
    """Settings as they are read back from JSON: tuples become lists."""
    return json.loads(json.dumps(settings))


def changed_settings(there: Any, here: Any, where: str = "") -> list[str]:
    """Describe every setting that differs: `` `model.width` is 16 there and 8 here ``."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [*there, *(key for key in here if key not in there)]
        pairs = [(there.get(key), here.get(key), f"{where}.{key}".lstrip(".")) for key in keys]
        return [change for pair in pairs for change in changed_settings(*pair)]
    return [] if there == here else [f"`{where}` is {there} there and {here} here"]


def quote(text: str) -> str:
    """Quote a text for Hydra's command line."""
    return '"' + text.replace('"', '\\"') + '"'
