"""`python -m zoo.compare`: what is comparable, what is marked as best, and what is written."""

import csv
import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from scipy.stats import ttest_ind

from zoo.compare import compare, main, parse_arguments
from zoo.comparison.content import Cell
from zoo.comparison.gather import (
    build_cell,
    differing_settings,
    find_runs,
    flat,
    gather,
    half_width,
    name_variants,
    significantly_better,
)
from zoo.comparison.grid import common_clips, write_grid
from zoo.comparison.online import download_wandb_runs
from zoo.comparison.report import build_report, ids_by_project, write_report
from zoo.comparison.table import curves_to_csv, format_cell, terminal_tables, to_csv, to_markdown
from zoo.data.decode import probe, read_frames, write_video
from zoo.errors import ZooError
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, add_line
from zoo.runs.files import WandbRun

PROTOCOL = Protocol("puppets", "val", 8, 10, 1, 12.5, 32, 32, 0, settings={"view": "person"}, clip_keys="0" * 12)
KEYS = ("puppets/val-000000/0", "puppets/val-000001/0")


def make_run(
    folder: Path,
    model: str = "vid2vid",
    seed: int = 1,
    psnr: float = 20.0,
    protocol: Protocol = PROTOCOL,
    task: str = "translate",
    given: str = "labels, 1 frame",
    films: bool = True,
    **settings: object,
) -> Path:
    folder.mkdir(parents=True)
    config = {
        "model": {"name": model, "width": 8} | settings,
        "data": {"name": "puppets", "workers": seed},
        "seed": seed,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text(f"seen/clips,train/loss/a,{PROTOCOL.key('psnr')}\n4,0.5,\n8,,{psnr}\n")
    for seen, value in ((4, psnr - 3), (8, psnr)):  # the last line counts
        metrics = {"psnr": value, "psnr/1-16": value + 1, "warping_error_dis": 0.1, "real/warping_error_dis": 0.05}
        add_line(folder / "results.jsonl", Result(seen, task, given, metrics, protocol, {"model": model}).line())
    if films:
        make_films(folder / "clips", seed)
    return folder


def make_films(folder: Path, shade: int) -> None:
    index = {}
    for number, key in enumerate(KEYS):
        index[key] = {kind: f"{number:02d}/{kind}.mp4" for kind in ("given", "real", "generated")}
        for level, name in zip((250, 128, 20 * shade), index[key].values(), strict=True):
            write_video(folder / name, np.full((5, 32, 32, 3), level, np.uint8), 12.5)
    (folder / "index.json").write_text(json.dumps(index))


def test_trivial_rows_stand_below_the_models_once(tmp_path):
    """They are the same in every run, have no seed, and neither are nor prevent the best value."""
    for seed, (good, bad) in enumerate(((30.0, 20.0), (31.0, 21.0), (32.0, 19.0)), 1):
        for width, psnr in ((8, good), (16, bad)):
            run = make_run(tmp_path / f"{width}-{seed}", seed=seed, psnr=psnr, width=width)
            more = {"model": "vid2vid", "baseline": "given frame repeated"}
            line = Result(8, "translate", "labels, 1 frame", {"psnr": 40.0}, PROTOCOL, more).line()
            add_line(run / "results.jsonl", line)
    comparison, _ = gather(find_runs([f"{tmp_path}/*"]))
    rows = [(row.variant, row.seeds, row.baseline) for row in comparison.rows]
    assert rows == [
        ("vid2vid width=16", (1, 2, 3), False),
        ("vid2vid width=8", (1, 2, 3), False),
        ("given frame repeated", (), True),
    ]
    cells = [row.cells[PROTOCOL.key("psnr")] for row in comparison.rows]
    assert [(cell.mean, cell.best) for cell in cells] == [(20, False), (31, True), (40, False)]
    assert cells[2].half_width is None
    markdown = to_markdown(comparison)
    assert "| *given frame repeated* | labels, 1 frame | – |" in markdown
    assert [row.standing for row in comparison.rows] == ["not past: given frame repeated (psnr)"] * 2 + [""]
    assert "- vid2vid width=8, given labels, 1 frame: not past: given frame repeated (psnr)" in markdown
    [table] = terminal_tables(comparison)
    assert "vid2vid width=8, given labels, 1 frame: not past: given frame repeated (psnr)" in str(table.caption)


def test_a_model_is_past_a_row_by_its_mean_over_seeds(tmp_path):
    """31 dB on average, and 30.5 dB of the row; a row of another `given` is not compared."""
    for seed, psnr in enumerate((30.0, 31.0, 32.0), 1):
        run = make_run(tmp_path / str(seed), seed=seed, psnr=psnr)
        for given, value in (("labels, 1 frame", 30.5), ("labels, 2 frames", 40.0)):
            more = {"model": "vid2vid", "baseline": "given frame repeated"}
            line = Result(8, "translate", given, {"psnr": value}, PROTOCOL, more).line()
            add_line(run / "results.jsonl", line)
    comparison, _ = gather(find_runs([f"{tmp_path}/*"]))
    assert comparison.rows[0].standing == "past every trivial row"


def make_run_from_nothing(folder: Path) -> Path:
    """A run of a model that generates from nothing, under a protocol of its own."""
    protocol = replace(PROTOCOL, context=0)
    run = make_run(folder, "gan", protocol=protocol, task="generate", given="nothing", films=False)
    index = {f"sample/{number}": {"generated": f"{number}.mp4"} for number in range(2)}
    for films in index.values():
        write_video(run / "clips" / films["generated"], np.full((5, 32, 32, 3), 99, np.uint8), 12.5)
    (run / "clips/index.json").write_text(json.dumps(index))
    return run


def test_samples_from_nothing_stand_beside_the_clips_of_other_runs(tmp_path):
    """In a table of their own, since they share no protocol, and on the page and in the grid in their order."""
    runs = [make_run_from_nothing(tmp_path / "gan"), make_run(tmp_path / "vid2vid")]
    comparison, notes = gather(runs)
    assert [(row.task, row.variant) for row in comparison.rows] == [("generate", "gan"), ("translate", "vid2vid")]
    assert any("values of different tables are not comparable" in note for note in notes)
    assert all(list(run.films) == list(KEYS) for run in comparison.runs)
    assert list(comparison.runs[0].films[KEYS[1]].values()) == [tmp_path / "gan/clips/1.mp4"]
    write_grid(tmp_path / "grid.mp4", comparison)
    assert probe(tmp_path / "grid.mp4").frames == 5
    alone, _ = gather(runs[:1])
    assert list(alone.runs[0].films) == ["sample/0", "sample/1"]


def test_seeds_form_a_row_and_the_significantly_best_is_marked(tmp_path):
    for seed, (good, bad) in enumerate(((30.0, 20.0), (31.0, 21.0), (32.0, 19.0)), 1):
        make_run(tmp_path / f"a{seed}", seed=seed, psnr=good)
        make_run(tmp_path / f"b{seed}", seed=seed, psnr=bad, width=16)
    comparison, notes = gather(find_runs([f"{tmp_path}/*"]))
    assert notes == []
    wide, narrow = sorted(comparison.rows, key=lambda row: row.variant)
    assert (narrow.variant, wide.variant) == ("vid2vid width=8", "vid2vid width=16")
    assert narrow.seeds == (1, 2, 3)
    key = PROTOCOL.key("psnr")
    # t(0.975, 2) = 4.303 and a deviation of 1: half the interval is 4.303 / sqrt(3)
    assert narrow.cells[key] == Cell(
        (30.0, 31.0, 32.0), 31.0, pytest.approx(2.484, abs=1e-3), best=True, seeds=(1, 2, 3)
    )
    assert not wide.cells[key].best
    error = narrow.cells[PROTOCOL.key("warping_error_dis")]
    assert (error.mean, error.real, error.best) == (pytest.approx(0.1), 0.05, False)  # equal: none is best
    assert "`val/psnr@8x10f-c1-32x32px` ↑" in to_markdown(comparison)
    assert "| vid2vid width=8 | labels, 1 frame | 3 | **31 ± 2.5** | 0.1 ± 0 (real 0.05) |" in to_markdown(comparison)
    assert "psnr/1-16" not in to_markdown(comparison)
    lines = list(csv.DictReader(io.StringIO(to_csv(comparison))))
    assert len(lines) == 2 * 3 * 3
    assert {line["key"] for line in lines} == {PROTOCOL.key(n) for n in ("psnr", "psnr/1-16", "warping_error_dis")}


def test_real_value_is_the_mean_over_seeds(tmp_path):
    """Values of real clips can differ between seeds, as with a classifier or a random metric."""
    for seed, real in enumerate((1.0, 2.0, 6.0), 1):
        folder = make_run(tmp_path / str(seed), seed=seed)
        metrics = {"warping_error_dis": 0.5, "real/warping_error_dis": real}
        add_line(folder / "results.jsonl", Result(8, "translate", "labels, 1 frame", metrics, PROTOCOL, {}).line())
    comparison, _ = gather(find_runs([f"{tmp_path}/*"]))
    assert comparison.rows[0].cells[PROTOCOL.key("warping_error_dis")].real == 3.0
    assert "| 0.5 ± 0 (real 3) |" in to_markdown(comparison)
    lines = csv.DictReader(io.StringIO(to_csv(comparison)))
    assert {line["real"] for line in lines if line["key"] == PROTOCOL.key("warping_error_dis")} == {"3.0"}


def test_older_versions_of_a_metric_stand_in_columns_of_their_own(tmp_path):
    """SSIM of a line without versions is version 1, and so are its curves over the training; PSNR has one version."""
    for name, versions in (("old", {}), ("new", {"versions": {"ssim": 2}})):
        folder = make_run(tmp_path / name, width=8 if name == "old" else 16)
        line = json.loads(Result(8, "translate", "labels, 1 frame", {"ssim": 0.5}, PROTOCOL, {}).line())
        line.pop("versions")
        add_line(folder / "results.jsonl", json.dumps(line | versions))
        (folder / "metrics.csv").write_text(f"seen/clips,{PROTOCOL.key('psnr')},{PROTOCOL.key('ssim')}\n8,20,0.5\n")
    comparison, _ = gather([tmp_path / "old", tmp_path / "new"])
    old, new = comparison.rows
    ssim, before, psnr = (PROTOCOL.key(name) for name in ("ssim", "ssim-v1", "psnr"))
    assert {ssim, before, psnr} & old.cells.keys() == {before, psnr}
    assert {ssim, before, psnr} & new.cells.keys() == {ssim, psnr}
    assert [set(run.curves) for run in comparison.runs] == [{before, psnr}, {ssim, psnr}]


def test_curves_over_frames_are_the_mean_over_seeds(tmp_path):
    """Runs of two seeds have the curve twice, in two lines of one protocol; the third has none, as in older files."""
    best, flat = [4.0] * 9, [2.0] * 9
    for seed, end in ((1, 10.0), (2, 20.0)):
        folder = make_run(tmp_path / str(seed), seed=seed)
        for curves in ({"psnr": [1.0] * 8 + [end]}, {"psnr_best": best}):
            result = Result(8, "translate", "labels, 1 frame", {"psnr": 2.0, "psnr_best": 4.0}, PROTOCOL, {}, curves)
            add_line(folder / "results.jsonl", result.line())
    other = Result(8, "translate", "labels, 1 frame", {"psnr": 2.0}, replace(PROTOCOL, seed=7), {}, {"psnr": flat})
    add_line(folder / "results.jsonl", other.line())  # a protocol that the others lack
    make_run(tmp_path / "3", seed=3, width=16)
    comparison, _ = gather(find_runs([f"{tmp_path}/*"]))
    curves = {row.variant: row.curves for row in comparison.rows}
    mean = {PROTOCOL.key("psnr"): [1.0] * 8 + [15.0], PROTOCOL.key("psnr_best"): best}
    assert curves == {"vid2vid width=8": mean, "vid2vid width=16": {}}
    lines = list(csv.DictReader(io.StringIO(curves_to_csv(comparison))))
    assert len(lines) == 2 * 9
    assert [line["frame"] for line in lines[:9]] == list("123456789")
    about = {"task": "translate", "variant": "vid2vid width=8", "given": "labels, 1 frame"}
    assert lines[8] == about | {"key": PROTOCOL.key("psnr"), "frame": "9", "value": "15.0"}


def test_insignificant_differences_are_not_marked():
    assert significantly_better([30.0, 31.0, 32.0], [20.0, 21.0, 19.0], "max")
    assert not significantly_better([30.0, 31.0, 32.0], [20.0, 21.0, 19.0], "min")
    assert not significantly_better([30.0, 40.0], [20.0, 30.0], "max")
    assert not significantly_better([30.0], [20.0, 21.0], "max")  # one seed has no spread
    assert not significantly_better([30.0, math.nan], [20.0, 21.0], "max")


@pytest.mark.parametrize("scale", [1e200, 1e300, 1e-200, 1e-300, 1.0])
def test_large_and_small_numbers_are_compared_like_others(scale):
    """Their squares are no floats; intervals and decisions scale with the numbers."""
    values, other = [30.0, 31.0, 32.0], [20.0, 21.0, 19.0]
    scaled = [value * scale for value in values]
    assert half_width(scaled) == pytest.approx(half_width(values) * scale)
    assert significantly_better(scaled, [value * scale for value in other], "max")
    assert significantly_better([1.0, 2.0], [1e200, 2e200], "min") is significantly_better(
        [0.0, 0.0], [1.0, 2.0], "min"
    )
    assert half_width([1.7e308, -1.7e308]) == math.inf
    assert not significantly_better([1.7e308, -1.7e308], [0.0, 0.0], "max")


def test_a_run_that_went_astray_is_in_the_table(tmp_path):
    words = ((8, 1, 1e200), (8, 2, 2e200), (16, 1, 1.0), (16, 2, 2.0))
    runs = [
        make_run(tmp_path / f"r{i}", seed=seed, psnr=psnr, films=False, width=w)
        for i, (w, seed, psnr) in enumerate(words)
    ]
    comparison, _ = gather(runs)
    assert [row.cells[PROTOCOL.key("psnr")].mean for row in comparison.rows] == [1.5e200, 1.5]


def test_half_a_character_is_refused_before_anything_is_written(tmp_path):
    """JSON may hold one, and no text file can."""
    run = make_run(tmp_path / "run", task="\ud800", films=False)
    with pytest.raises(ZooError, match=r"Line 1 of .*results.jsonl cannot be read: .*half of a character"):
        compare([str(run)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # Welch by hand: means 3 and 0, variances 1 and 1, three values each: half the interval is 2.776 · sqrt(2/3) = 2.267
    assert significantly_better([2.0, 3.0, 4.0], [-1.0, 0.0, 1.0], "max")
    assert not significantly_better([1.2, 2.2, 3.2], [-1.0, 0.0, 1.0], "max")
    assert half_width([1.0]) is None
    # Unequal variances, against scipy's test of the same samples.
    wide, narrow = [0.0, 10.0, 20.0], [11.9, 12.0, 12.1, 12.2, 12.3, 12.4]
    for shift in (12.0, 14.0, 22.0, 26.0, 30.0):
        moved = [value + shift for value in wide]
        significant = ttest_ind(moved, narrow, equal_var=False).pvalue < 0.05
        assert significantly_better(moved, narrow, "max") == significant
    assert significantly_better([1.0, 1.0], [0.0, 0.0], "max")  # no spread at all
    assert not significantly_better([1.0, 1.0], [1.0, 1.0], "max")
    best, second, last = [9.0, 9.1], [8.9, 9.2], [1.0, 1.1]
    assert not build_cell(dict(enumerate(best)), [second, last], "max").best  # among three it must be better than both
    assert build_cell(dict(enumerate(best)), [last], "max").best
    assert not build_cell({1: 5.0, 2: 6.0}, [], "max").best  # no other row
    assert not build_cell({1: 5.0, 2: 6.0}, [[1.0, 1.5]], "").best
    assert build_cell({2: 5.0, 1: 6.0}, [], "").values == (6.0, 5.0)  # in the order of the seeds


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clips": 16}, "clips: 8 and 16"),
        ({"settings": {"view": "street"}}, "settings.view: 'person' and 'street'"),
        ({"clip_keys": "1" * 12}, "clip_keys"),
        ({"data": "folder"}, "data: 'puppets' and 'folder'"),
    ],
)
def test_different_protocols_are_refused_and_the_field_is_named(tmp_path, change, said):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=2, protocol=replace(PROTOCOL, **change))
    with pytest.raises(ZooError) as error:
        gather(find_runs([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert "a and b were measured under different protocols" in str(error.value)
    assert said in str(error.value)


def test_one_key_with_two_protocols_is_refused(tmp_path):
    other = replace(PROTOCOL, seed=7)  # the slug does not show the seed
    for seed in (1, 2):
        folder = make_run(tmp_path / str(seed), seed=seed)
        add_line(folder / "results.jsonl", Result(8, "translate", "labels", {"psnr": 1.0}, other, {}).line())
    with pytest.raises(ZooError, match="was measured under two protocols, which differ in seed"):
        gather(find_runs([f"{tmp_path}/*"]))


def test_protocols_of_one_run_are_left_out_with_a_note(tmp_path):
    folder = make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=2)
    more = replace(PROTOCOL, clips=256)
    add_line(folder / "results.jsonl", Result(8, "translate", "labels", {"psnr": 1.0}, more, {}).line())
    comparison, notes = gather(find_runs([f"{tmp_path}/*"]))
    assert notes == ["a: its results under 256x10f-c1-32x32px were left out, since the protocol differs in clips."]
    assert {column.protocol["clips"] for column in comparison.columns} == {8}


def test_protocols_left_out_are_in_no_cell(tmp_path):
    """One run has another protocol under the same key; the cell does not include it."""
    folder = make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=2)
    other = Result(8, "translate", "labels, 1 frame", {"psnr": 99.0}, replace(PROTOCOL, seed=7), {})
    add_line(folder / "results.jsonl", other.line())
    comparison, notes = gather(find_runs([f"{tmp_path}/*"]))
    assert comparison.rows[0].cells[PROTOCOL.key("psnr")].values == (20.0, 20.0)
    assert notes == ["a: its results under 8x10f-c1-32x32px were left out, since the protocol differs in seed."]


def test_later_measurements_update_the_first(tmp_path):
    folder = make_run(tmp_path / "a", psnr=20.0)
    for seen, psnr in ((8, 21.0), (4, 5.0)):  # measured again, and an older checkpoint
        more = Result(seen, "translate", "labels, 1 frame", {"psnr": psnr, "flicker": 0.5}, PROTOCOL, {})
        add_line(folder / "results.jsonl", more.line())
    [row] = gather([folder])[0].rows
    assert row.cells[PROTOCOL.key("psnr")].values == (21.0,)
    assert row.cells[PROTOCOL.key("flicker")].values == (0.5,)
    assert row.cells[PROTOCOL.key("warping_error_dis")].values == (0.1,)


def test_unequal_training_lengths_are_noted(tmp_path):
    folder = make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=2)
    add_line(folder / "results.jsonl", Result(99, "translate", "labels, 1 frame", {"psnr": 1.0}, PROTOCOL, {}).line())
    assert gather(find_runs([f"{tmp_path}/*"]))[1] == [
        "The seeds of vid2vid were trained for different numbers of clips: 8, 99."
    ]


def test_a_classifier_among_the_runs_is_left_out(tmp_path):
    make_run(tmp_path / "a")
    make_run(
        tmp_path / "classifier", "classifier", task="classify", given="video", protocol=replace(PROTOCOL, clip_keys="")
    )
    comparison, notes = gather(find_runs([f"{tmp_path}/*"]))
    assert [run.name for run in comparison.runs] == ["a"]
    assert notes == ["classifier was left out: it generates no videos."]
    with pytest.raises(ZooError, match="but classifier generate none"):
        gather([tmp_path / "classifier"])


def test_nan_is_shown_in_the_table(tmp_path):
    make_run(tmp_path / "a", psnr=math.nan)
    make_run(tmp_path / "b", seed=2)
    [row] = gather(find_runs([f"{tmp_path}/*"]))[0].rows
    assert math.isnan(row.cells[PROTOCOL.key("psnr")].half_width)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config.yaml", "a: [", "cannot be read as the settings of a run"),
        ("config.yaml", "seed: abc", "cannot be read as the settings of a run"),
        ("results.jsonl", "", "holds no measurement"),
        ("results.jsonl", "\x00\xff", "Line 1 of"),
        ("clips/index.json", "[1", "cannot be read"),
        ("clips/index.json", "[1]", "cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path, file, text, said):
    folder = make_run(tmp_path / "a")
    (folder / file).write_text(text)
    with pytest.raises(ZooError, match=said):
        gather([folder])


def test_incomplete_lines_of_curves_are_skipped(tmp_path):
    folder = make_run(tmp_path / "a")
    with (folder / "metrics.csv").open("a") as file:
        file.write("12,0.4,,9,9\n16,0.")
    assert gather([folder])[0].runs[0].curves["train/loss/a"] == [(4, 0.5), (12, 0.4), (16, 0.0)]


def test_find_runs_accepts_brackets_and_drops_duplicates(tmp_path):
    folder = make_run(tmp_path / "lr[1]")
    assert find_runs([str(folder), f"{folder}/", str(folder.resolve())]) == [folder]
    (folder / "last.ckpt").touch()
    with pytest.raises(ZooError, match=r"It is a file. Try: "):
        find_runs([str(folder / "last.ckpt")])


def test_rows_are_grouped_by_task(tmp_path):
    """Models of different tasks have rows of their own, each with what its samples were made from."""
    runs = [
        make_run(tmp_path / f"{model}{seed}", model, seed, psnr, task=task, given=given)
        for seed in (1, 2)
        for model, psnr, task, given in (
            ("vid2vid", 30.0 + seed, "translate", "labels, 1 frame"),
            ("videovae", 10.0 + seed, "generate", "attributes, 1 frame"),
        )
    ]
    comparison, _ = gather(runs)
    assert [(row.task, row.variant, row.given) for row in comparison.rows] == [
        ("translate", "vid2vid", "labels, 1 frame"),
        ("generate", "videovae", "attributes, 1 frame"),
    ]
    assert not any(each.best for row in comparison.rows for each in row.cells.values())  # each row is alone in its task
    assert to_markdown(comparison).index("**translate**") < to_markdown(comparison).index("**generate**")


def test_variants_are_named_by_differing_settings():
    configs = [flat({"model": {"name": m, "width": w}, "data": {"workers": n}, "seed": s}) for m, w, n, s in
               (("a", 8, 0, 1), ("a", 8, 2, 2), ("a", 16, 0, 1), ("b", 4, 0, 1))]  # fmt: skip
    assert name_variants(configs) == ["a width=8", "a width=8", "a width=16", "b"]
    assert differing_settings(configs[:2]) == []
    assert flat({"a": {"b": {"c": 1}, "d": {}}}) == {"a.b.c": 1, "a.d": {}}


def test_two_runs_of_one_seed_are_separate_variants(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    comparison, _ = gather(find_runs([f"{tmp_path}/*"]))
    assert [row.variant for row in comparison.rows] == ["vid2vid (a)", "vid2vid (b)"]


def test_paths_without_a_run_are_explained(tmp_path):
    make_run(tmp_path / "runs" / "a")
    with pytest.raises(ZooError, match=r"runs is no run.*It holds runs. Try: .*runs/\*"):
        find_runs([str(tmp_path / "runs")])
    with pytest.raises(ZooError, match="no such folder"):
        find_runs([str(tmp_path / "nowhere")])
    with pytest.raises(ZooError, match="Nothing matches"):
        find_runs([f"{tmp_path}/x*"])
    (tmp_path / "runs" / "a" / "results.jsonl").unlink()
    with pytest.raises(ZooError, match=r"Evaluate the run: python -m zoo.evaluate run="):
        gather(find_runs([f"{tmp_path}/runs/*"]))


def test_format_of_a_cell():
    assert format_cell(None) == "–"
    assert format_cell(Cell((1.0,), 1.0)) == "1"
    assert format_cell(Cell((1.0, 2.0), 1.5, 6.353, best=True, real=0.5)) == "**1.5 ± 6.4** (real 0.5)"


def test_compare_writes_every_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("zoo.runs.wandb_logger.has_key", lambda: False)
    runs = [make_run(tmp_path / f"run{seed}", seed=seed) for seed in (1, 2)]
    out = tmp_path / "out"
    compare([str(run) for run in runs], out)
    assert {"table.md", "table.csv", "curves.csv", "index.html", "grid.mp4", "report.json"} <= {
        path.name for path in out.iterdir()
    }
    said = capsys.readouterr().out
    assert f"{out}/grid.mp4" in said
    assert "no wandb API key was found" in said
    # columns given, real, run1, run2; two clips as rows
    assert (probe(out / "grid.mp4").frames, probe(out / "grid.mp4").fps) == (5, 12.5)
    frame = read_frames(out / "grid.mp4", [2])[0]
    columns = [frame[22 + 60 + row * 132, 66 + column * 132].mean() for row in (0, 1) for column in range(4)]
    assert columns == pytest.approx([250, 128, 20, 40] * 2, abs=4)
    plain = json.loads((out / "report.json").read_text())
    assert "val/psnr@8x10f-c1-32x32px" in json.dumps(plain)
    with pytest.raises(ZooError, match="exists and is not empty, and nothing is overwritten"):
        compare([str(run) for run in runs], out)


def test_grid_ends_with_the_shortest_film(tmp_path):
    """Films are cut to the length of the shortest."""
    runs = [make_run(tmp_path / f"run{seed}", seed=seed) for seed in (1, 2)]
    for folder, frames in zip(runs, (4, 6), strict=True):
        levels = (np.arange(frames, dtype=np.uint8) * 40)[:, None, None, None]
        for number in range(2):
            film = np.broadcast_to(levels, (frames, 32, 32, 3))
            write_video(folder / "clips" / f"{number:02d}" / "generated.mp4", film, 12.5)
    write_grid(tmp_path / "grid.mp4", gather(runs)[0])
    assert probe(tmp_path / "grid.mp4").frames == 4
    for time, frame in enumerate(read_frames(tmp_path / "grid.mp4", range(4))):
        columns = [frame[22 + 60, 66 + column * 132].mean() for column in range(4)]
        assert columns == pytest.approx([250, 128, 40 * time, 40 * time], abs=6)


def test_runs_without_films_have_a_table_and_no_grid(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("zoo.comparison.report.reports_are_there", lambda: False)
    runs = [make_run(tmp_path / f"run{seed}", seed=seed, films=seed == 1) for seed in (1, 2)]
    comparison = compare([str(run) for run in runs], tmp_path / "out")
    said = capsys.readouterr().out
    assert "run2 has none" in said
    assert "pip install 'video-zoo[reports]'" in said
    assert common_clips(comparison.runs) == []
    assert not (tmp_path / "out" / "grid.mp4").exists()


def test_films_outside_of_their_run_are_refused(tmp_path):
    run = make_run(tmp_path / "a")
    (run / "clips" / "index.json").write_text(json.dumps({"k": {"real": "../../secret.mp4"}}))
    with pytest.raises(ZooError, match="names a film outside its folder"):
        gather([run])


def test_arguments_of_the_command(tmp_path, monkeypatch):
    assert parse_arguments(["runs/a", "out=x"]) == (["runs/a"], {"out": "x"})
    assert parse_arguments(["runs/lr=0.1"]) == (["runs/lr=0.1"], {})
    with pytest.raises(ZooError, match=r"no setting `outt`.* Did you mean `out`"):
        parse_arguments(["runs/a", "outt=x"])
    with pytest.raises(ZooError, match="No runs are given"):
        parse_arguments(["out=x"])
    with pytest.raises(ZooError, match=r"no flag `--publishd`.* Did you mean `--published`"):
        parse_arguments(["runs/a", "--publishd"])


def test_published_values_are_printed_alone_without_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["zoo.compare", "--published"])
    assert main() is None
    said = capsys.readouterr().out
    assert "published, not measured here: srvp-smmnist" in said
    assert "16.93" in said


def test_published_values_are_added_in_a_block_of_their_own(tmp_path, monkeypatch, capsys):
    protocol = replace(PROTOCOL, data="moving_mnist", settings={"variant": "srvp"}, name="srvp-smmnist-zoo-digits")
    run = make_run(tmp_path / "svg", "svg", protocol=protocol, task="predict", given="5 frames", films=False)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["zoo.compare", str(run), "--published", f"out={out}"])
    comparison = main()
    assert [row.variant for row in comparison.rows] == ["svg"]
    assert [table.protocol for table in comparison.published] == ["svg-smmnist", "srvp-smmnist", "predrnn-mmnist"]
    ours, _, published = (out / "table.md").read_text().partition("## Published values")
    assert "16.93" in published
    assert "SRVP" not in ours
    assert "other clips, srvp-smmnist-zoo-digits: their values are not comparable" in published
    assert "16.93" not in (out / "table.csv").read_text()
    assert "published, not measured here: srvp-smmnist" in capsys.readouterr().out
    puppets = make_run(tmp_path / "vid2vid", films=False)
    assert compare([str(puppets)], tmp_path / "none", published=True).published == ()
    assert "No published values are known on the data sets of these runs." in capsys.readouterr().out
    assert compare([str(run)], tmp_path / "without").published == ()


class FakeFile(SimpleNamespace):
    def download(self, root: str, exist_ok: bool) -> None:
        target = Path(root) / self.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.source.read_bytes())


def test_wandb_runs_are_downloaded(tmp_path):
    local = make_run(tmp_path / "vid2vid-s1")
    files = [FakeFile(name=str(p.relative_to(tmp_path)), source=p, size=1) for p in local.rglob("*") if p.is_file()]
    files.append(
        FakeFile(name="config.yaml", source=local / "config.yaml", size=1)
    )  # wandb's own file, which is not part of the run folder
    api = SimpleNamespace(run=lambda path: SimpleNamespace(files=lambda: files))
    words = download_wandb_runs(["me/zoo/abc123", str(local)], tmp_path / "wandb", api)
    assert words[1] == str(local)
    assert Path(words[0]).name == "vid2vid-s1"
    [run] = gather([Path(words[0])])[0].runs
    assert run.films.keys() == set(KEYS)
    assert run.wandb == WandbRun("abc123", True, "me", "zoo")
    empty = SimpleNamespace(run=lambda path: SimpleNamespace(files=list))
    with pytest.raises(ZooError, match="holds no run folder of the zoo"):
        download_wandb_runs(["me/zoo/abc123"], tmp_path / "wandb", empty)
    evil = [FakeFile(name=name, source=local / "config.yaml", size=1) for name in ("r/results.jsonl", "r/../../../x")]
    api = SimpleNamespace(run=lambda path: SimpleNamespace(files=lambda: evil))
    with pytest.raises(ZooError, match="lies outside of its folder"):
        download_wandb_runs(["me/zoo/abc124"], tmp_path / "wandb", api)


def logged(folder: Path, run: str) -> Path:
    """Add wandb's folder of that name to a run."""
    (folder / "wandb" / run).mkdir(parents=True)
    return folder


def test_report_shows_the_compared_runs_only(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.runs.wandb_logger.has_key", lambda: False)
    online = logged(make_run(tmp_path / "a", seed=1), "run-20260101_000000-id-a")
    offline = logged(make_run(tmp_path / "b", seed=2), "offline-run-20260101_000000-id-b")
    without = make_run(tmp_path / "c", seed=3)
    fetched_one = make_run(tmp_path / "d", seed=4)
    (fetched_one / "wandb").mkdir()
    (fetched_one / "wandb" / "fetched.txt").write_text("me/other/id-d\n")
    for folder in (online, offline):
        with (folder / "config.yaml").open("a") as file:
            file.write("logger:\n  project: mine\n")

    def built(*folders: Path) -> dict:
        comparison, _ = gather(folders)
        write_report(tmp_path / "report.json", comparison)
        return json.loads((tmp_path / "report.json").read_text())

    def runsets(report: dict) -> list[tuple[str, list]]:
        grids = [block for block in report["spec"]["blocks"] if block["type"] == "panel-grid"]
        return [
            (
                runset["name"],
                [(each["key"]["name"], each["op"], each["value"]) for each in runset["filters"]["filters"]],
            )
            for grid in grids
            for runset in grid["metadata"]["runSets"]
        ]

    report = built(online, offline, without, fetched_one)
    assert report["project"]["name"] == "mine"
    # in wandb, the name of a run is its id
    assert runsets(report) == [
        ("mine", [("name", "IN", ["id-a", "id-b"])]),
        ("other", [("name", "IN", ["id-d"])]),
    ]
    assert runsets(built(without)) == []
    assert ids_by_project(gather([fetched_one])[0].runs) == {("me", "other"): ["id-d"]}


def test_report_without_key_or_extra_is_explained(tmp_path, monkeypatch):
    comparison, _ = gather([make_run(tmp_path / f"a{seed}", seed=seed) for seed in (1, 2)])
    monkeypatch.setattr("zoo.runs.wandb_logger.has_key", lambda: False)
    assert "no wandb API key" in write_report(tmp_path / "report.json", comparison, "zoo")
    monkeypatch.setattr("zoo.comparison.report.reports_are_there", lambda: False)
    with pytest.raises(ZooError, match="needs the extra `reports`"):
        build_report(comparison, "zoo")
    assert "wandb_workspaces" in sys.modules
