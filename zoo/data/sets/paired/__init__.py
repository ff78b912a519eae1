"""Frames and maps side by side, in the layout of the original release of vid2vid."""
