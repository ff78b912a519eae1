"""Puppets: a drawn world with exact ground truth for every field of a clip; the default data of every command."""
