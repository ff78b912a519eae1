"""Turn the relative links of a Markdown file of the repository into links of this site."""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
INCLUDED = re.compile(r"^<!-- docs: file (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def relink(text: str, file: Path, page: Path) -> str:
    """``text`` of ``file`` as it must read in ``page``.

    A link to a file that some page includes leads to that page, an image is taken from where it lies, and the text of a
    link to any other file, which this site does not hold, stays without the link.
    """
    homes = pages_of_files()

    def replace(link: re.Match[str]) -> str:
        target, hash_sign, anchor = link["target"].partition("#")
        if "://" in target or not target:
            return link[0]
        path = (file.parent / target).resolve()
        if link["image"]:
            return f"![{link['text']}]({relpath(path, page.parent)})"
        home = path if path.is_relative_to(DOCS) and path.suffix == ".md" else homes.get(path)
        if home is None:
            return link["text"]
        return f"[{link['text']}]({relpath(home, page.parent)}{hash_sign}{anchor})"

    return LINK.sub(replace, text)


def pages_of_files() -> dict[Path, Path]:
    """File of the repository -> the page that includes the whole of it."""
    homes = {ROOT / "README.md": DOCS / "index.md"}
    for page in sorted(DOCS.rglob("*.md")):
        for path in INCLUDED.findall(page.read_text()):
            homes[ROOT / path] = page
    return homes
