// Published values: one table per protocol, apart from the results.

function drawPublished() {
  byId("published-tables").append(...data.published.flatMap(publishedTable));
  for (const node of [byId("published"), document.querySelector("a[href='#published']")]) {
    node.hidden = data.published.length === 0;
  }
}

function publishedTable(table) {
  const title = html("h3", {}, `${table.protocol}: ${table.source}`);
  const remarks = html("ul", { class: "remarks" }, ...table.remarks.map((remark) => html("li", {}, remark)));
  if (table.rows.length === 0) return [title, remarks];
  const head = ["model", "paper", ...table.metrics, "from"].map((name) => {
    return html("th", { scope: "col", class: name in table.better ? "number" : null }, name + arrow(table.better[name]));
  });
  const body = table.rows.map((row) => html("tr", {}, ...publishedCells(row, table.metrics)));
  const grid = html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...body));
  return [title, html("div", { class: "scroller", role: "region", tabindex: 0, "aria-label": table.protocol }, grid), remarks];
}

function publishedCells(row, metrics) {
  const values = metrics.map((metric) => html("td", { class: "number" }, row.values[metric]?.toPrecision(4) ?? MISSING));
  const from = row.checked ? row.source : `${row.source} (unchecked)`;
  const model = row.training ? `${row.model}, ${row.training}` : row.model;
  return [html("th", { scope: "row" }, model), html("td", {}, row.paper), ...values, html("td", {}, from)];
}

drawPublished();
