"""Categories of generated clips: values of an attribute of the data set. Imports no torch, so configs can use it."""

from __future__ import annotations

from zoo.errors import joined, suggest
from zoo.types import ClipSpec


def category_problems(category: str | None, spec: ClipSpec) -> list[str]:
    """The message that clips lack the attribute of ``model.category``, if that is so. None: without categories."""
    if category is None or category in spec.attributes:
        return []
    known = f"Their attributes: {joined(spec.attributes)}." if spec.attributes else "They have no attributes."
    return [
        f"model.category={category}, but clips have no such attribute.{suggest(category, spec.attributes)} {known} "
        "Leave it out to generate without categories."
    ]
