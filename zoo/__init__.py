"""Video-generation models behind one interface: ``python -m zoo.train model=vid2vid data=puppets``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.card import MODELS, ModelCard, ModelConfig, register
from zoo.errors import ZooError
from zoo.types import Clip, ClipSpec, Sample, SampleRequest

if TYPE_CHECKING:
    from zoo.model import VideoModel

list_models = MODELS.names

__all__ = [
    "Clip",
    "ClipSpec",
    "ModelCard",
    "ModelConfig",
    "Sample",
    "SampleRequest",
    "ZooError",
    "build",
    "list_models",
    "load",
    "register",
]


def build(model: Mapping[str, Any], spec: ClipSpec) -> VideoModel[Any]:
    """Build a model from plain data for clips of a form: ``build({"name": "vid2vid"}, spec)``."""
    from zoo.model import build  # torch comes in here, not at `import zoo`

    return build(model, spec)


def load(run: str) -> VideoModel[Any]:
    """Rebuild a trained model, ready to sample, from a run folder or a checkpoint."""
    from zoo.runs.load import load  # torch comes in here, not at `import zoo`

    return load(run)
