// The slope chart: accuracy at each attempt with its interval, a line a method, named at its end.

const LABEL = 34; // pixels that a label takes, two lines

function drawSlope(figure, group) {
  const rows = group.rows.filter((row) => row.accuracy.some(Boolean));
  const width = Math.max(300, figure.clientWidth);
  const narrow = width < 560;
  const left = narrow ? 34 : 46;
  const right = width - (narrow ? 150 : 270);
  const top = 26;
  const height = Math.max(narrow ? 220 : 250, rows.length * LABEL + 10);
  const last = Math.max(2, group.turns);
  const x = (turn) => left + 24 + ((right - left - 34) * (turn - 1)) / (last - 1);
  const [low, high, step] = scaleOf(rows);
  const y = (value) => top + height - ((value - low) / (high - low)) * height;
  const chart = svg("svg", { viewBox: `0 0 ${width} ${top + height + 30}`, width, height: top + height + 30, role: "img" });
  chart.append(svg("title", {}, "Accuracy at each attempt, with 95 % intervals"));
  for (let value = low; value <= high; value += step) {
    chart.append(svg("line", { x1: left, x2: right, y1: y(value), y2: y(value), class: "grid" }));
    chart.append(svg("text", { x: left - 8, y: y(value) + 4, class: "tick end" }, `${value}`));
  }
  for (let turn = 1; turn <= group.turns; turn++) {
    chart.append(svg("text", { x: x(turn), y: top + height + 22, class: "tick middle" }, narrow ? `t${turn}` : `attempt ${turn}`));
  }
  chart.append(svg("text", { x: left - 8, y: 12, class: "tick" }, "right, % of all problems"));
  const wanted = rows.map((row) => y(row.accuracy.filter(Boolean).at(-1).value));
  const places = spread(wanted, LABEL, top, top + height);
  const ordered = rows.map((row, i) => ({ row, i })).sort((a, b) => b.row.baseline - a.row.baseline);
  for (const { row, i } of ordered) {
    chart.append(lineOf(row, { x: (turn) => x(turn) + 3 * (i - (rows.length - 1) / 2), y, right, label: places[i], narrow, group }));
  }
  figure.replaceChildren(chart);
}

function scaleOf(rows) {
  const points = rows.flatMap((row) => row.accuracy.filter(Boolean));
  const from = Math.min(...points.map((point) => point.low));
  const to = Math.max(...points.map((point) => point.high));
  const step = [1, 2, 5, 10, 20].find((one) => (to - from) / one <= 7) || 20;
  const low = Math.max(0, Math.floor(from / step) * step);
  return [low, Math.max(low + step, Math.min(100, Math.ceil(to / step) * step)), step];
}

/** Places as near to the wanted ones as can be with `gap` between them, inside [from, to]. */
function spread(wanted, gap, from, to) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const clusters = [];
  for (const i of order) {
    let next = { members: [i], centre: wanted[i] };
    while (clusters.length && next.centre - clusters.at(-1).centre < (gap * (next.members.length + clusters.at(-1).members.length)) / 2) {
      const before = clusters.pop();
      const members = [...before.members, ...next.members];
      next = { members, centre: members.reduce((sum, one) => sum + wanted[one], 0) / members.length };
      const half = (gap * members.length) / 2;
      next.centre = Math.min(Math.max(next.centre, from + half - gap / 2), to - half + gap / 2);
    }
    clusters.push(next);
  }
  const places = [];
  for (const { members, centre } of clusters) {
    members.forEach((i, rank) => (places[i] = centre + gap * (rank - (members.length - 1) / 2)));
  }
  return places;
}

function lineOf(row, { x, y, right, label, narrow, group }) {
  const points = row.accuracy.map((point, i) => point && [x(i + 1), y(point.value), y(point.high), y(point.low)]).filter(Boolean);
  const last = points.at(-1);
  const line = svg("a", { class: row.baseline ? "line baseline" : "line", href: addressOf({ ...DEFAULTS, view: "read", group: group.key, method: row.label }) });
  const colour = row.baseline ? "var(--baseline)" : `var(--series-${row.colour.slice(1).toLowerCase()}, ${row.colour})`;
  line.style.setProperty("--colour", colour);
  const paint = { stroke: colour, fill: "none" };
  for (const [at, , high, low] of points) line.append(svg("line", { x1: at, x2: at, y1: high, y2: low, ...paint, class: "interval" }));
  line.append(svg("polyline", { points: points.map(([at, value]) => `${at},${value}`).join(" "), ...paint, class: "stroke" }));
  for (const [at, value] of points) line.append(svg("circle", { cx: at, cy: value, r: 4, fill: colour }));
  line.append(svg("polyline", { points: `${last[0] + 6},${last[1]} ${right + 2},${last[1]} ${right + 14},${label} ${right + 18},${label}`, ...paint, class: "leader" }));
  const accuracies = row.accuracy.filter(Boolean);
  const figures = [accuracies[0], ...(accuracies.length > 1 ? [accuracies.at(-1)] : [])].map((one) => one.text).join(" → ");
  const most = narrow ? 16 : 30;
  const name = row.label.length > most ? row.label.slice(0, most - 1) + "…" : row.label;
  const where = group.turns > 2 ? " at attempt 2" : "";
  const below = row.gain ? `${row.gain.text} over base${where}` + (narrow ? "" : ` (${row.gain.interval.replace(", ", " to ")})`) : row.baseline ? "baseline" : "";
  line.append(
    svg("text", { x: right + 22, y: label - 2, class: "name" }, name, svg("tspan", { class: "value", dx: 7 }, narrow ? "" : figures)),
    svg("text", { x: right + 22, y: label + 13, class: "gain" }, narrow ? `${figures}${row.gain ? `  ${row.gain.text}` : ""}` : below),
    svg("title", {}, `${row.label}: ${figures}${below ? ", " + below : ""}`),
  );
  return line;
}
