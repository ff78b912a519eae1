"""Composing settings with Hydra. Imports no torch."""
