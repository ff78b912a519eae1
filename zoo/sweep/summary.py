"""The summary of a sweep: one line per job, read from the folders of the jobs."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.cli import say
from zoo.io.printable import printable, table_cell
from zoo.runs.files import JOB, OUTPUT
from zoo.runs.outcome import readable_outcome
from zoo.sweep.jobs import DONE, FAILED, RUNNING, SKIPPED, STOPPED, JobRecord, read_record

STATE_NAMES = {SKIPPED: "skipped (done before)", RUNNING: "unfinished"}
WITHOUT_RESULT = (FAILED, STOPPED, RUNNING)


def failure_message(output: str, code: int) -> str:
    """The end of the output of a process that ended with ``code``: its error message or the end of its stack trace."""
    paragraph = output.rstrip().rpartition("\n\n")[2].strip()
    lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in output:
        lines = lines[-1:]
    if code > 128 and code - 128 in set(signal.Signals):
        lines = [f"It was ended by {signal.Signals(code - 128).name}.", *lines[-1:]]
    return " ".join(lines[-4:]) or f"It ended with code {code} and printed nothing."


def describe_outcome(folder: Path) -> str:
    """State of the job in a folder, with its error message or its result."""
    record = read_record(folder)
    if record is None:
        return "unknown"
    return f"{STATE_NAMES.get(record.state, record.state)}    {record.sentence or describe_objective(folder)}".rstrip()


def describe_objective(folder: Path) -> str:
    """The monitored metric and its value; empty before the run has finished."""
    outcome = readable_outcome(folder)
    return f"{outcome['objective']} = {outcome['value']:.4f}" if outcome and outcome.get("value") is not None else ""


def shared_overrides(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides that all of several jobs have."""
    return [override for override in jobs[0] if all(override in job for job in jobs)] if len(jobs) > 1 else []


def read_records(sweep: Path, session: str) -> dict[Path, JobRecord]:
    """The records of the jobs that were run in a session, in order."""
    found = {file.parent: read_record(file.parent) for file in sweep.glob(f"*/{JOB}")}
    of_session = {folder: record for folder, record in found.items() if record and record.session == session}
    return dict(sorted(of_session.items(), key=lambda item: (len(item[0].name), item[0].name)))


def print_summary(sweep: Path, session: str) -> int:
    """Print one line per job; returns the number of jobs without a result."""
    jobs = read_records(sweep, session)
    shared = shared_overrides([record.overrides for record in jobs.values()])
    table = Table("job", "overrides", "state", "", box=None, pad_edge=False)
    for folder, record in jobs.items():
        own = Text(printable(" ".join(override for override in record.overrides if override not in shared)))
        state = STATE_NAMES.get(record.state, record.state)
        found = Text(printable(record.sentence or describe_objective(folder)))
        table.add_row(table_cell(folder.name), own, table_cell(state), found)
    shown = sweep.relative_to(Path.cwd()) if sweep.is_relative_to(Path.cwd()) else sweep
    states = (DONE, SKIPPED, *WITHOUT_RESULT)
    counts = {state: sum(record.state == state for record in jobs.values()) for state in states}
    console = Console(width=None if Console().is_terminal else 160)
    say()
    console.print(table)
    if shared:
        say(f"\nall      {' '.join(shared)}", end="")
    say(
        f"\nsweep    {shown}    {', '.join(f'{n} {STATE_NAMES.get(state, state)}' for state, n in counts.items() if n)}"
    )
    missing = sum(counts[state] for state in WITHOUT_RESULT)
    if missing:
        say(f"output   {shown}/<job>/{OUTPUT}")
        say("again    run the same command: finished jobs are skipped, the others resume")
    return missing
