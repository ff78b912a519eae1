"""The commands of the zoo: what each does and how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zoo.errors import ZooError, joined, suggest


@dataclass(frozen=True)
class Command:
    """A command, which is also a module that runs as ``python -m <module>``."""

    words: str
    """What follows `zoo`, such as `data check`."""

    module: str
    """Module that runs it."""

    summary: str
    """What it does, in one sentence."""

    arguments: str
    """What the usage line shows after the command."""

    examples: tuple[str, ...]
    """Arguments of typical calls."""

    notes: tuple[str, ...] = ()
    """Paragraphs of `--help` after the summary."""


COMMANDS: Mapping[str, Command] = {
    command.words: command
    for command in (
        Command(
            "train",
            "zoo.train",
            "Train a model on a data set, or resume a training.",
            "[<group>=<choice> ...] [<setting>=<value> ...]",
            (
                "model=vid2vid data=puppets",
                "model=videovae --help",
                "-m model=vid2vid,pix2pixhd seed=1,2,3",
                "resume=runs/<run>",
            ),
            (
                "--help beside other words shows the settings of the model and data set that they choose. -m starts a "
                "sweep: one training for each combination of values. --cfg job prints the composed settings; "
                "--hydra-help lists the other flags.",
            ),
        ),
        Command(
            "sample",
            "zoo.sample",
            "Sample videos from a trained model.",
            "run=<run folder> [<setting>=<value> ...]",
            ("run=runs/<run> frames=300 seed=1 draws=4", "run=runs/<run> given=<video or folder>"),
        ),
        Command(
            "evaluate",
            "zoo.evaluate",
            "Compute metrics of a trained model, or of two folders of videos.",
            "(run=<run folder> | real=<folder> fake=<folder>) [<setting>=<value> ...]",
            ("run=runs/<run> features=r3d_18", "real=<folder> fake=<folder> features=r3d_18 metrics=[fvd]"),
        ),
        Command(
            "compare",
            "zoo.compare",
            "Compare runs: a table, a page, a video grid and a wandb report.",
            "<run> <run> ... [out=<folder>] [project=<name>] [--published]",
            ("runs/*", "runs/<run> runs/<run> out=comparison", "--published"),
            (
                "A run is a run folder, a glob of run folders, or a run in wandb: <entity>/<project>/<id>.",
                "Writes into the new folder: the table (table.md, table.csv), paired metrics frame by frame "
                "(curves.csv), the same clips of every run side by side (grid.mp4), a page that needs no server "
                "(index.html) and a wandb report. Values of different evaluation protocols are not compared.",
                "--published adds the published values of the named protocols on the data sets of the runs, in tables "
                "of their own; without runs it prints these alone.",
            ),
        ),
        Command(
            "convert",
            "zoo.convert",
            "Convert the weights of an original release to a run folder.",
            "<model> from=<folder> to=<run folder> [<setting>=<value> ...]",
            ("vid2vid from=<folder> to=runs/released label_count=35 height=512 width=1024",),
            (
                "<model> is vid2vid or pix2pixhd. Layers and their sizes are read from the weights; the settings below "
                "are those that the weights do not determine. The converted run can be sampled from like any other.",
            ),
        ),
        Command(
            "list",
            "zoo.list",
            "List models, data sets, metrics and feature networks.",
            "[<pattern>]",
            ("", "'vid*'"),
            ("<pattern> selects models; without one all are listed, each with the data sets that fit it.",),
        ),
        Command(
            "benchmark",
            "zoo.benchmark",
            "Measure the speed and memory of training, sampling, loading and evaluation.",
            "[<group>=<choice> ...] [<setting>=<value> ...] [--compare [<setting>=<value> ...]]",
            (
                "model=vid2vid data=puppets",
                "model=vid2vid --compare trainer.compile=true",
                "model=vid2vid --compare model=pix2pixhd model.width=32",
                "model=vid2vid --compare against=<another checkout of the zoo>",
            ),
            (
                "Measures, after a warm-up: a training step, split into waiting for data, forward, backward, optimizer "
                "and the rest; a sample; loading alone; the metrics of a validation round; peak memory; and the time "
                "of the step's heaviest convolutions alone. Prints a table and writes a JSON file.",
                "The steps are the first ones of a training: with a curriculum, those of its first stage. Batches are "
                "loaded one by one; a training of short steps loads several at a time and waits less "
                "(perf/wait_share).",
                "--compare measures two settings in alternation, A B A B, each in a process of its own, so that a "
                "noisy machine does not decide. Words before --compare are A; words after it change A to B; "
                "against=<folder> takes the code of B from another checkout of the zoo. Without words after it A is "
                "compared with itself, which shows the effect of chance. Ratios are times of B divided by times of A, "
                "the median over all pairs.",
                "All other settings are those of a training, see python -m zoo.train --help; resume, runs, overwrite, "
                "trust, slots, launcher, sweep, logger and budget have no effect on a step and are refused.",
            ),
        ),
        Command(
            "data check",
            "zoo.data.check",
            "Check a folder of videos, and write a contact sheet of it.",
            "root=<folder> [<setting>=<value> ...]",
            ("root=<folder> condition=edges",),
            (
                "Prints what was found, what is skipped and what is worth a look. The contact sheet has one row per "
                "video. The settings are those of the data set `folder`; in a training type data.<setting>=<value>.",
            ),
        ),
        Command(
            "data prepare",
            "zoo.data.prepare",
            "Prepare a data set: where to get it, whether it is complete, a contact sheet of its clips.",
            "<data set> root=<folder> [<setting>=<value> ...]",
            ("weizmann", "weizmann root=<folder>", "weizmann --help"),
            (
                "Unpacks zip archives in the folder, checks the files, writes a contact sheet of clips as a model sees "
                "them, and prints the command to type next. Without root=<folder> it says where to get the data set; "
                "nothing is downloaded. The name of a data set beside --help shows its settings.",
            ),
        ),
    )
}
"""The words after `zoo` -> the command."""


def find_command(words: list[str]) -> tuple[Command, list[str]]:
    """The command that the first words name, and the remaining words; a ZooError for an unknown command."""
    for count in (1, 2):
        if command := COMMANDS.get(" ".join(words[:count])):
            return command, words[count:]
    groups = {name.partition(" ")[0] for name in COMMANDS if " " in name}
    typed = " ".join(words[: 2 if words[0] in groups else 1])
    raise ZooError(f"There is no command `{typed}`.{suggest(typed, COMMANDS)} Known: {joined(COMMANDS)}.")
