// Frames: one chart per paired metric over the frames of a clip. A row of the results has a line, the mean over draws,
// in a band from its worst to its best draw.

const FRAMES = { name: "frames after the context", first: 1, line: "variant", placeText: (frame) => `at frame ${frame}` };

function drawFrames() {
  const keys = [...new Set(data.rows.flatMap((row) => Object.keys(row.curves).filter((key) => !isEndOfBand(key, row))))];
  const charts = keys.map((key) => chart(key, rowLines(key), FRAMES));
  const nothing = html("p", { class: "nothing" }, "None of these runs has values for each frame.");
  byId("frame-charts").replaceChildren(...(keys.length ? charts : [nothing]));
}

/** Lines of the shown rows, in the style of their first run. */
function rowLines(key) {
  const rows = data.rows.filter((row) => key in row.curves && isShown(row));
  return rows.map((row) => {
    return { ...lineThrough(row.curves[key], runsOf(row), () => nameOfRow(row)), band: bandOf(key, row) };
  });
}

/** val/psnr@8x10f, _best -> val/psnr_best@8x10f */
function keyOfDraw(key, end) {
  const [measured, ...protocol] = key.split("@");
  return [measured + end, ...protocol].join("@");
}

/** Whether a curve is the best or the worst draw of another curve, so that it is drawn as its band. */
function isEndOfBand(key, row) {
  const [measured, ...protocol] = key.split("@");
  const mean = [measured.replace(/_(best|worst)$/, ""), ...protocol].join("@");
  return mean !== key && mean in row.curves;
}

/** [frame, lower, upper] for every frame that both curves have; empty without several draws. */
function bandOf(key, row) {
  const [best, worst] = ["_best", "_worst"].map((end) => new Map(row.curves[keyOfDraw(key, end)]));
  const frames = [...best.keys()].filter((frame) => worst.has(frame));
  const ends = frames.map((frame) => [Number(best.get(frame)), Number(worst.get(frame))]);
  return frames.map((frame, index) => [frame, Math.min(...ends[index]), Math.max(...ends[index])]);
}

function nameOfRow(row) {
  const text = [row.variant, row.given].filter(Boolean).join(", given ");
  return html("span", { class: "run-name" }, swatch(runsOf(row)[0]), html("span", {}, text));
}

drawFrames();
onRunsChanged(drawFrames);
