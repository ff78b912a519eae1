"""Say what a file is that cannot be read as an image or video, from its first and last bytes. Imports no torch."""

from __future__ import annotations

from pathlib import Path

HEAD = 512
TEXTS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself. Fetch it: git lfs pull",
    b"<!doctype html": "is a web page, not an image or video. Download the file itself.",
    b"<html": "is a web page, not an image or video. Download the file itself.",
    b"<?xml": "is an XML document, not an image or video. Download the file itself.",
    b"{": "is JSON text, not an image or video. Download the file itself.",
    b"/annex/": "is a pointer of git-annex, not the file itself. Fetch it: git annex get .",
}
"""Beginning of a text, in small letters -> what the file is."""
ARCHIVES = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"Rar!": "rar", b"7z\xbc\xaf": "7z", b"%PDF": "PDF"}
ENDS = {
    b"\x89PNG\r\n\x1a\n": ("PNG", b"IEND\xaeB`\x82"),
    b"\xff\xd8\xff": ("JPEG", b"\xff\xd9"),
    b"GIF8": ("GIF", b";"),
}
"""First bytes of an image -> its format, and its last bytes."""


def describe_unreadable(path: Path) -> str:
    """What a file is, as the end of a sentence that begins with its path; "" if its bytes do not tell."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(max(0, path.stat().st_size - HEAD))
            tail = file.read()
    except OSError as problem:
        return f"cannot be opened: {problem.strerror}."
    if not head:
        return "is empty (0 bytes). Copy or download it again."
    if not head.strip(b"\0"):
        return "begins with zeros: it was reserved and never filled. Copy or download it again."
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begin, meaning in TEXTS.items():
        if text.startswith(begin):
            return meaning
    for begin, name in ARCHIVES.items():
        if head.startswith(begin):
            return f"is a {name} file, not an image or video."
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and b"ANIM" in head:
        return "is an animated WebP, which is not supported. Save it as MP4, or its frames as PNG."
    if head[4:12] in (b"ftypavif", b"ftypavis", b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "is an AVIF or HEIC image, which is not supported. Save it as PNG."
    for begin, (name, end) in ENDS.items():
        if head.startswith(begin) and end not in tail:
            return f"is a {name} whose end is missing. Copy or download it again."
    return ""
