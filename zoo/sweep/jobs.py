"""One job of a sweep: what it is, what is known of it, and what is to be done with it now.

A sweep that is given anew finds the folders that it left: what has finished is skipped, the rest goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.io.atomic import write_text
from zoo.runs.files import CONFIG, JOB, LAST
from zoo.runs.outcome import read_outcome

DONE, FAILED, SKIPPED, RUNNING, STOPPED = "done", "failed", "skipped", "running", "stopped"


@dataclass(frozen=True)
class Record:
    """What a job's folder says of it, in ``job.json``.

    session: the sweep that took it up last. settings: of the run that the folder holds; None before there is one.
    state: done, failed, skipped (done before), running or stopped. sentence: what it failed with.
    """

    session: str
    overrides: list[str]
    settings: dict[str, Any] | None
    state: str
    sentence: str = ""


@dataclass(frozen=True)
class Job:
    """overrides: those of a single run. settings: what they amount to; mistake: why they cannot be. flags: Hydra's.
    home: the folder that the sweep was started in."""

    session: str
    folder: Path
    overrides: tuple[str, ...]
    settings: Mapping[str, Any] | None = None
    mistake: str = ""
    flags: tuple[str, ...] = ()
    home: str = "."

    @property
    def name(self) -> str:
        """The number that its folder is called by."""
        return self.folder.name

    @property
    def objective(self) -> float | None:
        """The value of what the run was to be good at; None before it has finished."""
        value = (read_outcome(self.folder) or {}).get("value")
        return None if value is None else float(value)

    def words(self) -> list[str] | None:
        """What `python -m zoo.train` is to be given now; None where there is nothing to do.

        Raises a ZooError for a job that cannot be, and for a folder that holds another run than the job's.
        """
        if self.mistake:
            raise ZooError(self.mistake)
        here = f"hydra.run.dir={quoted(str(self.folder))}"
        if not (self.folder / CONFIG).exists():
            return [*self.flags, *self.overrides, here]
        self._refuse_another(read_record(self.folder))
        if read_outcome(self.folder):
            return None
        if (self.folder / LAST).exists():
            return [f"resume={quoted(str(self.folder))}", here]
        return [*self.flags, *self.overrides, "overwrite=true", here]

    def _refuse_another(self, record: Record | None) -> None:
        other = "Type hydra.sweep.dir=<another folder>, or take that one away."
        if record is None or record.settings is None:
            raise ZooError(f"{self.folder} holds a run that no sweep has begun. {other}")
        if differing := differences(record.settings, as_json(self.settings)):
            raise ZooError(f"{self.folder} holds a run with other settings: {'; '.join(differing[:3])}. {other}")

    def note(self, state: str, sentence: str = "") -> None:
        """Write down what became of the job. A run of other settings, which was refused, keeps its own."""
        before = read_record(self.folder)
        settings = as_json(self.settings) if self.settings is not None else None
        if (self.folder / CONFIG).exists():
            settings = before.settings if before else None
        self.folder.mkdir(parents=True, exist_ok=True)
        record = Record(self.session, list(self.overrides), settings, state, sentence)
        write_text(self.folder / JOB, json.dumps(asdict(record), indent=2) + "\n")


def read_record(folder: Path) -> Record | None:
    """What a job's folder says of it; None where no sweep has written there."""
    file = folder / JOB
    return Record(**json.loads(file.read_text())) if file.is_file() else None


def as_json(settings: Any) -> Any:
    """Settings as they would be read back from JSON."""
    return json.loads(json.dumps(settings))


def differences(there: Any, here: Any, where: str = "") -> list[str]:
    """`` `model.width` is 16 there and 8 here ``, for every setting that differs."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [*there, *(key for key in here if key not in there)]
        pairs = [(there.get(key), here.get(key), f"{where}.{key}".lstrip(".")) for key in keys]
        return [told for pair in pairs for told in differences(*pair)]
    return [] if there == here else [f"`{where}` is {there} there and {here} here"]


def quoted(text: str) -> str:
    """A text as Hydra's command line takes it, whatever is in it."""
    return '"' + text.replace('"', '\\"') + '"'
