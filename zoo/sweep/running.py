"""Jobs in processes of their own: one or several at a time, each with its output in its folder, and none outlives the
sweep."""

from __future__ import annotations

import codecs
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from zoo.devices.launch import is_main_task, without_launcher_environment
from zoo.errors import ZooError
from zoo.runs.files import OUTPUT
from zoo.runs.outcome import read_outcome
from zoo.sweep import keeper
from zoo.sweep.jobs import DONE, FAILED, RUNNING, SKIPPED, STOPPED, Job
from zoo.sweep.summary import common, last_words, told

PULSE = 0.2  # seconds between two looks at what runs
KEPT = 20_000  # characters of the output, for what it says last
COMMAND = (sys.executable, "-m", "zoo.train")


class Running:
    """A job's process. shown: whether its output is shown here, as well as kept in its folder."""

    def __init__(self, job: Job, words: Sequence[str], environment: Mapping[str, str], shown: bool) -> None:
        self.job, self.shown = job, shown
        self.said, self.decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        note(job, RUNNING)
        output = job.folder / (OUTPUT if is_main_task(os.environ) else f"rank{os.environ['SLURM_PROCID']}-{OUTPUT}")
        with output.open("ab") as sink:
            self.output = output.open("rb")
            self.output.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                [sys.executable, "-m", keeper.__name__, *COMMAND, *words],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**without_launcher_environment(os.environ), **environment},
                cwd=job.home,
                start_new_session=True,  # what is done to the sweep's group reaches it through its stdin alone
            )

    def ended(self) -> bool:
        """Show what is new; once the process has ended, write down how."""
        code = self.process.poll()
        new = self.decoder.decode(self.output.read())
        self.said = (self.said + new)[-KEPT:]
        if self.shown and new:
            sys.stdout.write(new)
            sys.stdout.flush()
        if code is None:
            return False
        if code == 0 and read_outcome(self.job.folder):
            note(self.job, DONE)
        else:
            note(self.job, FAILED, last_words(self.said, code))
        return True

    def stop(self) -> None:
        """Ask the process to save and end."""
        if self.process.stdin:
            self.process.stdin.close()

    def wait(self) -> None:
        """Until it has ended, as it was asked to."""
        self.process.wait()
        note(self.job, STOPPED, "It was stopped with the sweep.")


def run_all(
    jobs: Sequence[Job],
    slots: Sequence[Mapping[str, str]],
    tell: bool = True,
    still_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Take up every job, as many at a time as there are slots. Whatever ends this ends the jobs. tell: whether to say
    here what becomes of them."""
    waiting, free = deque(jobs), deque(slots)
    busy: list[tuple[Running, Mapping[str, str]]] = []
    say = print if tell else _silent
    shared = common([job.overrides for job in jobs])
    try:
        while (waiting or busy) and still_wanted():
            while waiting and free:
                job = waiting.popleft()
                running = take_up(job, free[0], shown=len(slots) == 1)
                words = " ".join(word for word in job.overrides if word not in shared)
                say(f"job {job.name}: {'started' if running else told(job.folder)}    {words}")
                if running:
                    busy.append((running, free.popleft()))
            for one in [one for one in busy if one[0].ended()]:
                busy.remove(one)
                free.append(one[1])
                say(f"job {one[0].job.name}: {told(one[0].job.folder)}")
            if busy:
                time.sleep(PULSE)
    finally:
        for running, _ in busy:
            running.stop()
        for running, _ in busy:
            running.wait()
        for job in waiting:
            if not read_outcome(job.folder):
                note(job, STOPPED, "It was not begun.")


def take_up(job: Job, environment: Mapping[str, str], shown: bool) -> Running | None:
    """Start a job; None where there is nothing to do, since it is done or cannot be, which is written down."""
    try:
        words = job.words()
    except ZooError as mistake:
        note(job, FAILED, str(mistake))
        return None
    if words is None:
        note(job, SKIPPED)
        return None
    return Running(job, words, environment, shown)


def note(job: Job, state: str, sentence: str = "") -> None:
    """Write down what became of a job; where several tasks run it together, one of them does."""
    if is_main_task(os.environ):
        job.note(state, sentence)


def _silent(_: str) -> None:
    pass
