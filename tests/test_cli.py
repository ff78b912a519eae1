"""What the commands share: errors without a stack trace, and log messages in the terminal."""

import logging
import sys

import pytest

from zoo.cli import TerminalHandler, command, log_to_terminal
from zoo.config.compose import hydra_command
from zoo.errors import ZooError

logger = logging.getLogger("zoo.test")


@pytest.fixture(autouse=True)
def _without_handlers():
    """The logger of a library: no handler of a command, and the default level."""
    zoo = logging.getLogger("zoo")
    before = zoo.handlers[:], zoo.level
    zoo.handlers = [handler for handler in zoo.handlers if not isinstance(handler, TerminalHandler)]
    zoo.setLevel(logging.NOTSET)
    yield
    zoo.handlers = before[0]
    zoo.setLevel(before[1])


def test_a_library_prints_no_messages(capsys):
    logger.info("a note")
    logger.warning("a warning")
    assert "".join(capsys.readouterr()) == ""


def test_a_command_prints_messages_as_they_are(capsys):
    @command
    def main():
        logger.debug("a detail")
        logger.info("a note")
        logger.warning("a warning")
        return 3

    assert main() == 3
    log_to_terminal()  # a second call adds no second handler
    logger.info("again")
    assert capsys.readouterr() == ("a note\nagain\n", "a warning\n")


def test_every_line_is_in_a_log_file_at_once(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr(sys, "stdout", log)
        log_to_terminal()
        logger.info("run folder")
        assert (tmp_path / "log").read_text() == "run folder\n"


def test_an_output_folder_that_cannot_be_made_is_explained(tmp_path, monkeypatch, capsys):
    """Hydra creates it before the command begins; an OSError of the command itself keeps its trace."""

    @hydra_command("train")
    def main(config):
        raise FileNotFoundError(2, "No such file", "x")

    def call(name):
        monkeypatch.setattr(sys, "argv", ["zoo", "model=vid2vid", f"hydra.run.dir={tmp_path / name}"])
        main()

    (tmp_path / "file").touch()
    for name, reason in (("file", "File exists"), ("file/x", "Not a directory"), ("x" * 300, "File name too long")):
        with pytest.raises(SystemExit):
            call(name)
        assert f"cannot be made an output folder: {reason}. Try: runs=<another folder>" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        call("new")


def test_a_command_prints_a_zoo_error_and_exits_with_1(capsys):
    @command
    def main():
        raise ZooError("There is no x. Type y.")

    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().err == "\nThere is no x. Type y.\n"


def test_a_bug_keeps_its_stack_trace():
    @command
    def main():
        raise KeyError("x")

    with pytest.raises(KeyError):
        main()


def test_a_full_disk_is_no_stack_trace(capsys):
    """Whichever file does not fit; another OSError keeps its trace."""

    @command
    def full():
        raise OSError(28, "No space left on device", "out/table.md")

    @command
    def missing():
        raise FileNotFoundError(2, "No such file or directory", "a")

    with pytest.raises(SystemExit) as end:
        full()
    assert end.value.code == 1
    assert "out/table.md could not be written: No space left on device. Make room" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        missing()
