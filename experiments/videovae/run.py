"""VideoVAE against its own ablations on puppets: trains, asks the judge, appends to results.jsonl.

    python experiments/videovae/run.py            # every variant and seed that results.jsonl does not hold yet
    python experiments/videovae/run.py table      # the tables of what it holds
    python experiments/videovae/run.py figure     # the pictures: grid.png, transitions.png

Each training is one process with one thread; two run at a time. Shapes: N clips, T frames, H x W pixels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
RUNS = Path("runs/videovae-study")
COMMON = [
    "data=puppets",
    "data.height=64",
    "data.width=64",
    "data.frames=10",
    "data.crowd=0",
    "data.workers=0",
    "evaluation.rounds=1",
    "trainer.threads=1",
    "trainer.progress=false",
    "logger.wandb=disabled",
]
CLIPS = 12_000
PERSON, STREET = "data.view=person", "data.view=street"
JUDGES = {
    PERSON: ["model=judge", PERSON, "data.batch_size=16", "budget.clips=10000", "seed=1"],
    STREET: ["model=judge", STREET, "data.batch_size=16", "budget.clips=20000", "seed=1"],
}
VARIANTS = {
    "full": [PERSON],
    "no attributes": [PERSON, "model.attributes=none"],
    "attributes at the decoder only": [PERSON, "model.attributes=decoder"],
    "no LSTM": [PERSON, "model.recurrence=false"],
    "prior does not see the past": [PERSON, "model.prior_sees_past=false"],
    "50 % labelled": [PERSON, "data.labelled_fraction=0.5"],
    "10 % labelled": [PERSON, "data.labelled_fraction=0.1"],
    "street": [STREET],
}
PARTS = (tuple(VARIANTS)[:5], tuple(VARIANTS)[5:7], tuple(VARIANTS)[7:])
SEEDS = (1, 2, 3)
FRAMES, JUDGED, BATCH = 10, 360, 60
SWITCHES = [("walk", "run"), ("jack", "bend"), ("wave1", "jump"), ("side", "skip"), ("pjump", "wave2")]
LENGTH, SWITCH = 45, (15, 30)  # of the transition clips: there at the first, back at the second
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t for a two-sided interval of 95 %, by number of seeds


def run_all() -> None:
    """The judges, then two trainings at a time, part by part and seed by seed, so that what is there is whole."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(train_judge, JUDGES))
        done = {(line["variant"], line["seed"]) for line in lines()}
        jobs = [(variant, seed) for part in PARTS for seed in SEEDS for variant in part if (variant, seed) not in done]
        list(pool.map(lambda job: run_one(*job), jobs))


def judge_of(view: str) -> Path:
    return RUNS / f"judge-{view.rpartition('=')[2]}"


def train_judge(view: str) -> None:
    """Once for each view, unless it is there."""
    if not (judge_of(view) / "last.ckpt").is_file():
        start([*JUDGES[view], *COMMON, f"hydra.run.dir={judge_of(view)}"])


def start(settings: list[str]) -> list[str]:
    """Train in a process of its own; returns its command."""
    words = ["-m", "zoo.train", *settings]
    subprocess.run([sys.executable, *words], check=True, env=environment(), stdout=subprocess.DEVNULL)
    return words


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}


def run_one(variant: str, seed: int) -> None:
    view, *rest = VARIANTS[variant]
    run = RUNS / f"{variant.replace(' ', '-').replace('-%', '')}-s{seed}"
    began = time.time()
    trained = ["model=videovae", view, *rest, *COMMON, f"budget.clips={CLIPS}", f"seed={seed}", f"hydra.run.dir={run}"]
    words = start(trained)
    seconds = round(time.time() - began)
    arguments = [sys.executable, __file__, "measure", str(run), str(judge_of(view))]
    measured = subprocess.run(arguments, check=True, env=environment(), capture_output=True, text=True)
    line = {
        "variant": variant,
        "seed": seed,
        "command": "python " + " ".join(words),
        "seconds": seconds,
        **json.loads(measured.stdout.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line)[:400], flush=True)


# ---------------------------------------------------------------- measuring one run


def measure(run: str, judge_run: str) -> None:
    """Print what the judge says of a run's clips, and how steady they are, as one line of JSON."""
    import torch

    from zoo.evaluation.judgement import MODES, check_judge, held_out, judged
    from zoo.run import commit, data_config, load

    torch.set_num_threads(1)
    model, judge = load(run), load(judge_run)
    check_judge(judge, model)
    config = replace(data_config(run), transitions=0.0)
    clips = list(held_out(config, model.card.wanted(), FRAMES, JUDGED, BATCH))
    real = [clip["video"] for clip in clips]
    results = {"real": judged(judge, zip(real, clips, strict=True)) | steadiness(real)}
    asked: dict[str, tuple[int, dict[str, Any]]] = {name: (context, {}) for name, context in MODES.items()}
    if model.attributes:
        results["read off the first frame"] = inferred(model, clips)
        free = dict.fromkeys(model.attributes, "inferred")
        asked["first frame, attributes inferred"] = (1, {"attributes": free})
    for name, (context, options) in asked.items():
        videos = [sampled(model, clip, FRAMES, context, options) for clip in clips]
        results[name] = judged(judge, zip(videos, clips, strict=True)) | steadiness(videos)
    if model.attributes:
        results["transitions"] = transitions(model, judge)
    protocol = {"clips": JUDGED, "frames": FRAMES, "height": 64, "width": 64, "split": "val", "data": vars(config)}
    line = {"clips_seen": model.clips_seen, "commit": commit(), "judge_accuracy": judge.accuracy, "protocol": protocol}
    print(json.dumps(line | {"results": rounded(results)}))


def sampled(model: Any, clip: Any, frames: int, context: int, options: dict[str, Any]) -> Any:
    from zoo.types import SampleRequest

    return model.sample(SampleRequest(frames, clip, context, options=options)).video


def inferred(model: Any, clips: list[Any]) -> dict[str, float]:
    """How often the heads of the encoder name what the first frame shows."""
    import torch

    right: dict[str, list[float]] = {}
    with torch.no_grad():
        for clip in clips:
            for name, row in model.heads(model.encoder(clip["video"][:, 0])).items():
                right.setdefault(name, []).extend((row.argmax(-1) == clip["attributes"][name][:, 0]).float().tolist())
    return {f"accuracy_{name}": mean(values) for name, values in right.items()}


def steadiness(videos: list[Any]) -> dict[str, float]:
    """What a frame shares with the one before.

    warping_error: mean |x_t − warp(x_{t−1})| along DIS flow of the clip itself, where it is not occluded. change: mean
    |x_t − x_{t−1}|. jerk: mean |x_{t+1} − 2 x_t + x_{t−1}|. All with values in [-1, 1]; compare with the real clips.
    """
    from zoo.evaluation.temporal import warping_error
    from zoo.flow.estimators import build_estimator

    estimate = build_estimator("dis")
    found: dict[str, list[float]] = {"warping_error": [], "change": [], "jerk": []}
    for video in videos:
        found["warping_error"].append(float(warping_error(video, *estimate(video)).mean()))
        found["change"].append(float((video[:, 1:] - video[:, :-1]).abs().mean()))
        found["jerk"].append(float((video[:, 2:] - 2 * video[:, 1:-1] + video[:, :-2]).abs().mean()))
    return {name: mean(values) for name, values in found.items()}


def transitions(model: Any, judge: Any) -> dict[str, Any]:
    """There and back between two actions, by every identity: what the judge sees, sliding over the clip.

    action: by the first frame of a window, how often it is the one that was asked at the window's last frame. before,
    between, after: of the windows that hold no switch. identity: of all windows.
    """
    import torch

    people, actions = (model.spec.attributes[name] for name in ("identity", "action"))
    first, back = SWITCH
    right: list[Any] = []
    same: list[Any] = []
    for there, other in SWITCHES:
        schedule = f"{there}@0,{other}@{first},{there}@{back}"
        clip = {"key": [f"transition/{person}" for person in people], "fps": torch.full((len(people),), 12.5)}
        clip["attributes"] = {"identity": torch.arange(len(people))[:, None].expand(-1, LENGTH)}
        video = sampled(model, clip, LENGTH, 0, {"attributes": {"action": schedule}})
        windows = torch.stack([video[:, s : s + FRAMES] for s in range(LENGTH - FRAMES + 1)], 1)
        with torch.no_grad():
            verdict = judge.classify(windows.flatten(0, 1))
        seen = {name: row.argmax(-1).view(len(people), -1) for name, row in verdict.items()}
        ends = torch.arange(FRAMES - 1, LENGTH)
        asked = torch.where((ends >= first) & (ends < back), actions.index(other), actions.index(there))
        right.append((seen["action"] == asked).float())
        same.append((seen["identity"] == torch.arange(len(people))[:, None]).float())
    curve = torch.cat(right).mean(0)
    whole = {
        "before": slice(0, first - FRAMES + 1),
        "between": slice(first, back - FRAMES + 1),
        "after": slice(back, None),
    }
    return {
        "action": [round(value, 3) for value in curve.tolist()],
        "identity": float(torch.cat(same).mean()),
        **{name: float(curve[part].mean()) for name, part in whole.items()},
    }


def rounded(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    return round(values, 5) if isinstance(values, float) else values


# ---------------------------------------------------------------- tables


def lines() -> list[dict[str, Any]]:
    """What there is."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def interval(values: list[float]) -> str:
    """Mean and half of the 95 % interval over seeds."""
    if len(values) < 2:
        return f"{mean(values):.3f}" if values else "–"
    return f"{mean(values):.3f} ± {T_95[len(values)] * stdev(values) / len(values) ** 0.5:.3f}"


JUDGE_FIGURES = ("accuracy_identity", "accuracy_action", "inception_score", "conditional_entropy", "marginal_entropy")
STEADINESS = ("warping_error", "jerk")


def table() -> Iterator[str]:
    """Markdown: one table a way of asking, then inference, then transitions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines():
        found.setdefault(line["variant"], []).append(line["results"])
    columns = (*JUDGE_FIGURES, *STEADINESS)
    for mode in ("attributes", "attributes + first frame", "first frame, attributes inferred"):
        yield f"**{mode}**\n"
        yield f"| variant | seeds | {' | '.join(columns)} |"
        yield "| --- |" + " --- |" * (len(columns) + 1)
        for variant, runs in found.items():
            if mode in runs[0]:
                cells = [interval([run[mode][name] for run in runs]) for name in columns]
                yield f"| {variant} | {len(runs)} | {' | '.join(cells)} |"
        for name in ("full", "street"):
            if name in found:
                cells = [f"{found[name][0]['real'][column]:.3f}" for column in columns]
                yield f"| real clips, {'person' if name == 'full' else name}: the bound | | {' | '.join(cells)} |"
        yield ""
    yield "| variant | identity read off one frame | action read off one frame | before | between | after | identity |"
    yield "| --- |" + " --- |" * 6
    for variant, runs in found.items():
        if "transitions" in runs[0]:
            read = [
                interval([run["read off the first frame"][f"accuracy_{name}"] for run in runs])
                for name in ("identity", "action")
            ]
            moved = [
                interval([run["transitions"][name] for run in runs])
                for name in ("before", "between", "after", "identity")
            ]
            yield f"| {variant} | {' | '.join(read + moved)} |"


# ---------------------------------------------------------------- pictures


def draw() -> None:
    """grid.png: every way to generate, as in the paper's figure; transitions.png: what the judge sees after a switch."""
    import torch
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.pictures import save_grid, to_bytes
    from zoo.run import data_config, load

    torch.set_num_threads(2)
    run = str(RUNS / "full-s1")
    model = load(run)
    real = build_set(replace(data_config(run), transitions=0.0), "val", model.card.wanted(), 0)
    clip = default_collate([real.clip(1, 0, 15)])
    frames = 15

    def film(context: int = 0, draw: int = 0, **attributes: str) -> Any:
        from zoo.types import SampleRequest

        request = SampleRequest(frames, clip if context else None, context, 1, draw, {"attributes": attributes})
        return to_bytes(model.sample(request).video[0])

    rows = {f"cleo, free {draw}": film(draw=draw, identity="cleo", action="free") for draw in range(3)}
    rows |= {f"jack, free {draw}": film(draw=draw, identity="free", action="jack") for draw in range(3)}
    for person, action in (("ada", "walk"), ("gus", "bend"), ("dev", "wave2")):
        rows[f"{person} {action}"] = film(identity=person, action=action)
    rows["real"] = to_bytes(clip["video"][0])
    rows["+1st frame"] = film(1)
    rows["+1st, run"] = film(1, action="run")
    rows["1st only"] = film(1, identity="inferred", action="inferred")
    for person in ("fay", "emil"):
        rows[f"{person} w-r-w"] = film(identity=person, action="walk@0,run@5,walk@10")
    save_grid(HERE / "grid.png", [rows])
    draw_transitions()


def draw_transitions() -> None:
    """The share of windows in which the judge sees what was asked, by the window's first frame; a line a seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas, axis = pyplot.subplots(figsize=(7, 3))
    for line in lines():
        if line["variant"] == "full":
            axis.plot(line["results"]["transitions"]["action"], label=f"seed {line['seed']}")
    for switch in SWITCH:
        axis.axvspan(switch - FRAMES + 1, switch, alpha=0.15, color="grey")
    axis.set(xlabel="first frame of the judge's window (grey: the window holds the switch)", ylabel="action as asked")
    axis.set_ylim(0, 1)
    axis.legend()
    canvas.tight_layout()
    canvas.savefig(HERE / "transitions.png", dpi=110)


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "run"
    if what == "measure":
        measure(*sys.argv[2:4])
    elif what == "table":
        print("\n".join(table()))
    elif what == "figure":
        draw()
    else:
        run_all()
