"use strict";

// What every part of the page shares: the data, which runs are shown, how nodes are built and numbers written.

const data = JSON.parse(byId("data").textContent);
const shownRuns = new Set(data.runs.keys());

function byId(id) {
  return document.getElementById(id);
}

function build(namespace, tag, attributes, children) {
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function html(tag, attributes = {}, ...children) {
  return build("http://www.w3.org/1999/xhtml", tag, attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return build("http://www.w3.org/2000/svg", tag, attributes, children);
}

function groupedBy(items, nameOf) {
  const groups = new Map();
  for (const item of items) groups.set(nameOf(item), [...(groups.get(nameOf(item)) ?? []), item]);
  return groups;
}

// Numbers

function isNumber(value) {
  return Number.isFinite(Number(value ?? NaN));
}

/** A number in little room: 0.1235, 12.35k, 3e-5. */
function brief(value, digits = 4) {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value);
  if (size >= 1e15 || size < 1e-3) return Number(value.toPrecision(digits)).toExponential().replace("+", "");
  return size >= 1e4 ? compact(value, digits) : String(Number(value.toPrecision(digits)));
}

function compact(value, digits = 4) {
  const format = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: digits });
  return format.format(value).replace("K", "k");
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** val/psnr@8x10f-c1-64x64px -> its split, its metric, and the rest, which says how it was measured. */
function partsOfKey(key) {
  const [measured, protocol = ""] = key.split("@");
  const slash = measured.lastIndexOf("/");
  return { group: measured.slice(0, Math.max(slash, 0)), metric: measured.slice(slash + 1), protocol };
}

function arrow(better) {
  return { max: " ↑", min: " ↓" }[better] ?? "";
}

function inWords(better) {
  return { max: "higher is better", min: "lower is better" }[better] ?? "";
}

// Runs

const COLOURS = 8;
const DASHES = ["", "6 3", "2 2", "9 3 2 3", "1 4"];

/** The line of a run, everywhere on the page: from the ninth on, colours come again with another dash. */
function lineOf(run) {
  const dash = DASHES[Math.floor(run / COLOURS) % DASHES.length];
  return { class: "line", style: `--colour: var(--line-${run % COLOURS})`, "stroke-dasharray": dash || null };
}

function swatch(run) {
  const line = svg("line", { x1: 0, x2: 22, y1: 4, y2: 4, ...lineOf(run) });
  return svg("svg", { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" }, line);
}

function nameOf(run) {
  return html("span", { class: "run-name" }, swatch(run), html("span", {}, data.runs[run].name));
}

function onRunsChanged(action) {
  document.addEventListener("runs-changed", action);
}

function drawRuns() {
  for (const [index, run] of data.runs.entries()) {
    const box = html("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => {
      shownRuns[box.checked ? "add" : "delete"](index);
      document.dispatchEvent(new Event("runs-changed"));
    });
    const title = `${run.variant}, seed ${run.seed}\n${run.folder}`;
    const label = html("label", { title }, box, nameOf(index));
    for (const name of ["pointerenter", "focusin"]) label.addEventListener(name, () => pickOut(index));
    for (const name of ["pointerleave", "focusout"]) label.addEventListener(name, () => pickOut(null));
    byId("runs").append(label);
  }
}

/** Fade the lines of all other runs; of none where run is null. */
function pickOut(run) {
  const isOther = (line) => run !== null && shownRuns.has(run) && Number(line.dataset.run) !== run;
  for (const line of document.querySelectorAll(".plot [data-run]")) line.classList.toggle("faded", isOther(line));
}

function drawSummary() {
  const names = data.runs.map((run) => run.name).join(", ");
  document.title = `Comparison: ${names}`;
  byId("summary").textContent = [plural(data.runs.length, "run"), plural(data.clips.length, "clip")].join(", ");
}

drawRuns();
drawSummary();
