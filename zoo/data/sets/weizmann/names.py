"""People, actions, crops and files of Weizmann. Imports no torch."""

from __future__ import annotations

PEOPLE = ("daria", "denis", "eli", "ido", "ira", "lena", "lyova", "moshe", "shahar")
ACTIONS = ("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2")
CROPS = ("person", "centre", "none")
LAYOUT = (
    "the published files <root>/<action>/<person>_<action>.avi, such as walk/daria_walk.avi and run/lena_run1.avi, or "
    "the same files directly in <root>"
)
