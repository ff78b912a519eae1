"""``zoo <command> …``, or ``python -m zoo <command> …``: the same as ``python -m zoo.<command> …``."""

from __future__ import annotations

import runpy
import sys

from zoo.errors import ZooError
from zoo.help.commands import COMMANDS, find_command


def main() -> None:
    """Run a command as ``python -m`` does, so that whatever starts this process again starts that module.

    Lightning's launcher, torchrun and spawned workers look at `__main__` and `sys.argv`. No command is imported here
    but the one that runs.
    """
    words = sys.argv[1:]
    named = " ".join(word for word in words if word not in ("-h", "--help", "help"))
    if not named or any(name.startswith(f"{named} ") for name in COMMANDS):  # as `data` of `data check`
        print(overview())
        return
    try:
        command, arguments = find_command(words)
    except ZooError as mistake:
        print(f"\n{mistake}", file=sys.stderr)
        sys.exit(1)
    sys.argv[1:] = arguments
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)


def overview() -> str:
    """Every command with what it does."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {words:{width}}{command.summary}" for words, command in COMMANDS.items()]
    return "\n".join(["usage: zoo <command> ...", "", *lines, "", "zoo <command> --help lists the settings of one."])


if __name__ == "__main__":
    main()
