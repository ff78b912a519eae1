"""Puppets: rendered cartoon figures with exact ground truth for every field; the default data set."""
