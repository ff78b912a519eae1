"""Run jobs in processes of their own, one or several at a time. Every job writes its output to its folder, and none
outlives the sweep."""

from __future__ import annotations

import codecs
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from zoo.cli import say
from zoo.devices.launch import is_main_task, without_launcher_environment
from zoo.errors import ZooError
from zoo.io.own_files import open_to_append
from zoo.runs.files import OUTPUT
from zoo.runs.outcome import readable_outcome
from zoo.sweep import supervisor
from zoo.sweep.jobs import DONE, FAILED, RUNNING, SKIPPED, STOPPED, Job
from zoo.sweep.summary import describe_outcome, failure_message, shared_overrides

POLL_SECONDS = 0.2
OUTPUT_TAIL = 20_000  # characters of the output that are kept for the error message
COMMAND = (sys.executable, "-m", "zoo.train")


class JobProcess:
    """The process of a job. shown: print its output here as well as writing it to its folder."""

    def __init__(self, job: Job, arguments: Sequence[str], environment: Mapping[str, str], shown: bool) -> None:
        self.job, self.shown = job, shown
        self.tail, self.decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        write_record(job, RUNNING)
        output = job.folder / (OUTPUT if is_main_task(os.environ) else f"rank{os.environ['SLURM_PROCID']}-{OUTPUT}")
        with open_to_append(output) as sink:
            self.output = output.open("rb")
            self.output.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                [sys.executable, "-m", supervisor.__name__, *COMMAND, *arguments],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**without_launcher_environment(os.environ), **environment},
                cwd=job.home,
                start_new_session=True,  # signals to the sweep's group reach it only through its stdin
            )

    def poll(self) -> bool:
        """Print new output, and record the outcome once the process has ended; returns whether it has."""
        code = self.process.poll()
        new = self.decoder.decode(self.output.read())
        self.tail = (self.tail + new)[-OUTPUT_TAIL:]
        if self.shown and new:
            sys.stdout.write(new)
            sys.stdout.flush()
        if code is None:
            return False
        if code == 0 and readable_outcome(self.job.folder):
            write_record(self.job, DONE)
        else:
            write_record(self.job, FAILED, failure_message(self.tail, code))
        return True

    def stop(self) -> None:
        """Ask the process to save a checkpoint and end."""
        if self.process.stdin:
            self.process.stdin.close()

    def wait(self) -> None:
        """Wait until a stopped process has ended."""
        self.process.wait()
        write_record(self.job, STOPPED, "It was stopped with the sweep.")


def run_jobs(
    jobs: Sequence[Job],
    slots: Sequence[Mapping[str, str]],
    verbose: bool = True,
    should_continue: Callable[[], bool] = lambda: True,
) -> None:
    """Run every job, as many at a time as there are slots. Whatever interrupts this stops the jobs.

    slots: environment variables of each. verbose: print when a job starts and ends. should_continue: polled while jobs
    run; False stops them.
    """
    waiting, free = deque(jobs), deque(slots)
    busy: list[tuple[JobProcess, Mapping[str, str]]] = []
    shared = shared_overrides([job.overrides for job in jobs])
    try:
        while (waiting or busy) and should_continue():
            while waiting and free:
                job = waiting.popleft()
                process = start_job(job, free[0], shown=len(slots) == 1)
                if verbose:
                    own = " ".join(override for override in job.overrides if override not in shared)
                    say(f"job {job.name}: {'started' if process else describe_outcome(job.folder)}    {own}")
                if process:
                    busy.append((process, free.popleft()))
            for process, slot in [each for each in busy if each[0].poll()]:
                busy.remove((process, slot))
                free.append(slot)
                if verbose:
                    say(f"job {process.job.name}: {describe_outcome(process.job.folder)}")
            if busy:
                time.sleep(POLL_SECONDS)
    finally:
        for process, _ in busy:
            process.stop()
        for process, _ in busy:
            process.wait()
        for job in waiting:
            if not readable_outcome(job.folder):
                write_record(job, STOPPED, "It was not started.")


def start_job(job: Job, environment: Mapping[str, str], shown: bool) -> JobProcess | None:
    """Start a job; None if it is done, or cannot run, which is recorded."""
    try:
        arguments = job.arguments()
        if arguments is not None:
            return JobProcess(job, arguments, environment, shown)
    except (ZooError, OSError) as error:  # of its folder: the other jobs run
        write_record(job, FAILED, str(error))
        return None
    write_record(job, SKIPPED)
    return None


def write_record(job: Job, state: str, message: str = "") -> None:
    """Record the state of a job. If several tasks run the job together, only the main one writes."""
    if is_main_task(os.environ):
        job.write_record(state, message)
