"""VideoVAE against its own ablations on puppets: trains, measures with a classifier, appends to results.jsonl.

    python experiments/videovae/run.py            # every variant and seed that results.jsonl does not hold yet
    python experiments/videovae/run.py table      # prints the tables of README.md
    python experiments/videovae/run.py figure     # writes grid.png, street.png and transitions.png

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
LENGTH, SWITCH = 45, (15, 30)  # frames of a transition clip, and its frames of the switch and of the switch back


def run_all() -> None:
    """Run what results.jsonl does not hold yet, two at a time, part by part and seed by seed.

    So the seeds that are there are complete. The classifier of a view is trained before the variants that need it.
    """
    done = {(line["variant"], line["seed"]) for line in lines()}
    for part in PARTS:
        for view in {VARIANTS[variant][0] for variant in part}:
            train_classifier(view)
        jobs = [(variant, seed) for seed in SEEDS for variant in part if (variant, seed) not in done]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda job: run_one(*job), jobs))


def classifier_run_of(view: str) -> Path:
    """The run folder of a view's classifier."""
    return RUNS / f"classifier-{view.rpartition('=')[2]}"


def train_classifier(view: str) -> None:
    """Train the classifier of a view unless it exists; check its accuracy on held-out clips."""
    run = classifier_run_of(view)
    if not (run / "last.ckpt").is_file():
        train([*CLASSIFIERS[view], *COMMON, f"hydra.run.dir={run}"])
    accuracy = json.loads((run / "results.jsonl").read_text().splitlines()[-1])["metrics"]
    print(view, accuracy, flush=True)
    assert min(accuracy.values()) >= 0.99, f"the classifier for {view} has {accuracy}, but at least 0.99 is required"


def train(overrides: list[str]) -> None:
    """Train in a process of its own."""
    command = [sys.executable, "-m", "zoo.train", *overrides]
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}


def run_one(variant: str, seed: int) -> None:
    """Train one variant with one seed unless that was done, measure it, and append a line to results.jsonl."""
    view, *rest = VARIANTS[variant]
    run = RUNS / f"{variant.replace(' ', '-').replace('-%', '')}-s{seed}"
    overrides = ["model=videovae", view, *rest, *COMMON, f"budget.clips={CLIPS}", f"seed={seed}"]
    overrides.append(f"hydra.run.dir={run}")
    if not (run / "last.ckpt").is_file():
        train(overrides)
    arguments = [str(HERE.relative_to(Path.cwd()) / "run.py"), "measure", str(run), str(classifier_run_of(view))]
    measured = subprocess.run(
        [sys.executable, *arguments], check=True, env=environment(), stdout=subprocess.PIPE, text=True
    )
    line = {
        "variant": variant,
        "seed": seed,
        "command": "python -m zoo.train " + " ".join(overrides),
        "measured": "python " + " ".join(arguments),
        "classifier": f"python -m zoo.train {' '.join([*CLASSIFIERS[view], *COMMON])}",
        "commit": json.loads((run / "environment.json").read_text())["commit"],
        **json.loads(measured.stdout.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line)[:200], flush=True)


# ---------------------------------------------------------------- measuring one run


def measure(run: str, classifier_run: str) -> None:
    """Print the classifier's metrics of a run's samples, and those of their steadiness, as one line of JSON.

    The classifier sees FRAMES frames, none of which was given.
    """
    import torch

    from zoo.evaluation.tools import check_classifier_on_real_clips, open_classifier
    from zoo.runs.load import data_config, load
    from zoo.runs.provenance import find_commit

    torch.set_num_threads(1)
    model = load(run)
    classifier = open_classifier(classifier_run, model.spec)
    config = replace(data_config(run), transitions=0.0)
    clips = held_out_batches(config, model)
    real = [clip["video"][:, 1:] for clip in clips]
    results: dict[str, Any] = {"real": classifier_metrics(classifier, zip(real, clips, strict=True)) | steadiness(real)}
    check_classifier_on_real_clips({f"real/{name}": value for name, value in results["real"].items()})
    requests: dict[str, tuple[int, dict[str, Any]]] = {REQUESTS[0]: (0, {}), REQUESTS[1]: (1, {})}
    if model.attributes:
        results["read off the first frame"] = inference_accuracy(model, clips)
        inferred = dict.fromkeys(model.attributes, "inferred")
        requests[REQUESTS[2]] = (1, {"attributes": inferred})
    for name, (context, options) in requests.items():
        videos = [sample_video(model, clip, context + FRAMES, context, options)[:, context:] for clip in clips]
        results[name] = classifier_metrics(classifier, zip(videos, clips, strict=True)) | steadiness(videos)
    if model.attributes:
        results["transitions"] = transition_metrics(model, classifier)
    protocol = {"clips": CLASSIFIED, "frames": FRAMES, "height": 64, "width": 64, "split": "val", "data": vars(config)}
    line = {"clips_seen": model.clips_seen, "measured at": find_commit(), "protocol": protocol}
    print(json.dumps(line | {"results": round_values(results)}))


def held_out_batches(config: Any, model: Any) -> list[Any]:
    """The first CLASSIFIED held-out clips, in batches."""
    from zoo.data.base import build_set
    from zoo.evaluation.evaluate_run import iter_batches

    real = build_set(replace(config, frames=FRAMES + 1), "val", model.card.wanted() | {"attributes"}, seed=0)
    return list(iter_batches(real, range(CLASSIFIED), FRAMES + 1, BATCH))


def classifier_metrics(classifier: Any, videos: Any) -> dict[str, float]:
    """Accuracies, inception score and entropies of the classifier over pairs (video, clip)."""
    import torch

    from zoo.evaluation.metric import Setup, Videos
    from zoo.evaluation.metrics.attribute_scores import AttributeScores

    metric = AttributeScores("accuracy", Setup(FRAMES, CLASSIFIED, classifier=classifier))
    with torch.no_grad():
        for video, clip in videos:
            metric.update(Videos(video, clip), real=False)
    return dict(metric.compute())


def sample_video(model: Any, clip: Any, frames: int, context: int, options: dict[str, Any]) -> Any:
    """Sample ``frames`` frames for a batch of clips, of which ``context`` are given: (N, T, 3, H, W)."""
    from zoo.types import SampleRequest

    return model.sample(SampleRequest(frames, clip, context, options=options)).video


def inference_accuracy(model: Any, clips: list[Any]) -> dict[str, float]:
    """The accuracy of the attributes that the encoder's heads infer from the first frame."""
    import torch

    correct: dict[str, list[float]] = {}
    with torch.no_grad():
        for clip in clips:
            for name, row in model.heads(model.encoder(clip["video"][:, 0])).items():
                hits = row.argmax(-1) == clip["attributes"][name][:, 0]
                correct.setdefault(name, []).extend(hits.float().tolist())
    return {f"accuracy_{name}": mean(values) for name, values in correct.items()}


def steadiness(videos: list[Any]) -> dict[str, float]:
    """Metrics of steadiness over time; pixels are in [-1, 1]. Compare the values with those of real clips.

    warping_error: mean |x_t − warp(x_{t−1})| along DIS flow of the video itself, where it is not occluded. change: mean
    |x_t − x_{t−1}|. jerk: mean |x_{t+1} − 2 x_t + x_{t−1}|.
    """
    from zoo.evaluation.metrics.warping import warping_error
    from zoo.flow.estimators import build_estimator

    estimate = build_estimator("dis")
    values: dict[str, list[float]] = {"warping_error": [], "change": [], "jerk": []}
    for video in videos:
        values["warping_error"].append(float(warping_error(video, *estimate(video)).mean()))
        values["change"].append(float((video[:, 1:] - video[:, :-1]).abs().mean()))
        values["jerk"].append(float((video[:, 2:] - 2 * video[:, 1:-1] + video[:, :-2]).abs().mean()))
    return {name: mean(of_videos) for name, of_videos in values.items()}


def transition_metrics(model: Any, classifier: Any) -> dict[str, Any]:
    """Accuracies of the classifier on clips that switch to a second action and back, for every identity.

    The classifier reads sliding windows. action: a curve over the first frames of the windows, how often the classifier
    sees the action that was requested for the window's last frame. steady: the same curve for clips of this length that
    keep the first action. before, between, after: means of action over the windows that contain no switch; with the
    prefix "steady ", means of steady over the same windows. identity: the mean over all windows.
    """
    import torch

    actions = model.spec.attributes["action"]
    first, back = SWITCH
    ends = torch.arange(FRAMES - 1, LENGTH)
    correct: dict[str, list[Any]] = {"action": [], "steady": []}
    correct_identity: list[Any] = []
    for start, other in SWITCHES:
        requested = torch.where((ends >= first) & (ends < back), actions.index(other), actions.index(start))
        seen = classify_windows(model, classifier, f"{start}@0,{other}@{first},{start}@{back}")
        correct["action"].append((seen["action"] == requested).float())
        correct_identity.append((seen["identity"] == torch.arange(len(seen["identity"]))[:, None]).float())
        steady = classify_windows(model, classifier, start)
        correct["steady"].append((steady["action"] == actions.index(start)).float())
    curves = {name: torch.cat(rows).mean(0) for name, rows in correct.items()}
    parts = {
        "before": slice(0, first - FRAMES + 1),
        "between": slice(first, back - FRAMES + 1),
        "after": slice(back, None),
    }
    metrics: dict[str, Any] = {"identity": float(torch.cat(correct_identity).mean())}
    for name, curve in curves.items():
        metrics[name] = [round(value, 3) for value in curve.tolist()]
        prefix = "" if name == "action" else "steady "
        metrics |= {prefix + part: float(curve[windows].mean()) for part, windows in parts.items()}
    return metrics


def classify_windows(model: Any, classifier: Any, schedule: str) -> dict[str, Any]:
    """Classify every window of a long sample for every identity: attribute -> class indices (identities, windows)."""
    import torch

    people = model.spec.attributes["identity"]
    clip: dict[str, Any] = {"key": [f"transition/{person}" for person in people]}
    clip["attributes"] = {"identity": torch.arange(len(people))[:, None].expand(-1, LENGTH)}
    video = sample_video(model, clip, LENGTH, 0, {"attributes": {"action": schedule}})
    windows = torch.stack([video[:, s : s + FRAMES] for s in range(LENGTH - FRAMES + 1)], 1)
    with torch.no_grad():
        logits = classifier.classify(windows.flatten(0, 1))
    return {name: row.argmax(-1).view(len(people), -1) for name, row in logits.items()}


def round_values(values: Any) -> Any:
    """Round all floats of nested dictionaries to five places."""
    if isinstance(values, dict):
        return {name: round_values(value) for name, value in values.items()}
    return round(values, 5) if isinstance(values, float) else values


# ---------------------------------------------------------------- tables


def lines() -> list[dict[str, Any]]:
    """The lines of results.jsonl; none if the file does not exist yet."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def interval(values: list[float], sign: str = "") -> str:
    """The mean over seeds ± half of its 95 % interval (Student's t), as text."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{mean(values):{sign}.3f}" if values else "–"
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):{sign}.3f} ± {half:.3f}"


ACCURACIES = ("accuracy_identity", "accuracy_action")
METRICS = (*ACCURACIES, "inception_score", "conditional_entropy", "marginal_entropy", "warping_error", "jerk", "change")
REQUESTS = ("attributes", "attributes + first frame", "first frame, attributes inferred")
PARTS_OF_A_TRANSITION = ("before", "between", "after", "steady before", "steady between", "steady after", "identity")
Results = dict[str, dict[int, dict[str, Any]]]  # variant -> seed -> what `measure` prints as results


def table() -> Iterator[str]:
    """Markdown lines: a table for each kind of request, then differences, inferred attributes and transitions."""
    results: Results = {}
    for line in lines():
        results.setdefault(line["variant"], {})[line["seed"]] = line["results"]
    for request in REQUESTS:
        yield from request_table(results, request)
    yield from difference_table(results)
    yield "| variant | identity read off one frame | action read off one frame |"
    yield "| --- | --- | --- |"
    for variant, runs in results.items():
        read = [run["read off the first frame"] for run in runs.values() if "read off the first frame" in run]
        if read:
            yield f"| {variant} | {' | '.join(interval([run[name] for run in read]) for name in ACCURACIES)} |"
    yield ""
    yield f"| variant | {' | '.join(PARTS_OF_A_TRANSITION)} |"
    yield "| --- |" + " --- |" * len(PARTS_OF_A_TRANSITION)
    for variant, runs in results.items():
        transitions = [run["transitions"] for run in runs.values() if "transitions" in run]
        if transitions:
            cells = (interval([run[name] for run in transitions]) for name in PARTS_OF_A_TRANSITION)
            yield f"| {variant} | {' | '.join(cells)} |"


def request_table(results: Results, request: str) -> Iterator[str]:
    """Markdown lines: every metric of every variant for one kind of request, and those of real clips."""
    yield f"**{request}**\n"
    yield f"| variant | seeds | {' | '.join(METRICS)} |"
    yield "| --- |" + " --- |" * (len(METRICS) + 1)
    for variant, runs in results.items():
        rows = [run[request] for run in runs.values() if request in run]
        if rows:
            cells = (interval([row[name] for row in rows]) for name in METRICS)
            yield f"| {variant} | {len(rows)} | {' | '.join(cells)} |"
    for variant, view in (("full", "person"), ("street", "street")):
        if variant in results:
            real = next(iter(results[variant].values()))["real"]
            yield f"| real clips, {view} view | | {' | '.join(f'{real[name]:.3f}' for name in METRICS)} |"
    yield ""


def difference_table(results: Results) -> Iterator[str]:
    """Markdown lines: the full model minus each ablation, for requests with attributes and a first frame."""
    names = (*ACCURACIES, "warping_error", "jerk")
    yield "**The full model minus each ablation, seed by seed** (attributes + first frame)\n"
    yield f"| ablation | seeds | {' | '.join(names)} |"
    yield "| --- |" + " --- |" * (len(names) + 1)
    full = results.get("full", {})
    for variant in PARTS[0][1:]:
        seeds = [seed for seed in results.get(variant, {}) if seed in full]
        cells = []
        for name in names:
            pairs = ((full[seed][REQUESTS[1]], results[variant][seed][REQUESTS[1]]) for seed in seeds)
            cells.append(interval([ours[name] - ablation[name] for ours, ablation in pairs], "+"))
        yield f"| {variant} | {len(seeds)} | {' | '.join(cells)} |"
    yield ""


# ---------------------------------------------------------------- pictures


def draw() -> None:
    """Write grid.png (every way to generate, as in the paper's figure), street.png and transitions.png."""
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

    def generate(context: int = 0, draw: int = 0, **attributes: str) -> Any:
        from zoo.types import SampleRequest

        request = SampleRequest(frames, clip if context else None, context, 1, draw, {"attributes": attributes})
        return to_bytes(model.sample(request).video[0])

    rows = {f"cleo, free {draw}": generate(draw=draw, identity="cleo", action="free") for draw in range(3)}
    rows |= {f"jack, free {draw}": generate(draw=draw, identity="free", action="jack") for draw in range(3)}
    for person, action in (("ada", "walk"), ("gus", "bend"), ("dev", "wave2")):
        rows[f"{person} {action}"] = generate(identity=person, action=action)
    rows["real"] = to_bytes(clip["video"][0])
    rows["+1st frame"] = generate(1)
    rows["+1st, run"] = generate(1, action="run")
    rows["1st only"] = generate(1, identity="inferred", action="inferred")
    for person in ("fay", "emil"):
        rows[f"{person} w-r-w"] = generate(identity=person, action="walk@0,run@5,walk@10")
    save_grid(HERE / "grid.png", [rows])
    draw_street()
    for name in ("grid.png", "street.png"):
        picture = cv2.imread(str(HERE / name))
        cv2.imwrite(str(HERE / name), cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    draw_transitions()


def draw_street() -> None:
    """Write street.png: real clips, their reconstructions, and samples with and without their first frame."""
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
            rows[f"{name} {number}"] = to_bytes(sample_video(model, clip, FRAMES, context, options)[0])
    save_grid(HERE / "street.png", [rows])


def draw_transitions() -> None:
    """Write transitions.png: the accuracy of the requested action by the window's first frame, one line per seed."""
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
        xlabel="first frame of the classifier's window (grey: the window holds the switch)",
        ylabel="accuracy of the requested action",
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
