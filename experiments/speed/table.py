"""The table of speed in the docs, written from what was measured.

    python experiments/speed/table.py    # writes it into docs/guides/performance.md, between its two marks

Each row names the command that measures it. If something was measured more than once, the last measurement counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/guides/performance.md"
MARKS = ("<!-- speed -->", "<!-- end of speed -->")
SAME = ("part", "model", "size", "clips", "about")  # keys that lines of one comparison on a GPU share
SETTINGS = ("sampling", "models", "precision", "compiled_videovae")
FIRST = [1.0, 1.0, 1.0]  # the ratio of the baseline of a comparison
BEFORE = "bca854049d42"  # the commit that later ones are compared with


def lines(name: str) -> list[dict[str, Any]]:
    """The lines of a JSON Lines file."""
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def ratio(quartiles: list[float]) -> str:
    """Format quartiles: ``1.57 (1.46 to 1.72)``."""
    first, median, third = quartiles
    return f"{median:.2f} ({first:.2f} to {third:.2f})"


def network_rows() -> list[list[str]]:
    """Training and sampling, compared with the original implementations' arrangement of the same networks."""
    rows = []
    last = {(line["work"], line["size"]): line for line in lines("vid2vid.jsonl")}
    for (work, size), line in last.items():
        times = f"{line['ours_ms'][1]:.0f} ms for {line['release_ms'][1]:.0f}"
        rows.append([f"vid2vid, {work}, {size}, a frame", times, ratio(line["ratio"]), "experiments/speed/vid2vid.py"])
    for preset, line in {line["preset"]: line for line in lines("videovae.jsonl")}.items():
        times = f"{line['ours_ms'][1]:.0f} ms for {line['release_ms'][1]:.0f}"
        times += f"; encoder and decoder alone {line['convolutions_ms'][1]:.0f}"
        script = "experiments/speed/videovae.py" + (" small" if preset == "small" else "")
        rows.append([f"VideoVAE `{preset}`, training, a step", times, ratio(line["ratio"]), script])
    line = lines("svg.jsonl")[-1]
    times = f"{line['ours_ms'][1]:.0f} ms for {line['release_ms'][1]:.0f}"
    rows.append(["SVG `paper`, training, a step of 8 clips", times, ratio(line["ratio"]), "experiments/speed/svg.py"])
    line = lines("vgan.jsonl")[-1]
    times = f"{line['ours_ms'][1]:.0f} ms for {line['release_ms'][1]:.0f}"
    rows.append(["VGAN `paper`, training, a step of 4 clips", times, ratio(line["ratio"]), "experiments/speed/vgan.py"])
    return rows


def gpu_rows() -> list[list[str]]:
    """On a GPU: compared with the release's arrangement, and the effect of settings."""
    rows, measured = [], lines("gpu.jsonl")
    measured = [line for line in measured if line["commit"] == measured[-1]["commit"]]
    for line in measured:
        label = f"{line.get('model', 'vid2vid')}, {line.get('size')} on an H100"
        script = f"experiments/speed/gpu.py --parts {line['part']}"
        if line["part"] == "against_release":
            times = f"{line['ours_ms'][1]:.1f} ms for {line['release_ms'][1]:.1f}"
            rows.append([f"{label}, {line['work']}, a frame", times, ratio(line["ratio"]), script])
        elif line["part"] in SETTINGS and line["ratio"] != FIRST:
            baseline = next(other for other in measured if is_baseline(other, line))
            ms, kind = "step_ms", f"training, a step of {line.get('clips')} clips".removesuffix(" of 1 clips")
            if line["part"] == "sampling":
                ms, kind = "frame_ms", "sampling, a frame"
            label += f", {kind}"
            times = f"{line[ms][1]:.1f} ms for {baseline[ms][1]:.1f}"
            inverse = [1 / value for value in reversed(line["ratio"])]
            rows.append([f"{label}: {line['side']} for {baseline['side']}", times, ratio(inverse), script])
    return rows


def is_baseline(other: dict[str, Any], line: dict[str, Any]) -> bool:
    """Whether ``other`` is what ``line`` was compared with."""
    return all(other.get(key) == line.get(key) for key in SAME) and other.get("ratio") == FIRST


def start_rows() -> list[list[str]]:
    """From the command to the first step, relative to importing torch and lightning; before and now."""
    rows = []
    for name, measured in json.loads((HERE / "start.json").read_text()).items():
        now = [value for commit, value in measured.items() if commit != BEFORE][-1]
        before = measured[BEFORE]
        if "ratio" in now:
            label = f"{name}, from the command to the first step, in imports of torch and lightning"
            values = [f"{value['ratio']['median']:.2f}" for value in (now, before)]
        else:
            label = f"`{now['command'].removeprefix('python -m ')}`"
            values = [f"{value['seconds']['median']:.2f} s" for value in (now, before)]
        rows.append([label, " for ".join(values), "", "experiments/speed/start.py"])
    return rows


def data_rows() -> list[list[str]]:
    """The share of time that training waits for clips."""
    measured = {}
    for line in lines("data.jsonl"):
        if "model" in line and not line["commit"].startswith(BEFORE):
            measured[line["model"], line["data"], line["cache"]] = line
    rows = []
    for (model, data, cache), line in measured.items():
        label = f"{model}, {data.removeprefix('data=')}{f', {cache} cache' if cache else ''}, waiting for clips"
        rows.append([label, f"{line['whole']:.1%}", "", "experiments/speed/data.py"])
    return rows


def memory_rows() -> list[list[str]]:
    """The growth of peak memory."""
    rows = []
    for curve in json.loads((HERE / "memory.json").read_text())["curves"]:
        (first, *_, last), (least, *_, most) = curve["values"], curve["mib"]
        label = f"memory, {curve['name']}, {first} to {last} {curve['panel']}"
        rows.append(
            [label, f"{least:.0f} to {most:.0f} MiB, {most / least - 1:+.1%}", "", "experiments/speed/memory.py"]
        )
    return rows


def table() -> str:
    """The whole table in Markdown."""
    rows = [["what", "ours, for theirs or before", "times as fast", "python …"], ["---", "---:", "---:", "---"]]
    for *cells, command in [*network_rows(), *gpu_rows(), *start_rows(), *data_rows(), *memory_rows()]:
        rows.append([*cells, f"`{command}`"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def page(text: str) -> str:
    """The page with the table between its marks."""
    head, _, rest = text.partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    return f"{head}{MARKS[0]}\n{table()}\n{MARKS[1]}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
