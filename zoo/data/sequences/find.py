"""Find the videos under a folder, by name alone; opens no file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.sequences.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, has_suffix
from zoo.errors import joined

LAYOUT = f"video files ({' '.join(VIDEO_SUFFIXES)}) or folders of at least two images ({' '.join(IMAGE_SUFFIXES)})"


@dataclass
class SearchResult:
    """Sorted paths of videos (files, and folders of frames), and what explains an empty result."""

    videos: list[Path] = field(default_factory=list)
    folders: int = 0
    others: Counter[str] = field(default_factory=Counter)  # suffix -> number of files
    problems: list[str] = field(default_factory=list)  # messages

    def describe(self) -> str:
        """Describe what was searched, what would have matched, and which other files there are."""
        others = joined(f"{count} {suffix or 'without suffix'}" for suffix, count in self.others.most_common(6))
        return f"Searched {self.folders} folders for {LAYOUT}. Other files there: {others or 'none'}."

    def describe_others(self) -> tuple[str, ...]:
        """Message about files that are neither videos nor frames, by suffix; none if there are none."""
        others = joined(f"{count} {suffix or 'without suffix'}" for suffix, count in self.others.most_common(6))
        return (f"Other files there, which are not used: {others}.",) if others else ()


def find_videos(root: Path, exclude: Collection[Path] = ()) -> SearchResult:
    """Walk ``root``, following links, except hidden folders and those in ``exclude``."""
    found = SearchResult()
    for folder, names in walk_once(root, exclude, found.problems):
        found.folders += 1
        files = [name for name in names if not name.startswith(".")]
        bad = [name for name in (folder.name, *files) if not is_text(name)]
        if bad:
            shown = os.fsencode(folder / bad[0] if bad[0] in files else folder).decode(errors="backslashreplace")
            found.problems.append(f"{shown} has a name that is not UTF-8. Rename it, e.g. with convmv.")
            files = [name for name in files if is_text(name)] if is_text(str(folder)) else []
        videos = [name for name in files if has_suffix(name, VIDEO_SUFFIXES)]
        images = [name for name in files if has_suffix(name)]
        found.videos += [folder / name for name in videos]
        used = {*videos}
        if len(images) >= 2 and not videos:
            found.videos.append(folder)
            used = {*images}
        found.others.update(Path(name).suffix for name in files if name not in used)
    found.videos.sort()
    return found


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; others, of old archives, can neither be written into settings nor shown."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def walk_once(
    root: Path, exclude: Collection[Path] = (), problems: list[str] | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder under ``root`` once, however many links lead to it, with the names of its files.

    Links are followed after everything else, so a folder has its own name if it is under ``root``. Hidden folders and
    those in ``exclude`` are left out. problems: messages about unreadable folders are added to it.
    """

    def note(problem: OSError) -> None:
        if problems is not None:
            problems.append(f"{problem.filename}: this folder cannot be read ({problem.strerror}).")

    seen = {path.resolve() for path in exclude}
    waiting = [root]
    while waiting:
        top = waiting.pop(0)
        for folder, folders, files in os.walk(top, onerror=note):
            here = Path(folder).resolve()
            if here in seen:
                folders.clear()
                continue
            seen.add(here)
            shown = sorted(name for name in folders if not name.startswith("."))
            links = [name for name in shown if Path(folder, name).is_symlink()]
            waiting += [Path(folder, name) for name in links]
            folders[:] = [name for name in shown if name not in links]
            yield Path(folder), files
