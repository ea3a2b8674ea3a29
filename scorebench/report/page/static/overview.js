// The first view: the chart, the table and the flips of one group.

function showOverview(group) {
  for (const part of document.querySelectorAll("#overview [data-group]:not(a)")) part.hidden = part.dataset.group !== group.key;
  const shown = document.querySelector(`.group[data-group="${CSS.escape(group.key)}"]`);
  drawSlope(shown.querySelector(".slope"), group);
  for (const link of shown.querySelectorAll(".flip-link")) {
    link.href = addressOf({ ...DEFAULTS, view: "read", group: group.key, method: link.dataset.method, flip: link.dataset.flip });
  }
  showFlips(group);
}

/** The two methods of the flips: those of the address, else the first one that is not the baseline, and the baseline. */
function chosenMethods(group) {
  const labels = group.rows.map((row) => row.label);
  const base = (group.rows.find((row) => row.baseline) || group.rows[0]).label;
  const other = labels.includes(state.right) ? state.right : base;
  const first = labels.find((label) => label !== other) || other;
  return [labels.includes(state.left) ? state.left : first, other];
}

function showFlips(group) {
  const [method, other] = chosenMethods(group);
  for (const [id, value, name] of [["flips-method", method, "left"], ["flips-other", other, "right"]]) {
    const select = byId(id);
    select.replaceChildren(...group.rows.map((row) => element("option", { value: row.label, selected: row.label === value }, row.label)));
    select.onchange = () => go({ [name]: select.value }, false);
  }
  const panels = group.turns > 1 ? [...new Set([other, method])].map((label) => ownFlips(group, label)) : [];
  if (method !== other) panels.push(crossFlips(group, method, other));
  byId("matrices").replaceChildren(...panels);
}

/** The attempt at which two methods are held against each other. */
const judged = (group) => `attempt ${Math.min(2, group.turns)}`;

function ownFlips(group, label) {
  const counts = {};
  for (const episode of episodesOf(group.key)) if (episode.method === label) counts[episode.flip] = (counts[episode.flip] || 0) + 1;
  const to = (flip) => addressOf({ ...DEFAULTS, view: "read", group: group.key, method: label, flip });
  return matrix(label, "attempt 1", "attempt 2", counts, to);
}

function crossFlips(group, label, other) {
  const counts = {};
  for (const episode of episodesOf(group.key)) {
    if (episode.method !== label) continue;
    const cell = cellOf(group.key, episode, other) || "error";
    counts[cell] = (counts[cell] || 0) + 1;
  }
  const to = (cell) => addressOf({ ...DEFAULTS, view: "read", group: group.key, method: label, versus: other, cell });
  return matrix(`${label} against ${other}`, `${other}, ${judged(group)}`, `${label}, ${judged(group)}`, counts, to);
}

/** Right and wrong twice; rows are what came before (or the other method), columns what came after (or this method). */
function matrix(title, before, after, counts, to) {
  const all = ["cc", "ci", "ic", "ii"].reduce((sum, kind) => sum + (counts[kind] || 0), 0);
  const cell = (kind) => {
    const count = counts[kind] || 0;
    const inside = [
      element("span", { class: "number" }, count.toLocaleString("en")),
      element("span", { class: "share" }, all ? `${((100 * count) / all).toFixed(1)} %` : ""),
      element("span", { class: "kind " + kind }, `${KINDS[kind].sign} ${KINDS[kind].short}`),
    ];
    return element("td", { class: kind }, count ? element("a", { href: to(kind), "data-cell": kind }, inside) : element("span", { class: "empty" }, inside));
  };
  const line = (name, ...kinds) => element("tr", {}, element("th", { scope: "row" }, name), kinds.map(cell));
  return element("table", { class: "matrix", "data-title": title },
    element("caption", {}, title, counts.error ? element("small", {}, `${counts.error} not graded or without a partner`) : null),
    element("thead", {},
      element("tr", {}, element("td", {}), element("th", { colspan: 2, class: "axis" }, after)),
      element("tr", {}, element("th", { class: "axis" }, before), element("th", { scope: "col" }, "right"), element("th", { scope: "col" }, "wrong"))),
    element("tbody", {}, line("right", "cc", "ci"), line("wrong", "ic", "ii")));
}
