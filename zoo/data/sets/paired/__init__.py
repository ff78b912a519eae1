"""Paired frames and maps, in the layout of vid2vid's original release."""
