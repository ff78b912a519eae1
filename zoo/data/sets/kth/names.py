"""People, actions, scenarios and splits of KTH. Imports no torch."""

from __future__ import annotations

PEOPLE = tuple(f"person{number:02d}" for number in range(1, 26))
ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
SCENARIOS = ("d1", "d2", "d3", "d4")
"""Outdoors; outdoors with the scale changing; outdoors in other clothes; indoors."""
VIDEOS = 599
"""Videos of the release: 25 x 6 x 4 without person13_handclapping_d3, which is missing."""
SEQUENCES = 2391
"""Sequences of the published list: four in each video, three in five of them."""
LIST = "00sequences.txt"
RESIZES = ("stretch", "cover")
LAYOUT = (
    "the published files <root>/<action>/person<number>_<action>_d<scenario>_uncomp.avi, such as "
    f"boxing/person01_boxing_d1_uncomp.avi, with the list {LIST} in <root>; or folders of frames of the same names"
)


def _people(*numbers: int) -> frozenset[str]:
    return frozenset(PEOPLE[number - 1] for number in numbers)


HELD_OUT = {
    "svg": (_people(), _people(*range(21, 26))),
    "predrnn": (_people(), _people(*range(17, 26))),
    "published": (_people(19, 20, 21, 23, 24, 25, 1, 4), _people(22, 2, 3, 5, 6, 7, 8, 9, 10)),
}
"""Choice of `data.people` -> the people for validation, if it names any, and those for test; all others train.

svg: SVG, SRVP, MCVD. predrnn: PredRNN and OpenSTL. published: Schuldt et al. 2004, whose list of sequences states it.
"""
