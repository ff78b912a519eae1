"""Turn the relative links of a Markdown file of the repository into links of this site."""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
INCLUDED = re.compile(r"^<!-- docs: file (?P<path>\S+) -->$", re.MULTILINE)
SECTION = re.compile(r"^<!-- docs: section (?P<path>\S+) (?P<mark>\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def relink(text: str, file: Path, page: Path) -> str:
    """``text`` of ``file`` as it must read in ``page``.

    A link to a file that some page includes leads to that page, an image is taken from where it lies, and the text of a
    link to any other file, which this site does not hold, stays without the link.
    """
    files, sections = pages_of_files(), pages_of_sections()

    def replace(link: re.Match[str]) -> str:
        target, hash_sign, anchor = link["target"].partition("#")
        if "://" in target or not target:
            return link[0]
        path = (file.parent / target).resolve()
        if link["image"]:
            return f"![{link['text']}]({relpath(path, page.parent)})"
        if home := sections.get((path, anchor)):
            return f"[{link['text']}]({relpath(home, page.parent)})"
        home = path if path.is_relative_to(DOCS) and path.suffix == ".md" else files.get(path)
        if home is None:
            return link["text"]
        return f"[{link['text']}]({relpath(home, page.parent)}{hash_sign}{anchor})"

    return LINK.sub(replace, text)


def pages_of_files() -> dict[Path, Path]:
    """File of the repository -> the page that includes the whole of it."""
    homes = {ROOT / found["path"]: page for page, text in pages() for found in INCLUDED.finditer(text)}
    return {ROOT / "README.md": DOCS / "index.md", **homes}


def pages_of_sections() -> dict[tuple[Path, str], Path]:
    """File and mark of a section -> the page that includes it."""
    return {(ROOT / found["path"], found["mark"]): page for page, text in pages() for found in SECTION.finditer(text)}


def pages() -> list[tuple[Path, str]]:
    """Every page of this site, with its source."""
    return [(page, page.read_text()) for page in sorted(DOCS.rglob("*.md"))]
