"""A wandb report of a comparison, saved online if wandb is available and written as JSON if not.

Needs the extra `reports` (wandb-workspaces).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.comparison.content import ComparedRun, Comparison
from zoo.comparison.table import to_markdown
from zoo.errors import ZooError
from zoo.io.atomic import write_text
from zoo.runs.files import CLOCK
from zoo.runs.wandb_import import import_wandb

MAX_PANELS = 24


def reports_are_there() -> bool:
    """Whether the extra `reports` is installed."""
    return importlib.util.find_spec("wandb_workspaces") is not None


def build_report(comparison: Comparison, project: str | None = None, entity: str | None = None) -> Any:
    """Build the report as an object of wandb-workspaces: the table, and films and curves of the runs that wandb has.

    project: where it is saved; None is that of the first run. entity: None needs no network. Raises ZooError without
    the extra `reports`.
    """
    if not reports_are_there():
        raise ZooError("A wandb report needs the extra `reports`. Type: pip install 'video-zoo[reports]'")
    import_wandb()
    import wandb_workspaces.reports.v2 as wr

    names = [run.name for run in comparison.runs]
    runsets = [
        wr.Runset(
            entity=owner or entity if entity else "",
            project=place if entity else "",
            name=place,
            filters=f"ID in {ids}",
        )
        for (owner, place), ids in ids_by_project(comparison.runs).items()
    ]
    curves = dict.fromkeys(
        key for run in comparison.runs for key in run.curves if key.startswith(("val/", "train/loss"))
    )
    panels: list[Any] = [wr.MediaBrowser(media_keys=["gallery"]), wr.RunComparer(diff_only=True)]
    panels += [wr.LinePlot(title=key, x=CLOCK, y=[key]) for key in list(curves)[:MAX_PANELS]]
    grid = (
        [wr.PanelGrid(runsets=runsets, panels=panels)] if runsets else []
    )  # a grid without run sets would show all runs
    return wr.Report(
        project=project or project_of(comparison.runs[0]),
        entity=entity or "",
        title="Comparison of " + ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
        blocks=[wr.MarkdownBlock(text=to_markdown(comparison)), *grid],
    )


def project_of(run: ComparedRun) -> str:
    """Return the wandb project of a run."""
    return (run.wandb and run.wandb.project) or str(run.config.get("logger.project") or "zoo")


def ids_by_project(runs: Sequence[ComparedRun]) -> dict[tuple[str, str], list[str]]:
    """Return the wandb ids of the runs, synced or not, by entity ("" is the user's own) and project."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.wandb:
            found.setdefault((run.wandb.entity, project_of(run)), []).append(run.wandb.id)
    return found


def write_report(path: Path, comparison: Comparison, project: str | None = None) -> str:
    """Save the report online and return its URL. Without an API key or an answer, write its JSON and say why."""
    from zoo.runs.wandb_logger import has_key

    if has_key():
        wandb = import_wandb()
        try:
            entity = wandb.Api(timeout=10).default_entity
            report = build_report(comparison, project, entity)
            report.save()
            return str(report.url)
        except (wandb.errors.Error, OSError, ValueError) as problem:
            why = f"wandb did not answer: {problem}"
    else:
        why = "no wandb API key was found"
    plain = build_report(comparison, project)._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")
    write_text(path, json.dumps(plain, indent=2) + "\n")
    return f"{path} ({why})"
