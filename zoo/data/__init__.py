"""Data sets, video decoding and the Lightning data module."""
