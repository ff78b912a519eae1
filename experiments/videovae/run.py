"""VideoVAE against its own ablations on puppets: trains, asks the classifier, appends to results.jsonl.

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
CLIPS = 16_000
PERSON, STREET = "data.view=person", "data.view=street"
CLASSIFIERS = {
    PERSON: ["model=classifier", PERSON, "data.batch_size=16", "budget.clips=10000", "seed=1"],
    STREET: ["model=classifier", STREET, "model.width=24", "data.batch_size=16", "budget.clips=50000", "seed=1"],
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
FRAMES, CLASSIFIED, BATCH = 10, 360, 60
SWITCHES = [("walk", "run"), ("jack", "bend"), ("wave1", "jump"), ("side", "skip"), ("pjump", "wave2")]
LENGTH, SWITCH = 45, (15, 30)  # of the transition clips: there at the first, back at the second


def run_all() -> None:
    """Part by part and seed by seed, two trainings at a time, so that what is there is whole; a view's classifier
    first."""
    done = {(line["variant"], line["seed"]) for line in lines()}
    for part in PARTS:
        for view in {VARIANTS[variant][0] for variant in part}:
            train_classifier(view)
        jobs = [(variant, seed) for seed in SEEDS for variant in part if (variant, seed) not in done]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda job: run_one(*job), jobs))


def classifier_of(view: str) -> Path:
    return RUNS / f"classifier-{view.rpartition('=')[2]}"


def train_classifier(view: str) -> None:
    """Once for each view, unless it is there; it must know held-out clips."""
    run = classifier_of(view)
    if not (run / "last.ckpt").is_file():
        start([*CLASSIFIERS[view], *COMMON, f"hydra.run.dir={run}"])
    accuracy = json.loads((run / "results.jsonl").read_text().splitlines()[-1])["metrics"]
    print(view, accuracy, flush=True)
    assert min(accuracy.values()) >= 0.99, f"the classifier of {view} is not good enough: {accuracy}"


def start(settings: list[str]) -> None:
    """Train in a process of its own."""
    words = [sys.executable, "-m", "zoo.train", *settings]
    subprocess.run(words, check=True, env=environment(), stdout=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}


def run_one(variant: str, seed: int) -> None:
    """Train, unless that was done already, and measure."""
    view, *rest = VARIANTS[variant]
    run = RUNS / f"{variant.replace(' ', '-').replace('-%', '')}-s{seed}"
    trained = ["model=videovae", view, *rest, *COMMON, f"budget.clips={CLIPS}", f"seed={seed}", f"hydra.run.dir={run}"]
    if not (run / "last.ckpt").is_file():
        start(trained)
    asked = [str(HERE.relative_to(Path.cwd()) / "run.py"), "measure", str(run), str(classifier_of(view))]
    measured = subprocess.run(
        [sys.executable, *asked], check=True, env=environment(), stdout=subprocess.PIPE, text=True
    )
    line = {
        "variant": variant,
        "seed": seed,
        "command": "python -m zoo.train " + " ".join(trained),
        "measured": "python " + " ".join(asked),
        "classifier": f"python -m zoo.train {' '.join([*CLASSIFIERS[view], *COMMON])}",
        "commit": json.loads((run / "environment.json").read_text())["commit"],
        **json.loads(measured.stdout.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line)[:200], flush=True)


# ---------------------------------------------------------------- measuring one run


def measure(run: str, classifier_run: str) -> None:
    """Print what the classifier says of a run's clips, and how steady they are, as one line of JSON.

    The classifier sees FRAMES frames of which none was given.
    """
    import torch

    from zoo.evaluation.tools import check_classifier_on_real_clips, open_classifier
    from zoo.runs.load import data_config, load
    from zoo.runs.provenance import commit

    torch.set_num_threads(1)
    model = load(run)
    classifier = open_classifier(classifier_run, model.spec)
    config = replace(data_config(run), transitions=0.0)
    clips = held_out(config, model)
    real = [clip["video"][:, 1:] for clip in clips]
    results: dict[str, Any] = {"real": classified(classifier, zip(real, clips, strict=True)) | steadiness(real)}
    check_classifier_on_real_clips({f"real/{name}": value for name, value in results["real"].items()})
    asked: dict[str, tuple[int, dict[str, Any]]] = {WAYS[0]: (0, {}), WAYS[1]: (1, {})}
    if model.attributes:
        results["read off the first frame"] = inferred(model, clips)
        unnamed = dict.fromkeys(model.attributes, "inferred")
        asked["first frame, attributes inferred"] = (1, {"attributes": unnamed})
    for name, (context, options) in asked.items():
        videos = [sampled(model, clip, context + FRAMES, context, options)[:, context:] for clip in clips]
        results[name] = classified(classifier, zip(videos, clips, strict=True)) | steadiness(videos)
    if model.attributes:
        results["transitions"] = transitions(model, classifier)
    protocol = {"clips": CLASSIFIED, "frames": FRAMES, "height": 64, "width": 64, "split": "val", "data": vars(config)}
    line = {"clips_seen": model.clips_seen, "measured at": commit(), "protocol": protocol}
    print(json.dumps(line | {"results": rounded(results)}))


def held_out(config: Any, model: Any) -> list[Any]:
    """The first CLASSIFIED clips that nobody trained on, in batches."""
    from zoo.data.base import build_set
    from zoo.evaluation.evaluate_run import iter_batches

    real = build_set(replace(config, frames=FRAMES + 1), "val", model.card.wanted() | {"attributes"}, seed=0)
    return list(iter_batches(real, CLASSIFIED, FRAMES + 1, BATCH))


def classified(classifier: Any, videos: Any) -> dict[str, float]:
    """What the classifier says of (video, clip) pairs."""
    import torch

    from zoo.evaluation.metric import Setup, Videos
    from zoo.evaluation.metrics.attribute_scores import AttributeScores

    metric = AttributeScores("accuracy", Setup(FRAMES, CLASSIFIED, classifier=classifier))
    with torch.no_grad():
        for video, clip in videos:
            metric.update(Videos(video, clip), real=False)
    return dict(metric.compute())


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
    from zoo.evaluation.metrics.warping import warping_error
    from zoo.flow.estimators import build_estimator

    estimate = build_estimator("dis")
    found: dict[str, list[float]] = {"warping_error": [], "change": [], "jerk": []}
    for video in videos:
        found["warping_error"].append(float(warping_error(video, *estimate(video)).mean()))
        found["change"].append(float((video[:, 1:] - video[:, :-1]).abs().mean()))
        found["jerk"].append(float((video[:, 2:] - 2 * video[:, 1:-1] + video[:, :-2]).abs().mean()))
    return {name: mean(values) for name, values in found.items()}


def transitions(model: Any, classifier: Any) -> dict[str, Any]:
    """There and back between two actions, by every identity: what the classifier sees, sliding over the clip.

    action: by the first frame of a window, how often it is the one that was asked at the window's last frame; steady:
    the same of clips as long in which the first action never ends. before, between, after: of the windows that hold no
    switch, and of the same windows of the steady clips. identity: of all windows.
    """
    import torch

    actions = model.spec.attributes["action"]
    first, back = SWITCH
    ends = torch.arange(FRAMES - 1, LENGTH)
    right: dict[str, list[Any]] = {"action": [], "steady": []}
    same: list[Any] = []
    for there, other in SWITCHES:
        switched = torch.where((ends >= first) & (ends < back), actions.index(other), actions.index(there))
        seen = slid(model, classifier, f"{there}@0,{other}@{first},{there}@{back}")
        right["action"].append((seen["action"] == switched).float())
        same.append((seen["identity"] == torch.arange(len(seen["identity"]))[:, None]).float())
        right["steady"].append((slid(model, classifier, there)["action"] == actions.index(there)).float())
    curves = {name: torch.cat(rows).mean(0) for name, rows in right.items()}
    parts = {
        "before": slice(0, first - FRAMES + 1),
        "between": slice(first, back - FRAMES + 1),
        "after": slice(back, None),
    }
    found: dict[str, Any] = {"identity": float(torch.cat(same).mean())}
    for name, curve in curves.items():
        found[name] = [round(value, 3) for value in curve.tolist()]
        prefix = "" if name == "action" else "steady "
        found |= {prefix + part: float(curve[where].mean()) for part, where in parts.items()}
    return found


def slid(model: Any, classifier: Any, schedule: str) -> dict[str, Any]:
    """What the classifier sees in every window of a long clip of every identity: name -> (identities, windows)."""
    import torch

    people = model.spec.attributes["identity"]
    clip: dict[str, Any] = {"key": [f"transition/{person}" for person in people]}
    clip["attributes"] = {"identity": torch.arange(len(people))[:, None].expand(-1, LENGTH)}
    video = sampled(model, clip, LENGTH, 0, {"attributes": {"action": schedule}})
    windows = torch.stack([video[:, s : s + FRAMES] for s in range(LENGTH - FRAMES + 1)], 1)
    with torch.no_grad():
        verdict = classifier.classify(windows.flatten(0, 1))
    return {name: row.argmax(-1).view(len(people), -1) for name, row in verdict.items()}


def rounded(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    return round(values, 5) if isinstance(values, float) else values


# ---------------------------------------------------------------- tables


def lines() -> list[dict[str, Any]]:
    """What there is."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def interval(values: list[float], sign: str = "") -> str:
    """Mean and half of the 95 % interval over seeds, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{mean(values):{sign}.3f}" if values else "–"
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):{sign}.3f} ± {half:.3f}"


ACCURACIES = ("accuracy_identity", "accuracy_action")
FIGURES = (*ACCURACIES, "inception_score", "conditional_entropy", "marginal_entropy", "warping_error", "jerk", "change")
WAYS = ("attributes", "attributes + first frame", "first frame, attributes inferred")
PARTS_OF_A_TRANSITION = ("before", "between", "after", "steady before", "steady between", "steady after", "identity")
Found = dict[str, dict[int, dict[str, Any]]]  # variant -> seed -> results


def table() -> Iterator[str]:
    """Markdown: a table a way of asking, differences from the full model by seed, what is inferred, and transitions."""
    found: Found = {}
    for line in lines():
        found.setdefault(line["variant"], {})[line["seed"]] = line["results"]
    for way in WAYS:
        yield from way_table(found, way)
    yield from difference_table(found)
    yield "| variant | identity read off one frame | action read off one frame |"
    yield "| --- | --- | --- |"
    for variant, runs in found.items():
        read = [run["read off the first frame"] for run in runs.values() if "read off the first frame" in run]
        if read:
            yield f"| {variant} | {' | '.join(interval([run[name] for run in read]) for name in ACCURACIES)} |"
    yield ""
    yield f"| variant | {' | '.join(PARTS_OF_A_TRANSITION)} |"
    yield "| --- |" + " --- |" * len(PARTS_OF_A_TRANSITION)
    for variant, runs in found.items():
        moved = [run["transitions"] for run in runs.values() if "transitions" in run]
        if moved:
            cells = (interval([run[name] for run in moved]) for name in PARTS_OF_A_TRANSITION)
            yield f"| {variant} | {' | '.join(cells)} |"


def way_table(found: Found, way: str) -> Iterator[str]:
    yield f"**{way}**\n"
    yield f"| variant | seeds | {' | '.join(FIGURES)} |"
    yield "| --- |" + " --- |" * (len(FIGURES) + 1)
    for variant, runs in found.items():
        rows = [run[way] for run in runs.values() if way in run]
        if rows:
            cells = (interval([row[name] for row in rows]) for name in FIGURES)
            yield f"| {variant} | {len(rows)} | {' | '.join(cells)} |"
    for variant, view in (("full", "person"), ("street", "street")):
        if variant in found:
            real = next(iter(found[variant].values()))["real"]
            yield f"| real clips, {view} view | | {' | '.join(f'{real[name]:.3f}' for name in FIGURES)} |"
    yield ""


def difference_table(found: Found) -> Iterator[str]:
    names = (*ACCURACIES, "warping_error", "jerk")
    yield "**The full model minus each ablation, seed by seed** (attributes + first frame)\n"
    yield f"| ablation | seeds | {' | '.join(names)} |"
    yield "| --- |" + " --- |" * (len(names) + 1)
    full = found.get("full", {})
    for variant in PARTS[0][1:]:
        seeds = [seed for seed in found.get(variant, {}) if seed in full]
        cells = []
        for name in names:
            way = WAYS[1]
            cells.append(interval([full[s][way][name] - found[variant][s][way][name] for s in seeds], "+"))
        yield f"| {variant} | {len(seeds)} | {' | '.join(cells)} |"
    yield ""


# ---------------------------------------------------------------- pictures


def draw() -> None:
    """grid.png: every way to generate, as in the paper's figure; street.png: clips of the wide view; transitions.png:
    what the classifier sees of a switch."""
    import cv2
    import torch
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config, load
    from zoo.visualization.grids import save_grid, to_bytes

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
    draw_street()
    for name in ("grid.png", "street.png"):
        picture = cv2.imread(str(HERE / name))
        cv2.imwrite(str(HERE / name), cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    draw_transitions()


def draw_street() -> None:
    """Real clips, what the code keeps of them, what is made after their first frame, and from attributes alone."""
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config, load
    from zoo.visualization.grids import save_grid, to_bytes

    run = str(RUNS / "street-s1")
    model = load(run)
    real = build_set(replace(data_config(run), transitions=0.0), "val", model.card.wanted(), 0)
    rows = {}
    for number in (1, 4):
        clip = default_collate([real.clip(number, 0, FRAMES)])
        rows[f"real {number}"] = to_bytes(clip["video"][0])
        for name, context, options in (
            ("kept", FRAMES, {"reconstruct": True}),
            ("+1st frame", 1, {}),
            ("alone", 0, {}),
        ):
            rows[f"{name} {number}"] = to_bytes(sampled(model, clip, FRAMES, context, options)[0])
    save_grid(HERE / "street.png", [rows])


def draw_transitions() -> None:
    """The share of windows in which the classifier sees what was asked, by the window's first frame; a line a seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas, axis = pyplot.subplots(figsize=(7, 3))
    for line in lines():
        if line["variant"] == "full":
            axis.plot(line["results"]["transitions"]["action"], label=f"seed {line['seed']}")
    for switch in SWITCH:
        axis.axvspan(switch - FRAMES + 1, switch - 1, alpha=0.15, color="grey")
    axis.set(
        xlabel="first frame of the classifier's window (grey: the window holds the switch)", ylabel="action as asked"
    )
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
