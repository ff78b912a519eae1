"""A wandb report of a comparison: saved where wandb is online, its JSON written where it is not.

Needs the extra `reports` (wandb-workspaces).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.comparison.content import Comparison, Run
from zoo.comparison.table import markdown
from zoo.errors import ZooError
from zoo.runs.files import CLOCK

MOST_PANELS = 24


def reports_are_there() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("wandb_workspaces") is not None


def build_report(comparison: Comparison, project: str | None = None, entity: str | None = None) -> Any:
    """The report as an object of wandb-workspaces: table, and of the runs that wandb has, films and curves.

    project: where it is saved; None is that of the first run. An ``entity`` of None needs no network.
    """
    if not reports_are_there():
        raise ZooError("A wandb report needs the extra `reports`. Type: pip install 'video-zoo[reports]'")
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
    panels += [wr.LinePlot(title=key, x=CLOCK, y=[key]) for key in list(curves)[:MOST_PANELS]]
    grid = [wr.PanelGrid(runsets=runsets, panels=panels)] if runsets else []  # without runs it would show every run
    return wr.Report(
        project=project or project_of(comparison.runs[0]),
        entity=entity or "",
        title="Comparison of " + ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
        blocks=[wr.MarkdownBlock(text=markdown(comparison)), *grid],
    )


def project_of(run: Run) -> str:
    """Of wandb."""
    return (run.wandb and run.wandb.project) or str(run.config.get("logger.project", "zoo"))


def ids_by_project(runs: Sequence[Run]) -> dict[tuple[str, str], list[str]]:
    """The ids of the runs that wandb has, or has once they are synced, by entity ("" is the user's) and project."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.wandb:
            found.setdefault((run.wandb.entity, project_of(run)), []).append(run.wandb.id)
    return found


def write_report(path: Path, comparison: Comparison, project: str | None = None) -> str:
    """Save the report online where a key is at hand and the server answers; else write its JSON. Says which."""
    from zoo.runs.wandb_logger import has_key

    if has_key():
        import wandb

        try:
            entity = wandb.Api(timeout=10).default_entity
            report = build_report(comparison, project, entity)
            report.save()
            return str(report.url)
        except (wandb.errors.Error, OSError, ValueError) as problem:
            why = f"wandb did not answer: {problem}"
    else:
        why = "no key of wandb is at hand"
    plain = build_report(comparison, project)._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")
    path.write_text(json.dumps(plain, indent=2) + "\n")
    return f"{path} ({why})"
