"""Compose settings with Hydra. Imports no torch."""
