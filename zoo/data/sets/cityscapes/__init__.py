"""Cityscapes: snippets of street scenes with label maps, in the layout in which they are published."""
