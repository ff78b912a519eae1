// Curves: one chart per metric, one line per run. Charts of a closed group are not drawn.

const CHART = { width: 380, height: 200, left: 56, right: 14, top: 8, bottom: 24 };
const FIRST_GROUPS = [/^val(\/|$)/, /^train\/loss$/, /^train$/]; // then the others by name
const DOTTED = 24; // a line of fewer points also shows the points
const MANY = 200; // a line of more points is noisy and drawn thin
const CLIPS_SEEN = { name: "clips seen", first: 0, line: "run", placeText: (seen) => `at ${plural(seen, "clip")}` };

function drawCurves() {
  const order = new Intl.Collator("en", { numeric: true }).compare; // frame9 before frame10
  const keys = [...new Set(data.runs.flatMap((run) => Object.keys(run.curves)))].sort(order);
  const groups = groupedBy(keys, (key) => partsOfKey(key).group);
  const names = [...groups.keys()].sort((one, other) => rankOf(one) - rankOf(other) || order(one, other));
  for (const name of names) {
    const isOpen = name === names[0] || rankOf(name) === 0;
    byId("charts").append(chartGroup(name, groups.get(name), isOpen));
  }
  if (keys.length === 0) byId("charts").append(html("p", { class: "nothing" }, "None of these runs has curves."));
}

function rankOf(group) {
  const rank = FIRST_GROUPS.findIndex((pattern) => pattern.test(group));
  return rank < 0 ? FIRST_GROUPS.length : rank;
}

function chartGroup(name, keys, isOpen) {
  const charts = html("div", { class: "charts" });
  const count = html("span", { class: "count" }, String(keys.length));
  const group = html("details", { open: isOpen ? "" : null }, html("summary", {}, name || "other", count), charts);
  let isDrawn = false;
  const draw = () => {
    if (!group.open || isDrawn) return;
    const isLog = byId("log").checked;
    charts.replaceChildren(...keys.map((key) => chart(key, runLines(key, isLog), CLIPS_SEEN, isLog)));
    isDrawn = true;
  };
  const redraw = () => {
    isDrawn = false;
    draw();
  };
  group.addEventListener("toggle", draw);
  byId("log").addEventListener("change", redraw);
  onRunsChanged(redraw);
  draw();
  return group;
}

/** along: what a chart is drawn against: its name, its first value, what a line is, and the text of a place. */
function chart(key, lines, along, isLog = false) {
  const { metric, protocol } = partsOfKey(key);
  const better = data.columns.find((column) => column.key === key)?.better;
  const caption = html("figcaption", { title: key }, html("strong", {}, metric + arrow(better)), html("small", {}, protocol));
  const figure = html("figure", { class: "chart", "data-key": key }, caption);
  if (lines.some((line) => line.points.length > 0)) figure.append(...plot(key, lines, along, isLog));
  else figure.append(html("p", { class: "nothing" }, "no values to draw"));
  return figure;
}

/** Lines of the shown runs. */
function runLines(key, isLog) {
  const runs = [...shownRuns].sort((one, other) => one - other).filter((run) => key in data.runs[run].curves);
  return runs.map((run) => lineThrough(data.runs[run].curves[key], [run], () => nameOf(run), isLog));
}

/**
 * A line of these runs, in the style of the first. all: every point, as numbers; points: those that can be drawn. band:
 * [place, lower, upper] of an area around the line.
 */
function lineThrough(curve, runs, name, isLog = false) {
  const all = curve.map(([place, value]) => [place, Number(value)]);
  const canDraw = ([, value]) => Number.isFinite(value) && (!isLog || value > 0);
  return { runs, name, all, points: all.filter(canDraw), segments: segmentsOf(all, canDraw), band: [] };
}

/** Split a line where a value cannot be drawn, so that a NaN shows as a gap. */
function segmentsOf(points, canDraw) {
  const segments = [[]];
  for (const point of points) {
    if (canDraw(point)) segments.at(-1).push(point);
    else segments.push([]);
  }
  return segments.filter((segment) => segment.length > 0);
}

function plot(key, lines, along, isLog) {
  const points = lines.flatMap((line) => line.points);
  const places = lines.flatMap((line) => line.all.map(([place]) => place));
  const x = axis([along.first, ...places], CHART.left, CHART.width - CHART.right, { isWhole: true });
  const ends = lines.flatMap((line) => line.band.flatMap(([, lower, upper]) => [lower, upper])).filter(Number.isFinite);
  const y = axis([...points.map(([, value]) => value), ...ends], CHART.height - CHART.bottom, CHART.top, { isLog, margin: 0.05 });
  const label = `${key} against ${along.name}; ${plural(lines.length, along.line)}`;
  const size = { viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", tabindex: 0, "aria-label": label };
  const picture = svg(
    "svg",
    { class: "plot", ...size },
    ...drawnAxes(x, y),
    ...lines.flatMap((line) => drawnBand(line, x, y)),
    ...lines.flatMap((line) => drawnLine(line, x, y)),
  );
  const reading = html("output", { class: "reading", hidden: "" });
  connectReading(picture, reading, lines, along, x, y);
  return [picture, reading];
}

// Axes

/** Map values to positions between two edges, in units of the chart, and choose the labelled values. */
function axis(values, from, to, { isLog = false, isWhole = false, margin = 0 } = {}) {
  const warp = isLog ? Math.log10 : (value) => value;
  const [low, high] = rangeOf(values, isLog, margin);
  const at = (value) => from + ((warp(value) - warp(low)) / (warp(high) - warp(low))) * (to - from);
  const ticks = (isLog ? logTicks(low, high) : evenTicks(low, high)).filter((tick) => !isWhole || Number.isInteger(tick));
  return { at, ticks, labels: isLog ? ticks.map((tick) => brief(tick)) : labelsOf(ticks) };
}

/** Range of the values plus a margin on both sides, as a fraction of the range. */
function rangeOf(values, isLog, margin) {
  const low = values.reduce((one, other) => Math.min(one, other));
  const high = values.reduce((one, other) => Math.max(one, other));
  if (low === high) return isLog ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const more = isLog ? (high / low) ** margin : (high - low) * margin;
  return isLog ? [low / more, high * more] : [low - more, high + more];
}

function evenTicks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough / 1.4) * power;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

function logTicks(low, high) {
  const first = Math.floor(Math.log10(low));
  const decades = Math.log10(high / low);
  const factors = decades < 2.5 ? [1, 2, 5] : [1];
  const every = Math.ceil(decades / 5);
  const powers = Array.from({ length: Math.ceil(decades) + 2 }, (_, index) => first + index).filter((power) => power % every === 0);
  const ticks = powers.flatMap((power) => factors.map((factor) => factor * 10 ** power));
  const inside = ticks.filter((tick) => tick >= low && tick <= high);
  return inside.length > 1 ? inside : evenTicks(low, high);
}

function labelsOf(ticks) {
  const areDistinct = new Set(ticks.map((tick) => brief(tick))).size === ticks.length;
  return alike(ticks, areDistinct ? 4 : 8);
}

/** Format numbers with the same unit or the same number of decimals. */
function alike(numbers, digits = 4) {
  const texts = numbers.map((number) => brief(number, digits));
  if (texts.some((text) => text.includes("e"))) return texts;
  if (texts.some((text) => /[kMBT]$/.test(text))) return numbers.map((number) => compact(number, digits));
  const decimals = Math.max(0, ...texts.map((text) => (text.split(".")[1] ?? "").length));
  return numbers.map((number) => number.toFixed(decimals));
}

function drawnAxes(x, y) {
  const [left, right, bottom] = [CHART.left, CHART.width - CHART.right, CHART.height - CHART.bottom];
  const rows = y.labels.flatMap((label, index) => [
    svg("line", { class: "grid", x1: left, x2: right, y1: y.at(y.ticks[index]), y2: y.at(y.ticks[index]) }),
    svg("text", { class: "tick y", x: left - 6, y: y.at(y.ticks[index]) }, label),
  ]);
  const columns = x.labels.map((label, index) =>
    svg("text", { class: "tick x", x: x.at(x.ticks[index]), y: bottom + 16 }, label),
  );
  return [...rows, svg("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }), ...columns];
}

function drawnLine(line, x, y) {
  const path = line.segments
    .map((segment) => "M" + segment.map(([place, value]) => `${x.at(place).toFixed(1)},${y.at(value).toFixed(1)}`).join("L"))
    .join("");
  const style = lineOf(line.runs[0]);
  const thin = line.points.length > MANY ? " many" : "";
  const drawn = [svg("path", { ...style, class: style.class + thin, "data-runs": line.runs.join(" "), d: path })];
  const dots = line.points.length < DOTTED ? line.points : line.segments.filter((segment) => segment.length === 1).flat();
  for (const [place, value] of dots) drawn.push(dot(line, x.at(place), y.at(value), 2.5));
  return drawn;
}

function drawnBand(line, x, y) {
  const canDraw = ([, lower, upper]) => Number.isFinite(lower) && Number.isFinite(upper);
  return segmentsOf(line.band, canDraw).map((segment) => {
    const edge = (side) => segment.map((point) => `${x.at(point[0]).toFixed(1)},${y.at(point[side]).toFixed(1)}`);
    const points = [...edge(1), ...edge(2).reverse()].join(" ");
    return svg("polygon", { class: "band", style: lineOf(line.runs[0]).style, "data-runs": line.runs.join(" "), points });
  });
}

function dot({ runs }, x, y, radius) {
  return svg("circle", { class: "dot", style: lineOf(runs[0]).style, "data-runs": runs.join(" "), cx: x, cy: y, r: radius });
}

// Reading values off a chart with the mouse, a finger, or Tab and the arrow keys.

function connectReading(picture, reading, lines, along, x, y) {
  const marks = svg("g", { class: "marks" });
  picture.append(marks);
  let current = 0;
  let known = null;
  // Computed on first use: a page has hundreds of charts.
  const places = () => (known ??= [...new Set(lines.flatMap((line) => line.all.map(([place]) => place)))].sort((a, b) => a - b));

  const show = (index) => {
    current = Math.min(Math.max(index, 0), places().length - 1);
    drawReading(reading, marks, lines, along, places()[current], x, y);
  };
  const hide = () => {
    reading.hidden = true;
    marks.replaceChildren();
  };
  const showUnder = (event) => {
    const box = picture.getBoundingClientRect();
    const pointed = ((event.clientX - box.left) / box.width) * CHART.width;
    show(nearest(places(), (place) => Math.abs(x.at(place) - pointed)));
  };
  picture.addEventListener("pointermove", showUnder);
  picture.addEventListener("pointerdown", showUnder);
  picture.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
  picture.addEventListener("focus", () => reading.hidden && show(Infinity));
  picture.addEventListener("blur", hide);
  picture.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: Infinity };
    if (event.key === "Escape") hide();
    if (!isReachedByTab || !(event.key in moves)) return;
    event.preventDefault();
    show(moves[event.key]);
  });
}

/** Index of the nearest item. */
function nearest(items, distance) {
  const distances = items.map(distance);
  return distances.indexOf(distances.reduce((one, other) => Math.min(one, other)));
}

function drawReading(reading, marks, lines, along, place, x, y) {
  const left = x.at(place);
  const points = lines.map((line) => line.all[nearest(line.all, ([other]) => Math.abs(other - place))]);
  const values = alike(points.map(([, value]) => value));
  marks.replaceChildren(svg("line", { class: "cursor", x1: left, x2: left, y1: CHART.top, y2: CHART.height - CHART.bottom }));
  reading.replaceChildren(html("b", {}, along.placeText(place)));
  for (const [index, line] of lines.entries()) {
    const [at, value] = points[index];
    const ends = line.band.find(([other]) => other === at);
    const range = ends ? ` (${alike(ends.slice(1)).join(" to ")})` : "";
    const note = html("small", {}, range + (at === place ? "" : ` at ${brief(at)}`));
    reading.append(line.name(), html("span", { class: "value" }, values[index], note));
    if (line.points.includes(points[index])) marks.append(dot(line, x.at(at), y.at(value), 3.5));
  }
  reading.hidden = false;
  const room = reading.parentNode.clientWidth - reading.offsetWidth;
  reading.style.left = `${Math.min((left / CHART.width) * reading.parentNode.clientWidth, room)}px`;
}

drawCurves();
