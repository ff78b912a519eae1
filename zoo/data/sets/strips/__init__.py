"""Strips: videos stored as one image each, square frames side by side or one above the other."""
