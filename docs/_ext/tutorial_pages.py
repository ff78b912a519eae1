"""A script in the percent format as Markdown: ``# %% [markdown]`` cells are text, ``# %%`` cells are code."""

from __future__ import annotations

import re

CELL = re.compile(r"^# %%(?P<markdown> \[markdown\])?[^\n]*\n", re.MULTILINE)


def to_markdown(script: str) -> str:
    """The cells of a script, in order; what stands before the first one (the module docstring) is left out."""
    _, *pieces = CELL.split(script)
    cells = []
    for is_text, cell in zip(pieces[::2], pieces[1::2], strict=True):
        if is_text:
            cells.append(re.sub(r"^# ?", "", cell, flags=re.MULTILINE).strip())
        elif cell.strip():
            cells.append(f"```python\n{cell.strip()}\n```")
    return "\n\n".join(cells)
