"""Hydra finds launchers and sweepers in the packages ``hydra_plugins.*`` alone. The zoo's are written in zoo/sweep."""

from zoo.sweep.grid import GridSweeper
from zoo.sweep.local import LocalLauncher

__all__ = ["GridSweeper", "LocalLauncher"]
