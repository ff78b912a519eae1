"""Which videos lie under a folder, and what else does: looks at names only, opens nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.sequences.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, has_suffix
from zoo.errors import listed

LAYOUT = f"video files ({' '.join(VIDEO_SUFFIXES)}) or folders of two frames and more ({' '.join(IMAGE_SUFFIXES)})"


@dataclass
class Found:
    """Paths of videos (files, and folders of frames), sorted; and what explains an empty result."""

    videos: list[Path] = field(default_factory=list)
    folders: int = 0
    others: Counter[str] = field(default_factory=Counter)  # suffix -> number of files
    problems: list[str] = field(default_factory=list)  # sentences

    def summary(self) -> str:
        """What was searched, what would have matched, what was there."""
        others = listed(f"{count} {suffix or 'without suffix'}" for suffix, count in self.others.most_common(6))
        return f"Searched {self.folders} folders for {LAYOUT}. Other files there: {others or 'none'}."


def find_videos(root: Path, leave_out: Collection[Path] = ()) -> Found:
    """Walk ``root``, links included; hidden folders and those in ``leave_out`` are left out."""
    found = Found()
    for folder, names in _walk(root, {path.resolve() for path in leave_out}, found):
        found.folders += 1
        files = [name for name in names if not name.startswith(".")]
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


def _walk(root: Path, leave_out: Collection[Path], found: Found) -> Iterator[tuple[Path, list[str]]]:
    """Each folder once, however many links lead to it, with the names of its files."""

    def unreadable(problem: OSError) -> None:
        found.problems.append(f"{problem.filename}: this folder cannot be read ({problem.strerror}).")

    seen: set[Path] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        here = Path(folder).resolve()
        if here in seen or here in leave_out:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(folder), files
