// Results: one group of rows per task; sorting keeps the groups.

const MISSING = "–";

function protocolTexts(protocol) {
  return Object.entries(protocol).map(([name, value]) => `${name}: ${settingText(value)}`);
}

function textColumn(name, valueOf, tag = "td") {
  const text = (row) => [row[name]].flat().join(", ") || MISSING;
  return { name, valueOf, draw: (row) => html(tag, { scope: tag === "th" ? "row" : null }, text(row)) };
}

/** Whether a model is past the trivial rows; the title says which it is not past, and in what. */
function standingColumn() {
  const text = (row) => row.standing && (row.standing.startsWith("past") ? "yes" : row.standing);
  return {
    name: "past trivial rows",
    title: "Better than every trivial row in each paired metric, each distance of sets and each temporal metric that ranks",
    valueOf: text,
    draw: (row) => html("td", { class: "standing" }, text(row) || MISSING),
  };
}

function metricColumn(column) {
  const { group, metric, protocol } = partsOfKey(column.key);
  const number = numberFormat(column.key);
  return {
    name: metric + arrow(column.better),
    detail: [group, protocol].filter(Boolean).join(" "),
    title: [column.key, directionText(column.better), ...protocolTexts(column.protocol)].filter(Boolean).join("\n"),
    isBestHigh: column.better === "max",
    valueOf: (row) => Number(row.cells[column.key]?.mean ?? NaN),
    draw: (row) => numberCell(row.cells[column.key], number),
  };
}

/** Decimals of a column: four digits of its largest value, and one digit of its smallest interval. */
function numberFormat(key) {
  const cells = data.rows.map((row) => row.cells[key]).filter(Boolean);
  const sizes = cells.map((cell) => Math.abs(Number(cell.mean))).filter((size) => size > 0 && Number.isFinite(size));
  const widths = cells.map((cell) => Number(cell.half_width)).filter((width) => width > 0 && Number.isFinite(width));
  const largest = Math.max(...sizes, 0);
  if (largest >= 1e6 || (largest > 0 && largest < 1e-3)) return { text: brief, hasIntervals: widths.length > 0 };
  const decimalsOf = (size, digits) => digits - 1 - Math.floor(Math.log10(size));
  const wanted = Math.max(decimalsOf(largest || 1, 4), widths.length ? decimalsOf(Math.min(...widths), 1) : 0);
  const decimals = Math.min(Math.max(wanted, 0), 6);
  const text = (value) => (Number.isFinite(value) ? value.toFixed(decimals) : String(value));
  return { text, hasIntervals: widths.length > 0 };
}

function numberCell(cell, number) {
  const part = (tag, name, text) => html(tag, { class: name }, text);
  const parts = [part(cell?.best ? "strong" : "span", "mean", cell ? number.text(Number(cell.mean)) : MISSING)];
  if (isNumber(cell?.half_width)) parts.push(part("span", "half", `± ${number.text(Number(cell.half_width))}`));
  else if (number.hasIntervals) parts.push(html("span", { class: "half no-half", "aria-hidden": "true" }, `± ${number.text(0)}`));
  if (isNumber(cell?.real)) parts.push(part("small", "real", `real ${number.text(Number(cell.real))}`));
  const title = cell?.values.map((value, index) => `seed ${cell.seeds[index] ?? "?"}: ${value}`).join("\n");
  return html("td", { class: "number", title }, html("div", {}, ...parts));
}

function drawResults() {
  if (data.rows.length === 0) {
    byId("results-table").append(html("p", { class: "nothing" }, "None of these runs has results."));
    byId("protocols").hidden = true;
    return;
  }
  const columns = [
    textColumn("variant", (row) => row.variant, "th"),
    textColumn("given", (row) => row.given),
    textColumn("seeds", (row) => row.seeds.length),
    ...(data.rows.some((row) => row.standing) ? [standingColumn()] : []),
    ...data.columns.map(metricColumn),
  ];
  const groups = [...groupedBy(data.rows, (row) => row.task)].map(([task, rows]) => taskGroup(task, rows, columns));
  const headers = columns.map((column) => header(column, groups));
  const head = html("thead", {}, html("tr", {}, ...headers));
  byId("results-table").append(html("table", { class: "results" }, head, ...groups.map((group) => group.body)));
  onRunsChanged(() => groups.forEach(hideRows));
  drawProtocols();
}

function taskGroup(task, rows, columns) {
  const heading = html("tr", { class: "task" }, html("th", { scope: "rowgroup", colspan: columns.length }, html("span", {}, task)));
  const drawn = rows.map((row) => ({ row, node: html("tr", {}, ...columns.map((column) => column.draw(row))) }));
  return { body: html("tbody", {}, heading, ...drawn.map(({ node }) => node)), drawn };
}

function hideRows({ body, drawn }) {
  for (const { row, node } of drawn) node.hidden = !isShown(row);
  body.hidden = drawn.every(({ node }) => node.hidden);
}

function header(column, groups) {
  const button = html("button", { type: "button", title: column.title }, column.name);
  if (column.detail) button.append(html("small", {}, column.detail));
  const node = html("th", { scope: "col" }, button);
  button.addEventListener("click", () => {
    const opposite = { ascending: "descending", descending: "ascending" };
    const order = opposite[node.getAttribute("aria-sort")] ?? (column.isBestHigh ? "descending" : "ascending");
    for (const other of node.parentNode.children) other.removeAttribute("aria-sort");
    node.setAttribute("aria-sort", order);
    for (const { body, drawn } of groups) body.append(...sorted(drawn, column, order).map((entry) => entry.node));
  });
  return node;
}

function sorted(drawn, column, order) {
  const sign = order === "ascending" ? 1 : -1;
  const isMissing = (value) => Number.isNaN(value) || value === "";
  return [...drawn].sort((one, other) => {
    const [a, b] = [column.valueOf(one.row), column.valueOf(other.row)];
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    return sign * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  });
}

/** List the protocols: the headers' titles, which show them, need a mouse. */
function drawProtocols() {
  const entries = data.columns.flatMap((column) => [
    html("dt", {}, column.key),
    html("dd", {}, [directionText(column.better), ...protocolTexts(column.protocol)].filter(Boolean).join(", ")),
  ]);
  byId("protocols").append(html("dl", {}, ...entries));
}

// Settings

function settingText(value) {
  if (value === undefined) return MISSING;
  if (value === "") return '""';
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function drawSettings() {
  const runs = [...data.runs.keys()].filter((run) => shownRuns.has(run));
  const names = [...new Set(runs.flatMap((run) => Object.keys(data.runs[run].config)))];
  const differing = new Set(names.filter((name) => differs(name, runs)));
  const rows = names.filter((name) => differing.has(name) || byId("all-settings").checked);
  byId("settings-count").textContent = `${differing.size} of ${names.length} differ between the runs shown`;
  const head = html("tr", {}, html("th", { scope: "col" }, "setting"), ...runs.map((run) => html("th", { scope: "col" }, nameOf(run))));
  const body = rows.map((name) => settingRow(name, runs, differing.has(name)));
  byId("settings-table").replaceChildren(html("table", { class: "settings" }, html("thead", {}, head), html("tbody", {}, ...body)));
  byId("settings-table").hidden = rows.length === 0;
}

function differs(name, runs) {
  return new Set(runs.map((run) => JSON.stringify(data.runs[run].config[name]))).size > 1;
}

function settingRow(name, runs, isDiffering) {
  const cells = runs.map((run) => html("td", {}, settingText(data.runs[run].config[name])));
  return html("tr", { class: isDiffering ? "differs" : null }, html("th", { scope: "row" }, name), ...cells);
}

drawResults();
drawSettings();
byId("all-settings").addEventListener("change", drawSettings);
onRunsChanged(drawSettings);
