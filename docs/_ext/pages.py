"""Expand ``<!-- docs: <what> <arguments> -->`` lines in pages before they are parsed.

What a page shows of the code, of a README or of a study has one source; this file fetches it:

- ``file <path>``: a Markdown file of the repository, with its links and images turned to this site's pages;
- ``section <path> <mark>``: what stands between ``<!-- mark -->`` and ``<!-- end of mark -->`` in such a file;
- ``tutorial <name>``: ``docs/tutorials/<name>.py``, a script in the percent format, as a page;
- ``settings <module>:<class> [<prefix>]``: a table of the fields of a dataclass;
- ``models``, ``data-sets``, ``metrics``, ``feature-networks``, ``strategies``, ...: tables made from the registries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from os.path import relpath
from pathlib import Path

import repository_links
import settings_tables
import tutorial_pages
import zoo_tables
from sphinx.application import Sphinx
from sphinx.config import Config

COMMAND = re.compile(r"^<!-- docs: (?P<what>[\w-]+)(?P<arguments>[^\n]*) -->$", re.MULTILINE)

Expansion = Callable[..., str]
DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace every command of a page by the Markdown that it stands for."""
    page = DOCS / f"{docname}.md"

    def read(path: str) -> str:
        app.env.note_dependency(relpath(ROOT / path, app.srcdir), docname=docname)
        return (ROOT / path).read_text()

    def whole_file(path: str) -> str:
        return repository_links.relink(read(path), ROOT / path, page)

    def section(path: str, mark: str) -> str:
        _, begun, rest = read(path).partition(f"<!-- {mark} -->")
        text, ended, _ = rest.partition(f"<!-- end of {mark} -->")
        if not (begun and ended):
            raise ValueError(f"{path} has no section between <!-- {mark} --> and <!-- end of {mark} -->")
        return repository_links.relink(text, ROOT / path, page)

    def tutorial(name: str) -> str:
        return tutorial_pages.to_markdown(read(f"docs/tutorials/{name}.py"))

    expansions: dict[str, Expansion] = {
        "file": whole_file,
        "section": section,
        "tutorial": tutorial,
        "settings": settings_tables.table_of,
        **zoo_tables.TABLES,
    }

    def replace(found: re.Match[str]) -> str:
        if (what := found["what"]) not in expansions:
            raise ValueError(f"{docname}: there is no `docs: {what}`; known are {', '.join(expansions)}")
        return expansions[what](*found["arguments"].split())

    source[0] = COMMAND.sub(replace, source[0])


def add_pages_of_new_models(app: Sphinx, config: Config) -> None:
    """Write the page of every model that has a card and no page yet, so that a new model is one folder."""
    for card in sorted(ROOT.glob("zoo/models/*/README.md")):
        page = DOCS / f"models/{card.parent.name}.md"
        if not page.exists():
            page.write_text(f"<!-- docs: file {card.relative_to(ROOT)} -->\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", add_pages_of_new_models)
    app.connect("source-read", expand)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
