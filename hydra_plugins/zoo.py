"""Registers the zoo's launcher and sweeper: Hydra finds them only in packages ``hydra_plugins.*``. Code: zoo/sweep."""

from zoo.sweep.grid import GridSweeper
from zoo.sweep.local import LocalLauncher

__all__ = ["GridSweeper", "LocalLauncher"]
