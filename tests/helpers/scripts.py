"""Scripts of experiments/ as modules."""

import importlib.util
import sys
from types import ModuleType

from tests.helpers.paths import ROOT


def load_script(path: str) -> ModuleType:
    """Import a script by its path in the repository."""
    spec = importlib.util.spec_from_file_location(path.removesuffix(".py").replace("/", "_"), ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
