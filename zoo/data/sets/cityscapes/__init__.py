"""Cityscapes: video snippets of street scenes with label maps, in the published layout."""
