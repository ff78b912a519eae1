// Synchronised films: one clock drives every film of the page.

const SIZES = [64, 96, 128, 192, 256, 384, 512];
const TRUTHS = ["given", "real"]; // films of a clip besides the samples

let filmSize = 128;
const films = []; // of all cells: {video, run, address, frames, fps, height, width}
const clock = { fps: 1, lastFrame: 0, frame: 0, speed: 1, isPlaying: false }; // in frames of the film with the highest rate
const start = { now: 0, seconds: 0 }; // when the clock was last set, and the film time at that moment

function drawFilms() {
  for (const clip of data.clips) byId("reels").append(reel(clip));
  clock.fps = Math.max(1, ...films.map((film) => film.fps));
  clock.lastFrame = Math.max(0, ...films.map((film) => Math.round((film.frames / film.fps) * clock.fps) - 1));
  byId("frame").max = clock.lastFrame;
  byId("player").hidden = films.length === 0;
  if (films.length === 0) byId("reels").append(html("p", { class: "nothing" }, "None of these runs has films."));
}

/** Every clip has as many cells as the clip with the most, so that each run keeps one column. */
function truthColumns(kind) {
  return Math.max(0, ...data.clips.map((clip) => clip[kind].length));
}

function reel(clip) {
  const truths = TRUTHS.flatMap((kind) =>
    Array.from({ length: truthColumns(kind) }, (_, index) => truthCell(kind, clip[kind][index])),
  );
  const samples = data.runs.map((run, index) => filmCell(clip.generated[index], nameOf(index), run.name, index));
  const film = filmsOf(clip)[0];
  const row = html("div", { class: "reel", style: `--aspect: ${film.width} / ${film.height}` }, ...samples);
  if (truths.length) row.prepend(html("div", { class: "truths" }, ...truths));
  return html("article", {}, html("h3", {}, clip.key), row);
}

function filmsOf(clip) {
  return [...clip.generated.filter(Boolean), ...TRUTHS.flatMap((kind) => clip[kind].map((truth) => truth.film))];
}

function truthCell(kind, truth) {
  const isShared = !truth || truth.runs.length === data.runs.length || truthColumns(kind) === 1;
  const caption = isShared ? kind : `${kind}: ${truth.runs.map((run) => data.runs[run].name).join(", ")}`;
  return filmCell(truth?.film, caption, caption, null);
}

function filmCell(film, caption, label, run) {
  const cell = html("figure", { class: "film", "data-run": run }, html("figcaption", {}, caption));
  if (!film) {
    cell.prepend(html("div", { class: "absent", role: "img", "aria-label": `${label}: no film` }, "–"));
    return cell;
  }
  const video = html("video", { preload: "auto", playsinline: "", "aria-label": label });
  video.muted = true;
  video.style.setProperty("--aspect", `${film.width} / ${film.height}`);
  video.title = `${plural(film.frames, "frame")}, ${brief(film.fps)} fps, ${film.width} × ${film.height}`;
  films.push({ ...film, video, run });
  cell.prepend(video);
  return cell;
}

function hideFilms() {
  for (const cell of document.querySelectorAll(".film[data-run]")) cell.hidden = !shownRuns.has(Number(cell.dataset.run));
}

// Films far from the window are unloaded: browsers limit the number of playing videos, on phones to a few.

function watchReels() {
  const observer = new IntersectionObserver(
    (entries) => entries.forEach((entry) => setLoaded(entry.target, entry.isIntersecting)),
    { rootMargin: "50% 0px" },
  );
  for (const article of byId("reels").children) observer.observe(article);
}

function setLoaded(article, isNear) {
  for (const film of films) {
    if (!article.contains(film.video) || isNear === film.video.hasAttribute("src")) continue;
    if (isNear) {
      film.video.src = film.address;
      place(film, middleOf(clock.frame));
    } else {
      film.video.removeAttribute("src");
      film.video.load();
    }
  }
}

// The clock

/** Seconds at the middle of a frame, so that rounding never shows a neighbouring frame. */
function middleOf(frame) {
  return (frame + 0.5) / clock.fps;
}

/** Seek a film to this time; a film that is over keeps its last frame. */
function place(film, seconds) {
  const frame = Math.min(Math.floor(seconds * film.fps), film.frames - 1);
  film.video.currentTime = (frame + 0.5) / film.fps;
}

function showFrame(frame) {
  clock.frame = frame;
  byId("frame").value = frame;
  byId("frame").setAttribute("aria-valuetext", `frame ${frame} of 0 to ${clock.lastFrame}`);
  byId("time").textContent = `frame ${frame} · ${(frame / clock.fps).toFixed(2)} s`;
}

function seek(frame) {
  showFrame(Math.min(Math.max(frame, 0), clock.lastFrame));
  for (const film of films) place(film, middleOf(clock.frame));
  setClock(middleOf(clock.frame));
}

function setClock(seconds) {
  start.now = performance.now();
  start.seconds = seconds;
}

function readClock() {
  return start.seconds + ((performance.now() - start.now) / 1000) * clock.speed;
}

function play() {
  clock.isPlaying = true;
  showPlaying();
  seek(clock.frame === clock.lastFrame ? 0 : clock.frame);
  for (const film of films) follow(film, middleOf(clock.frame));
  requestAnimationFrame(tick);
}

function pause() {
  clock.isPlaying = false;
  showPlaying();
  for (const film of films) film.video.pause();
  seek(clock.frame);
}

function togglePlaying() {
  if (clock.isPlaying) pause();
  else play();
}

function step(frames) {
  if (clock.isPlaying) pause();
  seek(clock.frame + frames);
}

function showPlaying() {
  byId("play").classList.toggle("is-playing", clock.isPlaying);
  byId("play").setAttribute("aria-label", clock.isPlaying ? "Pause" : "Play");
}

function tick() {
  if (!clock.isPlaying) return;
  const seconds = readClock();
  const frame = Math.floor(seconds * clock.fps);
  if (frame > clock.lastFrame) {
    seek(0);
  } else {
    showFrame(frame);
    for (const film of films) follow(film, seconds);
  }
  requestAnimationFrame(tick);
}

const FAR = 0.3; // seconds
const CATCH_UP = 0.15; // change of the playback rate

/** Synchronise a playing film with the clock. Small delays change its rate, since seeking would make it stutter. */
function follow(film, seconds) {
  const { video, frames, fps } = film;
  if (!video.hasAttribute("src") || seconds >= (frames - 0.5) / fps) return;
  const late = seconds - video.currentTime;
  if (Math.abs(late) > FAR && !video.seeking) place(film, seconds);
  const rate = clock.speed + (Math.abs(late) < 0.5 / fps ? 0 : Math.sign(late) * CATCH_UP);
  if (video.playbackRate !== rate) video.playbackRate = rate;
  if (video.paused) video.play().catch(() => {}); // rejected if the film is paused or unloaded before it starts
}

// Controls

function setSpeed(speed) {
  setClock(readClock());
  clock.speed = speed;
  for (const button of byId("speed").children) button.setAttribute("aria-pressed", Number(button.dataset.speed) === speed);
}

function setSize(size) {
  filmSize = size;
  document.documentElement.style.setProperty("--film", `${size}px`);
  for (const button of byId("size").children) button.disabled = nextSize(button) === undefined;
}

function nextSize(button) {
  return SIZES[SIZES.indexOf(filmSize) + Number(button.dataset.step)];
}

/** The largest size at which all columns fit side by side, within limits. */
function fittingSize() {
  const columns = data.runs.length + TRUTHS.reduce((sum, kind) => sum + truthColumns(kind), 0);
  const room = byId("reels").clientWidth / columns - 12;
  return [256, 192, 128].find((size) => size <= room) ?? (window.innerWidth < 600 ? 96 : 128);
}

const KEYS = { " ": togglePlaying, ArrowLeft: () => step(-1), ArrowRight: () => step(1) };
const TEXT_INPUTS = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]";
const OWN_KEYS = {
  " ": (node) => node.matches("button, summary, input[type=checkbox]"),
  ArrowLeft: (node) => node.matches(".plot") || scrolls(node),
  ArrowRight: (node) => node.matches(".plot") || scrolls(node),
};
let isReachedByTab = false;

function scrolls(node) {
  return node.matches(".scroller") && node.scrollWidth > node.clientWidth;
}

/** The player's keys work everywhere, except on a control that was reached by Tab and needs them itself. */
function isForPlayer(event) {
  if (films.length === 0 || !(event.key in KEYS)) return false;
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return false;
  const focused = document.activeElement;
  return !focused.matches(TEXT_INPUTS) && !(isReachedByTab && OWN_KEYS[event.key](focused));
}

function onKey(event) {
  if (event.key === "Tab") isReachedByTab = true;
  if (!isForPlayer(event)) return;
  event.preventDefault(); // also for keyup, which is what presses a button
  const isHeld = event.repeat && event.key === " ";
  if (event.type === "keydown" && !isHeld) KEYS[event.key]();
}

function connectPlayer() {
  byId("play").addEventListener("click", togglePlaying);
  byId("frame").addEventListener("input", () => step(Number(byId("frame").value) - clock.frame));
  for (const button of byId("speed").children) button.addEventListener("click", () => setSpeed(Number(button.dataset.speed)));
  for (const button of byId("size").children) button.addEventListener("click", () => setSize(nextSize(button)));
  byId("reels").addEventListener("click", (event) => event.target.matches("video") && togglePlaying());
  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", onKey);
  document.addEventListener("pointerdown", () => (isReachedByTab = false));
  onRunsChanged(hideFilms);
}

drawFilms();
connectPlayer();
setSize(fittingSize());
watchReels();
seek(0);
if (films.length > 0 && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
