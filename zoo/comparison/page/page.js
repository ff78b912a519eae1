"use strict";

// Shared by every part of the page: the data, the shown runs, building of nodes, formatting of numbers.

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

/** Format a number briefly: 0.1235, 12.35k, 3e-5. */
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

/** Split a key such as val/psnr@8x10f-c1-64x64px into group, metric and protocol. */
function partsOfKey(key) {
  const [measured, protocol = ""] = key.split("@");
  const slash = measured.lastIndexOf("/");
  return { group: measured.slice(0, Math.max(slash, 0)), metric: measured.slice(slash + 1), protocol };
}

function arrow(better) {
  return { max: " ↑", min: " ↓" }[better] ?? "";
}

function directionText(better) {
  return { max: "higher is better", min: "lower is better" }[better] ?? "";
}

// Runs

const COLOURS = 8;
const DASHES = ["", "6 3", "2 2", "9 3 2 3", "1 4"];

/** Line style of a run, everywhere on the page. From the ninth run on, colours repeat with another dash pattern. */
function lineOf(run) {
  if (run === undefined) return { class: "line", style: "--colour: var(--muted)", "stroke-dasharray": "2 3" }; // no model
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

/** Runs of a row of the results: the seeds of its variant. */
function runsOf(row) {
  return [...data.runs.keys()].filter((run) => data.runs[run].variant === row.variant);
}

/** A row is the mean of its runs; it is hidden when all of them are. */
function isShown(row) {
  const runs = runsOf(row);
  return runs.length === 0 || runs.some((run) => shownRuns.has(run));
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
    for (const name of ["pointerenter", "focusin"]) label.addEventListener(name, () => highlight(index));
    for (const name of ["pointerleave", "focusout"]) label.addEventListener(name, () => highlight(null));
    byId("runs").append(label);
  }
}

/** Fade the lines of all other runs; null fades none. */
function highlight(run) {
  const isOther = (line) => run !== null && shownRuns.has(run) && !line.dataset.runs.split(" ").includes(String(run));
  for (const line of document.querySelectorAll(".plot [data-runs]")) line.classList.toggle("faded", isOther(line));
}

function drawSummary() {
  const names = data.runs.map((run) => run.name).join(", ");
  document.title = `Comparison: ${names}`;
  byId("summary").textContent = [plural(data.runs.length, "run"), plural(data.clips.length, "clip")].join(", ");
}

drawRuns();
drawSummary();
