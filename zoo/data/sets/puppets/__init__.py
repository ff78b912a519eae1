"""Puppets: a drawn world with exact ground truth for every field; the default data of every command."""
