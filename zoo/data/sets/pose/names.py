"""DensePose's body parts, and the kinds of files of each condition. Imports no torch."""

from __future__ import annotations

PARTS = (
    "background",
    "torso back",
    "torso front",
    "right hand",
    "left hand",
    "left foot",
    "right foot",
    "right upper leg back",
    "left upper leg back",
    "right upper leg front",
    "left upper leg front",
    "right lower leg back",
    "left lower leg back",
    "right lower leg front",
    "left lower leg front",
    "left upper arm front",
    "right upper arm front",
    "left upper arm back",
    "right upper arm back",
    "left lower arm front",
    "right lower arm front",
    "left lower arm back",
    "right lower arm back",
    "right head",
    "left head",
)
"""The background, and DensePose's 24 parts of the body's surface in the order of their indices."""
CONDITION_SOURCES = {"openpose": ("openpose",), "densepose": ("densepose",), "both": ("densepose", "openpose")}
"""Kinds of files that each condition is made of, in the order of its channels, three each."""
