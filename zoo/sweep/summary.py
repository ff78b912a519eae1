"""What became of a sweep: a line a job, read from the jobs' folders."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.runs.files import OUTPUT
from zoo.runs.outcome import read_outcome
from zoo.sweep.jobs import DONE, FAILED, RUNNING, SKIPPED, STOPPED, Record, read_record

SAID = {SKIPPED: "skipped (done before)", RUNNING: "unfinished"}
BAD = (FAILED, STOPPED, RUNNING)


def last_words(output: str, code: int) -> str:
    """What a process that ended with ``code`` said last: a mistake's sentences, or the last line of a stack trace."""
    paragraph = output.rstrip().rpartition("\n\n")[2].strip()
    lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in output:
        lines = lines[-1:]
    if code > 128 and code - 128 in set(signal.Signals):
        lines = [f"It was ended by {signal.Signals(code - 128).name}.", *lines[-1:]]
    return " ".join(lines[-4:]) or f"It ended with code {code} and said nothing."


def told(folder: Path) -> str:
    """What became of the job in a folder, in a few words."""
    record = read_record(folder)
    if record is None:
        return "unknown"
    return f"{SAID.get(record.state, record.state)}    {record.sentence or objective(folder)}".rstrip()


def objective(folder: Path) -> str:
    """What the run was to be good at, and how good it is; nothing before it has finished."""
    outcome = read_outcome(folder)
    return f"{outcome['objective']} = {outcome['value']:.4f}" if outcome and outcome["value"] is not None else ""


def common(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides that all of several jobs have."""
    return [word for word in jobs[0] if all(word in job for job in jobs)] if len(jobs) > 1 else []


def records(sweep: Path, session: str) -> dict[Path, Record]:
    """The jobs that were taken up in a session, in order."""
    found = {file.parent: read_record(file.parent) for file in sweep.glob("*/job.json")}
    mine = {folder: record for folder, record in found.items() if record and record.session == session}
    return dict(sorted(mine.items(), key=lambda item: (len(item[0].name), item[0].name)))


def summarize(sweep: Path, session: str) -> int:
    """Print a line a job; returns how many of them have no result."""
    jobs = records(sweep, session)
    shared = common([record.overrides for record in jobs.values()])
    table = Table("job", "overrides", "state", "", box=None, pad_edge=False)
    for folder, record in jobs.items():
        words = Text(" ".join(word for word in record.overrides if word not in shared))
        said = SAID.get(record.state, record.state)
        table.add_row(folder.name, words, said, Text(record.sentence or objective(folder)))
    here = sweep.relative_to(Path.cwd()) if sweep.is_relative_to(Path.cwd()) else sweep
    counts = {state: sum(record.state == state for record in jobs.values()) for state in (DONE, SKIPPED, *BAD)}
    console = Console(width=None if Console().is_terminal else 160)
    print()
    console.print(table)
    if shared:
        print(f"\nall      {' '.join(shared)}", end="")
    print(f"\nsweep    {here}    {', '.join(f'{n} {SAID.get(state, state)}' for state, n in counts.items() if n)}")
    bad = sum(counts[state] for state in BAD)
    if bad:
        print(f"output   {here}/<job>/{OUTPUT}")
        print("again    the same command: what has finished is skipped, the rest goes on")
    return bad
