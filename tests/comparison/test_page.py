"""The page of a comparison: the files that are written, and their behaviour in a browser.

The browser is Debian's chromium, driven by Playwright. Without them the browser tests are skipped, or fail if the
environment variable ``ZOO_BROWSER`` is "required".
"""

import base64
import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from zoo.comparison.content import Cell, Column, ComparedRun, Comparison, Row
from zoo.comparison.page import BINS, PARTS, SCRIPTS, write_page
from zoo.comparison.published import published_tables
from zoo.data.decode import write_video
from zoo.errors import ZooError

HOSTILE = """</script><b>bold</b> "'`${1}` <!--<script> ☃"""
CLIPS = ("puppets/../7/0.0", f"odd/{HOSTILE}")
FRAMES, FPS = 20, 10
PSNR, L1 = "val/psnr@8x20f-c1-64x64px", "val/l1@8x20f-c1-64x64px"
LOSS = "train/loss/kl"


# A comparison of three runs: the first has twice the frame rate, the second no curves, the third no films.


def film(path, fps=FPS, frames=FRAMES, tint=(0, 0, 0)):
    """A film whose grey level shows the time: 10 at the start, 12 more every tenth of a second."""
    pictures = [np.full((64, 64, 3), 10 + 12 * int(t * FPS / fps), np.uint8) for t in range(frames)]
    for picture in pictures:
        picture[:8] = tint
    write_video(path, pictures, fps)
    return path


def films_of(folder, run):
    films = {}
    for number, clip in enumerate(CLIPS):
        films[clip] = {
            "given": film(folder / f"{run}-{number}-given.mp4", tint=(number, 255, 0)),
            "real": film(folder / f"{run}-{number}-real.mp4", tint=(number, 0, 255)),
        }
    rate = 2 if run == 0 else 1
    films[CLIPS[0]]["generated"] = film(folder / f"{run}.mp4", fps=rate * FPS, frames=rate * FRAMES)
    if run == 0:
        films[CLIPS[1]]["generated"] = film(folder / "short.mp4", frames=5)
    return films


def curves_of(run):
    psnr = [(100.0, 10.0 + run), (200.0, math.nan), (300.0, 14.0), (400.0, 15.0)]
    return {PSNR: psnr, LOSS: [(float(seen), 1000.0 / seen) for seen in range(10, 410, 10)], "perf/clips_per_s": psnr}


def cell(mean, **more):
    return Cell(values=(mean - 1, mean + 1), mean=mean, seeds=(1, 3), **more)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = {"model.name": "videovae", "model.width": 24, "budget.clips": 400, "lr": 0.1}
    runs = (
        ComparedRun(HOSTILE, folder, "wide", 1, config, curves_of(0), films_of(folder, 0)),
        ComparedRun("two", folder, "narrow", 2, config | {"model.width": 16, "lr": math.nan}, {}, films_of(folder, 1)),
        ComparedRun("three", folder, "other", 0, config | {"only.here": "</script>"}, curves_of(2), {}),
    )
    protocol = {"data": "puppets", "split": "val", "clips": 8}
    columns = (Column(PSNR, "max", protocol), Column(L1, "min", protocol))
    rows = (
        Row(
            "wide",
            "predict",
            "first frame",
            (1, 2),
            {PSNR: cell(20.0, half_width=0.5), L1: cell(0.3, real=0.01)},
            {PSNR: [24.0, math.nan, 16.0]},
        ),
        Row("narrow", "predict", "first frame", (1, 2), {L1: cell(0.1, best=True)}),
        Row(
            "other",
            "predict",
            "two frames",
            (1, 2),
            {PSNR: cell(22.5, half_width=1.25, best=True), L1: cell(0.2)},
            {PSNR: [23.0, 22.5, 22.0]},
        ),
        Row("wide", "generate", "", (1, 2), {PSNR: cell(math.nan)}),
        Row("other", "generate", "", (1, 2), {PSNR: cell(9.0)}),
    )
    return Comparison(runs, columns, rows)


@pytest.fixture(scope="module")
def written(comparison, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page") / "new", comparison)


def embedded(page):
    """The data that is embedded in a page."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(found[1])


# Files


def test_names_cannot_end_the_script_element(written, comparison):
    data = embedded(written)
    assert [run["name"] for run in data["runs"]] == [run.name for run in comparison.runs]
    assert data["runs"][2]["config"]["only.here"] == "</script>"


def test_the_policy_lets_the_script_of_the_page_run_and_nothing_else(written):
    text = written.read_text("utf-8")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy


def test_non_finite_values_are_strings(written, comparison, tmp_path):
    assert embedded(written)["runs"][0]["curves"][PSNR][1] == [200, "NaN"]
    run = replace(comparison.runs[2], curves={"val/x": [(1.0, math.inf), (2.0, -math.inf)]}, config={"x": [math.inf]})
    data = embedded(write_page(tmp_path, Comparison((run,), (), ())))["runs"][0]
    assert (data["curves"]["val/x"], data["config"]) == ([[1, "Infinity"], [2, "-Infinity"]], {"x": ["Infinity"]})


def test_curves_over_frames_count_from_one(written):
    rows = embedded(written)["rows"]
    assert rows[0]["curves"] == {PSNR: [[1, 24.0], [2, "NaN"], [3, 16.0]]}
    assert rows[1]["curves"] == {}


def test_films_have_plain_file_names(written):
    films = [path.relative_to(written.parent) for path in written.parent.rglob("*.mp4")]
    assert len(films) == 4 + 3
    assert all(re.fullmatch(r"films/\d{3}-[\w-]+/\d\d-[\w-]+\.mp4", path.as_posix()) for path in films)


def test_films_shared_by_runs_are_copied_once(comparison, tmp_path):
    first, second, _ = comparison.runs
    other = film(tmp_path / "other.mp4", tint=(9, 9, 200))
    second = replace(second, films={CLIPS[0]: second.films[CLIPS[0]] | {"given": other}})
    clip = embedded(write_page(tmp_path / "page", Comparison((first, second), (), ())))["clips"][0]
    assert [truth["runs"] for truth in clip["real"]] == [[0, 1]]
    assert [truth["runs"] for truth in clip["given"]] == [[0], [1]]


def test_missing_film_is_named(comparison, tmp_path):
    run = replace(comparison.runs[0], films={"clip": {"generated": tmp_path / "gone.mp4"}})
    with pytest.raises(ZooError, match=r"gone\.mp4"):
        write_page(tmp_path / "page", Comparison((run,), (), ()))


def test_long_curves_keep_peaks_and_ends(comparison, tmp_path):
    curve = [(float(seen), math.sin(seen)) for seen in range(100_000)]
    curve[5_000], curve[7_000], curve[-1] = (5_000.0, 99.0), (7_000.0, math.nan), (99_999.0, 0.5)
    run = replace(comparison.runs[2], curves={"val/x": curve})
    kept = embedded(write_page(tmp_path, Comparison((run,), (), ())))["runs"][0]["curves"]["val/x"]
    assert len(kept) <= 2 * BINS + 3
    assert [5_000, 99.0] in kept
    assert [7_000, "NaN"] in kept
    assert (kept[0], kept[-1]) == ([0, 0.0], [99_999, 0.5])


def test_scripts_and_style_cannot_end_their_elements():
    assert not any("</" in (PARTS / name).read_text("utf-8") for name in (*SCRIPTS, "page.css"))


def test_empty_comparison_is_written(tmp_path):
    assert not any(embedded(write_page(tmp_path, Comparison((), (), ()))).values())


# Behaviour in a browser

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync"""
TENTHS = "videos => videos.map(video => Math.floor(video.currentTime * 10))"
SETTLED = """() => [...document.querySelectorAll("video[src]")].every(
    video => !video.seeking && video.readyState >= 2)"""
IN_STEP = """() => [...document.querySelectorAll("video")].every(
    video => video.ended || Math.abs(video.currentTime - readClock()) < 0.1)"""
PLAYING = "videos => videos.filter(video => !video.paused && !video.ended).length"
STAYS_INSIDE = """nodes => nodes.every(
    node => node.closest(".scroller, .runs") || node.getBoundingClientRect().right <= 360)"""


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        problem = "needs Debian's chromium and the package playwright"
        if os.environ.get("ZOO_BROWSER") == "required":
            pytest.fail(problem)
        pytest.skip(problem)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def tab(browser):
    # Playwright's wait_for_function calls eval, which the policy of the page forbids
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce", bypass_csp=True)
    context.set_default_timeout(20_000)
    return context.new_page()


@pytest.fixture
def page(tab, written):
    """The page after opening, with paused films. It must log no errors and request nothing from the network."""
    errors, requests = [], []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    open_page(tab, written)
    yield tab
    assert not errors
    assert requests
    assert all(address.startswith(("file:", "data:")) for address in requests)


def open_page(tab, path):
    tab.emulate_media(reduced_motion="reduce", color_scheme="light")
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.goto(path.as_uri())
    tab.wait_for_function(SETTLED)


def test_the_policy_lets_films_play_and_no_injected_script_run(browser, written):
    context = browser.new_context()
    tab, errors = context.new_page(), []
    tab.on("console", lambda message: errors.append(message.text))
    tab.goto(written.as_uri())
    tab.locator("#play").click()
    videos = tab.locator("video[src]")
    videos.first.wait_for()
    assert tab.locator("#summary").inner_text()
    assert videos.first.evaluate("video => new Promise(done => { video.onseeked = done; video.currentTime = 0.5 })")
    assert errors == []
    tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    tab.wait_for_timeout(100)
    assert tab.evaluate("window.ran") is None
    assert any("Content Security Policy" in error for error in errors)
    context.close()


def frames_shown(page):
    """Tenths of a second shown, by the films' current time. One film has only five frames and keeps the last."""
    page.wait_for_function(SETTLED)
    return sorted(set(page.locator("video[src]").evaluate_all(TENTHS)))


def frames_seen(page):
    """Tenths of a second shown, by the grey levels on the screen."""
    page.wait_for_function(SETTLED)
    screen = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    boxes = [video.bounding_box() for video in page.locator("video").all()]
    middles = [screen[int(box["y"] + box["height"] / 2), int(box["x"] + box["width"] / 2)] for box in boxes]
    return {round((float(middle.mean()) - 10) / 12) for middle in middles}


def is_playing(page):
    return page.locator("video").evaluate_all(PLAYING)


def set_frame(page, frame):
    slide = "(slider, frame) => { slider.value = frame; slider.dispatchEvent(new Event('input')) }"
    page.locator("#frame").evaluate(slide, frame)


def test_hostile_names_are_shown_as_text(page):
    assert page.locator("#runs .run-name").all_inner_texts() == [HOSTILE, "two", "three"]
    assert page.locator("h3").all_inner_texts() == list(CLIPS)
    assert page.locator("b").count() == 0
    assert page.title() == f"Comparison: {HOSTILE}, two, three"


def test_every_clip_has_a_cell_for_every_run(page):
    assert page.locator("video").count() == 4 + 3
    for row in page.locator(".reel").all():
        assert row.locator(".truths figcaption").all_inner_texts() == ["given", "real"]
        assert row.locator(":scope > .film").count() == 3
    assert page.locator(".absent").all_inner_texts() == ["–"] * 3


def test_slider_seeks_every_film(page):
    assert frames_shown(page) == [0]
    assert frames_seen(page) == {0}
    for tick, tenth in ((6, 3), (31, 15)):  # in frames of the faster film
        set_frame(page, tick)
        assert frames_shown(page) == sorted({min(tenth, 4), tenth})
        assert frames_seen(page) == {min(tenth, 4), tenth}
    assert page.locator("#time").inner_text() == "frame 31 · 1.55 s"
    assert page.locator("#frame").get_attribute("aria-valuetext") == "frame 31 of 0 to 39"


def test_play_and_pause_act_on_all_films(page):
    page.click("#play")
    page.wait_for_function("Number(document.getElementById('frame').value) >= 12")
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    assert is_playing(page) >= 6  # the short film may be over
    page.click("#play")
    frame = int(page.input_value("#frame"))
    assert is_playing(page) == 0
    assert frames_shown(page) == sorted({4, frame // 2})
    page.wait_for_timeout(150)
    assert int(page.input_value("#frame")) == frame


def test_films_that_drift_are_synchronised(page):
    page.click("[data-speed='0.25']")  # the end, where films restart, is eight seconds away
    page.click("#play")
    page.wait_for_function(IN_STEP)
    page.locator("video").first.evaluate("video => { video.currentTime += 0.2 }")
    page.locator("video").nth(3).evaluate("video => { video.currentTime += 1.2 }")
    assert not page.evaluate(IN_STEP)
    page.wait_for_function(IN_STEP)


def test_playing_restarts_at_the_end(page):
    set_frame(page, 36)
    page.keyboard.press("Space")
    page.wait_for_function("Number(document.getElementById('frame').value) < 20")
    page.wait_for_function("[...document.querySelectorAll('video')].every(video => video.currentTime < 1)")
    page.wait_for_function("[...document.querySelectorAll('video')].filter(video => !video.paused).length >= 6")


def test_speed_slows_the_clock(page):
    page.click("[data-speed='0.25']")
    page.keyboard.press("Space")
    now = "[performance.now() / 1000, Number(document.getElementById('frame').value) / 20]"
    before = page.evaluate(now)
    page.wait_for_timeout(600)
    seconds, of_film = np.subtract(page.evaluate(now), before)
    assert of_film == pytest.approx(seconds / 4, abs=0.1)
    assert page.locator("video").first.evaluate("video => video.playbackRate") < 0.5
    assert page.locator("#speed [aria-pressed='true']").inner_text() == "¼"


def test_keys_work_wherever_the_focus_is(page):
    for place in ("body", "#frame", "#play", "#log", ".results button", ".plot", "#reels"):
        page.locator(place).first.evaluate("node => node.focus({preventScroll: true})")
        frames = []
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
            frames.append(page.input_value("#frame"))
        assert (place, frames) == (place, ["1", "2", "1", "0", "0"])
        page.keyboard.press("Space")
        assert is_playing(page)
        page.keyboard.press("Space")
        assert not is_playing(page)
        set_frame(page, 0)
    assert not page.is_checked("#log")


def test_a_control_reached_by_tab_keeps_its_keys(page):
    page.focus("#runs input >> nth=0")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert not page.is_checked("#runs input >> nth=1")
    assert not is_playing(page)
    page.mouse.click(640, 890)
    page.keyboard.press("Space")
    assert is_playing(page)


def test_every_control_is_reached_by_tab(page):
    reached = set()
    for _ in range(70):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className.baseVal || ''"))
        reached.add(page.evaluate("document.activeElement.innerText?.trim().split('\\n')[0]"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    wanted = {"reels", "play", "frame", "log", "plot", "results-table", "settings-table", "all-settings"}
    assert wanted | {"Films", "¼", "+", "variant", "psnr ↑", "How the values were measured"} <= reached


def test_films_autoplay_unless_reduced_motion_is_preferred(page, written):
    assert not is_playing(page)
    page.emulate_media(reduced_motion="no-preference")
    page.reload()
    page.wait_for_function("Number(document.getElementById('frame').value) > 0")
    assert is_playing(page)


def test_size_of_films_can_be_changed(page):
    def width():
        return page.locator("video").first.bounding_box()["width"]

    before = width()
    page.click("[data-step='1']")
    assert width() > before
    for _ in range(6):
        page.locator("[data-step='-1']").evaluate("button => button.click()")
    assert width() == 64
    assert page.is_disabled("[data-step='-1']")


def test_only_films_near_the_window_are_loaded(page, comparison, tmp_path):
    run = comparison.runs[1]
    films = {f"clip {number}": run.films[CLIPS[0]] for number in range(30)}
    many = write_page(tmp_path, Comparison((replace(run, films=films),), (), ()))
    open_page(page, many)
    assert 0 < page.locator("video[src]").count() < 60
    set_frame(page, 7)
    page.locator("video").last.scroll_into_view_if_needed()
    page.wait_for_function("!document.querySelector('video').hasAttribute('src')")
    assert frames_shown(page) == [7]
    assert page.locator("video").last.get_attribute("src") is not None
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("document.querySelector('video').hasAttribute('src')")
    assert frames_shown(page) == [7]


def test_curves_have_a_line_for_each_shown_run(page):
    lines = page.locator(f"#charts [data-key='{PSNR}'] path")
    assert lines.count() == 2
    assert lines.first.get_attribute("d").count("M") == 2  # a NaN breaks the line
    page.uncheck("#runs input >> nth=0")
    assert lines.count() == 1
    assert lines.get_attribute("data-runs") == "2"
    page.check("#runs input >> nth=0")
    assert lines.count() == 2


def test_curves_over_frames_have_a_line_for_each_shown_variant(page):
    lines = page.locator(f"#frames [data-key='{PSNR}'] path")
    assert page.locator("#frames .chart").count() == 1
    assert page.locator("#frames .tick.x").all_text_contents() == ["1", "2", "3"]
    assert [line.get_attribute("data-runs") for line in lines.all()] == ["0", "2"]
    assert lines.first.get_attribute("d").count("M") == 2  # a NaN breaks the line
    page.focus("#frames .plot")
    reading = page.locator("#frames .reading")
    assert reading.inner_text().split("\n")[0] == "at frame 3"
    assert reading.locator(".run-name").all_inner_texts() == ["wide, given first frame", "other, given two frames"]
    assert reading.locator(".value").all_inner_texts() == ["16", "22"]
    page.hover("#runs label >> nth=2")
    assert ["faded" in line.get_attribute("class") for line in lines.all()] == [True, False]
    page.uncheck("#runs input >> nth=0")
    assert lines.count() == 1


def test_curves_over_frames_have_a_band_from_the_worst_to_the_best_draw(page, comparison, tmp_path):
    """One chart for the three curves; the lower end is the best draw where lower is better."""
    best, worst, l1_best, l1_worst = (key.replace("@", f"_{end}@") for key in (PSNR, L1) for end in ("best", "worst"))
    wide = comparison.rows[0]
    draws = {best: [26.0, 20.0, 18.0], worst: [22.0, math.nan, 14.0]}
    l1 = {L1: [0.2, 0.3], l1_best: [0.1, 0.2], l1_worst: [0.4, 0.5]}
    rows = (replace(wide, curves=wide.curves | draws | l1), *comparison.rows[1:])
    open_page(page, write_page(tmp_path, replace(comparison, rows=rows)))
    charts = page.locator("#frames .chart")
    assert [chart.get_attribute("data-key") for chart in charts.all()] == [PSNR, L1]
    bands = page.locator(f"#frames [data-key='{PSNR}'] polygon")
    assert [band.get_attribute("data-runs") for band in bands.all()] == ["0", "0"]  # a NaN breaks the band
    assert [len(band.get_attribute("points").split()) for band in bands.all()] == [2, 2]
    page.focus(f"#frames [data-key='{PSNR}'] .plot")
    values = page.locator(f"#frames [data-key='{PSNR}'] .reading .value").all_inner_texts()
    assert values == ["16 (14 to 18)", "22"]
    band = page.locator(f"#frames [data-key='{L1}'] polygon").get_attribute("points").split()
    heights = [float(point.split(",")[1]) for point in band]  # 0.1, 0.2, then back over 0.5, 0.4, downwards
    assert heights[0] > heights[1] > heights[3] > heights[2]
    page.uncheck("#runs input >> nth=0")
    assert bands.count() == 0


def test_published_values_stand_in_tables_of_their_own(page, comparison, tmp_path):
    open_page(page, write_page(tmp_path / "without", comparison))
    assert not page.locator("#published").is_visible()
    assert not page.locator("nav a", has_text="Published").is_visible()
    open_page(page, write_page(tmp_path / "with", replace(comparison, published=published_tables())))
    assert page.locator("nav a", has_text="Published").is_visible()
    titles = page.locator("#published h3").all_inner_texts()
    assert [title.partition(":")[0] for title in titles] == ["svg-smmnist", "srvp-smmnist", "predrnn-mmnist"]
    heads = page.locator("#published table >> nth=0").locator("th[scope=col]").all_inner_texts()
    assert heads == ["model", "paper", "psnr_best ↑", "ssim_best ↑", "from"]
    rows = page.locator("#published table >> nth=0").locator("tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        ["SVG", "Denton and Fergus 2018", "14.50", "0.7090", "Franceschi et al. 2020 (unchecked)"],
        ["SRVP", "Franceschi et al. 2020", "16.93", "0.7799", "Franceschi et al. 2020 (unchecked)"],
    ]
    assert page.locator("#published", has_text="ConvLSTM-S, 2000 epochs").count() == 1
    assert page.locator("#results", has_text="SRVP").count() == 0


def test_trivial_rows_belong_to_no_run(page, comparison, tmp_path):
    """They stay when runs are hidden, and have a line of their own."""
    trivial = Row(
        "frame repeated", "predict", "first frame", (), {PSNR: cell(19.0)}, {PSNR: [19.0, 18.0]}, baseline=True
    )
    open_page(page, write_page(tmp_path, replace(comparison, rows=(*comparison.rows, trivial))))
    assert page.locator("tr", has_text="frame repeated").count() == 1
    lines = page.locator(f"#frames [data-key='{PSNR}'] path")
    assert [line.get_attribute("data-runs") for line in lines.all()] == ["0", "2", ""]
    page.uncheck("#runs input >> nth=0")
    page.uncheck("#runs input >> nth=2")
    assert [line.get_attribute("data-runs") for line in lines.all()] == [""]
    page.focus("#frames .plot")
    assert page.locator("#frames .reading .run-name").all_inner_texts() == ["frame repeated, given first frame"]


def test_hidden_runs_leave_films_and_tables(page):
    page.uncheck("#runs input >> nth=0")
    assert page.locator(".film[data-run='0']:visible").count() == 0
    assert page.locator(".results tbody th[scope=row]:visible").all_inner_texts() == ["narrow", "other", "other"]
    assert page.locator(".settings thead .run-name").all_inner_texts() == ["two", "three"]
    page.uncheck("#runs input >> nth=1")
    page.uncheck("#runs input >> nth=2")
    assert page.locator(".results tbody th:visible").count() == 0
    assert page.locator("#settings-count").inner_text() == "0 of 0 differ between the runs shown"


def test_closed_groups_are_not_drawn(page):
    assert page.locator("#charts summary").all_inner_texts() == ["val1", "train/loss1", "perf1"]
    assert page.locator("#charts .chart").count() == 1
    page.click("text=train/loss")
    page.wait_for_selector(f"[data-key='{LOSS}'] path")
    assert page.locator(f"[data-key='{LOSS}'] path").count() == 2


def test_log_scale_has_logarithmic_ticks(page):
    page.click("text=train/loss")
    page.check("#log")
    page.wait_for_selector(f"[data-key='{LOSS}'] path")
    assert page.locator(f"[data-key='{LOSS}'] .tick.y").all_text_contents() == ["5", "10", "20", "50", "100"]


def test_values_can_be_read_by_mouse_and_keyboard(page):
    page.hover(".plot", position={"x": 60, "y": 60})
    reading = page.locator("#charts .reading")
    assert reading.inner_text().split("\n")[0] == "at 100 clips"
    assert reading.locator(".value").all_inner_texts() == ["10", "12"]
    page.mouse.move(0, 0)
    assert reading.is_hidden()
    page.focus("#charts summary >> nth=0")
    page.keyboard.press("Tab")
    assert reading.inner_text().split("\n")[0] == "at 400 clips"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert reading.locator(".value").all_inner_texts() == ["NaN", "NaN"]
    assert page.input_value("#frame") == "0"


def rows_of(page):
    return page.locator(".results tbody").evaluate_all(
        "bodies => bodies.map(body => [...body.querySelectorAll('th')].map(node => node.innerText))"
    )


def test_results_are_sorted_within_their_task(page):
    assert rows_of(page) == [["predict", "wide", "narrow", "other"], ["generate", "wide", "other"]]
    psnr = page.locator(".results thead th", has_text="psnr")
    psnr.locator("button").click()
    assert psnr.get_attribute("aria-sort") == "descending"  # best first
    assert rows_of(page) == [["predict", "other", "wide", "narrow"], ["generate", "other", "wide"]]
    psnr.locator("button").press("Enter")
    assert psnr.get_attribute("aria-sort") == "ascending"
    assert rows_of(page) == [["predict", "wide", "other", "narrow"], ["generate", "other", "wide"]]
    page.click(".results button >> text=variant")
    assert psnr.get_attribute("aria-sort") is None
    assert rows_of(page) == [["predict", "narrow", "other", "wide"], ["generate", "other", "wide"]]


def test_results_show_metric_and_protocol(page):
    header = page.locator(".results button", has_text="psnr")
    assert header.get_attribute("title") == f"{PSNR}\nhigher is better\ndata: puppets\nsplit: val\nclips: 8"
    assert header.inner_text().split("\n") == ["psnr ↑", "val 8x20f-c1-64x64px"]
    predict = page.locator(".results tbody >> nth=0")
    assert predict.locator("strong").all_inner_texts() == ["0.1000", "22.50"]
    assert predict.locator(".half:not(.no-half)").all_inner_texts() == ["± 0.50", "± 1.25"]
    assert predict.locator("td[title]").first.get_attribute("title") == "seed 1: 19\nseed 3: 21"
    assert predict.locator(".real").all_inner_texts() == ["real 0.0100"]
    assert page.locator(".results tbody >> nth=1").locator(".mean").all_inner_texts()[:2] == ["NaN", "–"]


def test_settings_show_differences(page):
    def names():
        return page.locator(".settings tbody th").all_inner_texts()

    assert names() == ["model.width", "lr", "only.here"]
    assert page.locator(".settings tbody td").all_inner_texts()[3:] == ["0.1", "NaN", "0.1", "–", "–", "</script>"]
    page.check("#all-settings")
    assert names() == ["model.name", "model.width", "budget.clips", "lr", "only.here"]
    assert page.locator(".settings .differs").count() == 3


def test_narrow_screens_do_not_scroll_sideways(page):
    page.set_viewport_size({"width": 360, "height": 640})
    page.click("text=train/loss")
    page.click("#protocols summary")
    page.check("#all-settings")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    assert page.locator("body *").evaluate_all(STAYS_INSIDE)
    assert page.locator("#reels").evaluate("node => node.scrollWidth > node.clientWidth")


def test_empty_page_opens(page, tmp_path):
    open_page(page, write_page(tmp_path, Comparison((), (), ())))
    assert page.locator(".nothing").count() == 4
    page.keyboard.press("Space")
