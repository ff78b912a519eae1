"""The nine identities: proportions, palette, hair and clothes. All lengths are body heights.

Local coordinates of paint: on limbs, u runs from the upper joint to the lower one; on the torso from the hips up to the
neck; on the head from its centre to the crown. v points to the puppet's front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.data.sets.puppets.layers import Band, Colour, Dots, HalfPlane, Mark, Paint, Spot, Stripes

INK: Colour = (48, 40, 52)
WHITE: Colour = (250, 247, 240)
RIBBON: tuple[Mark, Colour] = (Band(0.01, 0.035), (206, 62, 70))


Place = Literal["behind", "front"]


@dataclass(frozen=True)
class Trim:
    """A capsule fixed to the head from (u, v) to (u, v): hair that stands out, a hat or a brim."""

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]
    paint: Paint
    place: Place = "front"


@dataclass(frozen=True)
class Identity:
    """Everything that distinguishes one puppet from another.

    height_scale, width_scale: scale of the figure's height and width. pattern: marks on the shirt. sleeve: share of the
    arm that is covered; trouser: share of the leg. skirt: its length, 0 for none. crown: marks on the head, such as
    hair, hat or beard.
    """

    skin: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    pattern: tuple[tuple[Mark, Colour], ...] = ()
    legwear: tuple[tuple[Mark, Colour], ...] = ()
    crown: tuple[tuple[Mark, Colour], ...] = ()
    trims: tuple[Trim, ...] = ()
    height_scale: float = 1.0
    width_scale: float = 1.0
    head: float = 0.118
    sleeve: float = 1.0
    trouser: float = 1.0
    skirt: float = 0.0


def _build_characters() -> tuple[Identity, ...]:
    """The identities in the order of ``config.IDENTITIES``."""
    pale, tan, olive, brown, deep = (
        (250, 214, 186),
        (238, 188, 148),
        (214, 158, 112),
        (164, 108, 74),
        (138, 90, 66),
    )
    ada = Identity(
        pale, (62, 124, 168), (44, 62, 92), (234, 176, 66),
        pattern=((Stripes(0.085), WHITE),),
        trims=(Trim((0.05, -0.07), (-0.08, -0.15), (0.06, 0.035), Paint((196, 84, 48)), "behind"),),
        crown=((HalfPlane(0.055, 0.94, -0.34), (196, 84, 48)),),
    )  # fmt: skip
    bo = Identity(
        tan, (226, 92, 74), (72, 92, 124), (60, 52, 62),
        width_scale=1.22, height_scale=0.96, sleeve=0.45,
        trims=(
            Trim((0.06, 0.0), (0.075, 0.0), (0.105, 0.095), Paint((52, 140, 132)), "behind"),
            Trim((0.055, 0.06), (0.05, 0.165), (0.022, 0.018), Paint((38, 110, 108))),
        ),
        crown=(
            (HalfPlane(0.02, 0.1, -0.99), (92, 62, 44)),
            (HalfPlane(0.045), (52, 140, 132)),
            (Band(0.053, 0.018), WHITE),
        ),
    )  # fmt: skip
    cleo = Identity(
        deep, (246, 196, 72), (246, 196, 72), (206, 74, 92),
        pattern=((Dots(0.085, 0.022), (224, 102, 62)),), sleeve=0.4, trouser=0.0, skirt=0.15, head=0.112,
        trims=(Trim((0.03, -0.01), (0.06, -0.03), (0.145, 0.13), Paint((40, 30, 36)), "behind"),),
        crown=((HalfPlane(0.055, 0.94, -0.34), (40, 30, 36)),),
    )  # fmt: skip
    dev = Identity(
        brown, (92, 168, 112), (226, 208, 172), (122, 78, 58),
        sleeve=0.5, trouser=0.42, height_scale=1.03, width_scale=0.92,
        pattern=((Band(0.15, 0.075), WHITE),),
        crown=((HalfPlane(0.055, 0.94, -0.34), (38, 32, 40)),),
    )  # fmt: skip
    emil = Identity(
        pale, (124, 92, 160), (86, 72, 110), (240, 236, 228),
        height_scale=0.9, head=0.128, pattern=((Dots(0.075, 0.02), (244, 214, 126)),),
        trims=(Trim((0.11, 0.0), (0.15, -0.05), (0.05, 0.03), Paint((240, 200, 104)), "behind"),),
        crown=(
            (HalfPlane(0.055, 0.94, -0.34), (240, 200, 104)),
            (Spot(0.07, 0.05, 0.04), (240, 200, 104)),
        ),
    )  # fmt: skip
    fay = Identity(
        tan, (234, 132, 152), (92, 76, 116), (250, 247, 240),
        trouser=0.0, skirt=0.17, width_scale=0.92,
        trims=(
            Trim((0.09, -0.02), (-0.1, -0.07), (0.105, 0.085), Paint((120, 70, 130)), "behind"),
            Trim((0.11, 0.0), (0.11, 0.0), (0.02, 0.02), Paint((250, 222, 110))),
        ),
        pattern=((Band(0.085, 0.03), (92, 76, 116)),),
        crown=((HalfPlane(0.055, 0.94, -0.34), (120, 70, 130)),),
    )  # fmt: skip
    gus = Identity(
        pale, (66, 66, 78), (66, 66, 78), (40, 36, 44),
        height_scale=1.0, width_scale=1.1,
        pattern=((HalfPlane(0.03, 0.0, 1.0), WHITE), (Spot(0.2, 0.06, 0.022), (206, 62, 70))),
        trims=(
            Trim((0.1, 0.0), (0.21, 0.0), (0.078, 0.082), Paint((52, 50, 62), (RIBBON,))),
            Trim((0.085, 0.13), (0.085, -0.13), (0.017, 0.017), Paint((52, 50, 62))),
        ),
        crown=(
            (HalfPlane(0.045, 0.25, -0.97), (176, 176, 180)),
            (Spot(-0.028, 0.048, 0.032, 0.35), (176, 176, 180)),
        ),
    )  # fmt: skip
    hana = Identity(
        olive, (250, 246, 238), (52, 128, 138), (226, 106, 78),
        pattern=((Stripes(0.1), (226, 106, 78)),), sleeve=0.42, width_scale=0.95,
        trims=(Trim((0.145, -0.03), (0.155, -0.035), (0.06, 0.06), Paint((44, 40, 56)), "behind"),),
        crown=((HalfPlane(0.055, 0.94, -0.34), (44, 40, 56)),),
    )  # fmt: skip
    ivo = Identity(
        olive, (240, 136, 56), (84, 98, 60), (84, 60, 48),
        height_scale=1.06, width_scale=1.0, legwear=((Stripes(0.075), (112, 128, 82)),),
        trims=(
            Trim((0.06, 0.0), (0.085, 0.0), (0.11, 0.09), Paint((66, 82, 136)), "behind"),
            Trim((0.19, 0.0), (0.19, 0.0), (0.034, 0.034), Paint(WHITE)),
        ),
        crown=(
            (Spot(-0.105, 0.02, 0.085, 0.6), (70, 48, 40)),
            (HalfPlane(0.045), (66, 82, 136)),
            (Band(0.053, 0.032), WHITE),
        ),
    )  # fmt: skip
    return ada, bo, cleo, dev, emil, fay, gus, hana, ivo


CHARACTERS = _build_characters()


def upper_arm_paint(identity: Identity, half: float) -> Paint:
    """Paint of the sleeve, then skin; ``half`` is the length of half an arm."""
    skin = (HalfPlane(identity.sleeve * 2 * half), identity.skin)
    return Paint(identity.shirt, (*_select_cloth_marks(identity.pattern), *([skin] if identity.sleeve < 0.5 else [])))


def forearm_paint(identity: Identity, half: float) -> Paint:
    """Paint of the rest of a long sleeve, and a hand."""
    if identity.sleeve <= 0.5:
        return Paint(identity.skin)
    return Paint(identity.shirt, (*_select_cloth_marks(identity.pattern), (HalfPlane(half * 0.86), identity.skin)))


def thigh_paint(identity: Identity, length: float) -> Paint:
    """Paint of trousers, then skin."""
    skin = (HalfPlane(identity.trouser * 2 * length), identity.skin)
    return Paint(identity.trousers, (*identity.legwear, *([skin] if identity.trouser < 0.5 else [])))


def shin_paint(identity: Identity) -> Paint:
    """Paint of long trousers, or skin."""
    return Paint(identity.trousers, identity.legwear) if identity.trouser > 0.5 else Paint(identity.skin)


def torso_paint(identity: Identity) -> Paint:
    """Paint of the shirt with its pattern, over the top of the trousers."""
    waist = () if identity.skirt else ((HalfPlane(-0.045, -1.0), identity.trousers),)
    return Paint(identity.shirt, (*identity.pattern, *waist))


def skirt_paint(identity: Identity) -> Paint:
    """Paint of the skirt, in the cloth of the shirt."""
    return Paint(identity.shirt, _select_cloth_marks(identity.pattern))


def head_paint(identity: Identity) -> Paint:
    """Paint of a cheek, a smile, hair or hat, and two eyes; the puppet looks a little to its front in every action."""
    eyes = tuple((Spot(0.005, v, 0.0135, 1.5), INK) for v in (0.068, 0.008))
    cheek = (Spot(-0.038, -0.008, 0.019, 0.8), _mix_colours(identity.skin, (236, 92, 92), 0.35))
    smile = ((Spot(-0.042, 0.04, 0.024, 0.7), INK), (Spot(-0.034, 0.04, 0.027, 0.7), identity.skin))
    return Paint(identity.skin, (*smile, cheek, *identity.crown, *eyes))


def _select_cloth_marks(pattern: tuple[tuple[Mark, Colour], ...]) -> tuple[tuple[Mark, Colour], ...]:
    """Select the marks that are part of the cloth, which sleeves have too: stripes and dots, no prints on the chest."""
    return tuple((mark, colour) for mark, colour in pattern if isinstance(mark, Stripes | Dots))


def _mix_colours(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue
