// Frames: one chart per curve of a paired metric over the frames of a clip, one line per row of the results.

const FRAMES = { name: "frames after the context", first: 1, line: "variant", placeText: (frame) => `at frame ${frame}` };

function drawFrames() {
  const keys = [...new Set(data.rows.flatMap((row) => Object.keys(row.curves)))];
  const charts = keys.map((key) => chart(key, rowLines(key), FRAMES));
  const nothing = html("p", { class: "nothing" }, "None of these runs has values for each frame.");
  byId("frame-charts").replaceChildren(...(keys.length ? charts : [nothing]));
}

/** Lines of the shown rows, in the style of their first run. */
function rowLines(key) {
  const rows = data.rows.filter((row) => key in row.curves && isShown(row));
  return rows.map((row) => lineThrough(row.curves[key], runsOf(row), () => nameOfRow(row)));
}

function nameOfRow(row) {
  const text = [row.variant, row.given].filter(Boolean).join(", given ");
  return html("span", { class: "run-name" }, swatch(runsOf(row)[0]), html("span", {}, text));
}

drawFrames();
onRunsChanged(drawFrames);
