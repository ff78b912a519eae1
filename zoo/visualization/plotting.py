"""Plot with matplotlib's own defaults: it also reads ``matplotlibrc`` of the current folder, which may be a download,
and there text may be handed to LaTeX, a program that reads and writes files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def plain_pyplot() -> Iterator[Any]:
    """Context with the module pyplot, for images without a window. Text is shown as it is, a ``$`` included."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False
        yield pyplot
