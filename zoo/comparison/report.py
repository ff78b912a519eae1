"""A wandb report of a comparison: saved where wandb is online, its JSON written where it is not.

Needs the extra `reports` (wandb-workspaces).
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from zoo.comparison.content import Comparison
from zoo.comparison.table import markdown
from zoo.errors import ZooError
from zoo.folder import CLOCK

MOST_PANELS = 24


def reports_are_there() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("wandb_workspaces") is not None


def build_report(comparison: Comparison, project: str, entity: str | None = None) -> Any:
    """The report as an object of wandb-workspaces: table, films, curves. An ``entity`` of None needs no network."""
    if not reports_are_there():
        raise ZooError("A wandb report needs the extra `reports`. Type: pip install 'video-zoo[reports]'")
    import wandb_workspaces.reports.v2 as wr

    names = [run.name for run in comparison.runs]
    where: dict[str, Any] = {"entity": entity, "project": project} if entity else {}
    curves = dict.fromkeys(
        key for run in comparison.runs for key in run.curves if key.startswith(("val/", "train/loss"))
    )
    panels: list[Any] = [wr.MediaBrowser(media_keys=["gallery"]), wr.RunComparer(diff_only=True)]
    panels += [wr.LinePlot(title=key, x=CLOCK, y=[key]) for key in list(curves)[:MOST_PANELS]]
    return wr.Report(
        project=project,
        entity=entity or "",
        title="Comparison of " + ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
        blocks=[wr.MarkdownBlock(text=markdown(comparison)), wr.PanelGrid(runsets=[wr.Runset(**where)], panels=panels)],
    )


def write_report(path: Path, comparison: Comparison, project: str) -> str:
    """Save the report online where a key is at hand and the server answers; else write its JSON. Says which."""
    from zoo.loggers import has_key

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
