// The second view: the list of episodes that pass the filters, and the one that is looked at.

const ROW = 52; // pixels, as in style.css
let listed = []; // the episodes that pass all filters
let found = new Map(); // what a search found: a line of text by episode
let search = { words: "", running: 0 };

function passes(episode, without = "") {
  if (without !== "method" && state.method && episode.method !== state.method) return false;
  if (without !== "flip" && state.flip && episode.flip !== state.flip) return false;
  if (without !== "marks" && state.marks && !state.marks.split(",").every((mark) => episode.flags & MARKS[mark]?.[0])) return false;
  if (without !== "subject" && state.subject && String(episode.tags.subject) !== state.subject) return false;
  if (without !== "level" && state.level && String(episode.tags.level) !== state.level) return false;
  if (state.versus && cellOf(currentGroup().key, episode, state.versus) !== state.cell) return false;
  return !state.q || found.has(episode);
}

async function showReader() {
  const group = currentGroup();
  const every = episodesOf(group.key);
  if (byId("search") !== document.activeElement) byId("search").value = state.q;
  showChips(every);
  showSelects(group, every);
  showAgainst();
  if (state.q && search.words !== state.q + group.key) await searchTexts(every, group.key);
  else refreshList();
}

function refreshList() {
  const every = episodesOf(currentGroup().key);
  listed = every.filter((episode) => passes(episode));
  byId("count").textContent = `${listed.length.toLocaleString("en")} of ${every.length.toLocaleString("en")} episodes` + (search.running ? ", searching …" : "");
  byId("rows").style.height = `${listed.length * ROW}px`;
  showChips(every);
  const chosen = shownEpisode();
  document.body.classList.toggle("reading", Boolean(state.episode));
  if (chosen) scrollTo(listed.indexOf(chosen));
  drawRows();
  showDetail(chosen);
}

/** The episode of the address; without one, the first of the list where both fit beside each other. */
function shownEpisode() {
  if (state.episode) return episodesOf(currentGroup().key).find((episode) => nameOf(episode) === state.episode);
  return matchMedia("(min-width: 900px)").matches ? listed[0] : undefined;
}

function scrollTo(place) {
  const list = byId("list");
  if (place < 0) return;
  if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
  else if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
}

/** Only the rows that can be seen are in the document. */
function drawRows() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(listed.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
  const chosen = shownEpisode();
  byId("rows").replaceChildren(...listed.slice(first, last).map((episode, i) => {
    const row = element("a", { class: "row", href: addressOf({ episode: nameOf(episode) }), "aria-current": episode === chosen ? "true" : null },
      badge(episode.flip),
      element("span", { class: "id" }, visible(shortId(episode.id)) + (episode.sample ? ` · sample ${episode.sample}` : "")),
      element("span", { class: "under" }, found.get(episode) && state.q ? marked(found.get(episode)) : underOf(episode)));
    row.style.top = `${(first + i) * ROW}px`;
    return row;
  }));
}

const shortId = (id) => id.replace(/^embedded\//, "");
const underOf = (episode) => visible([
  !state.method && episode.method, episode.seed !== null && `seed ${episode.seed}`, episode.tags.subject,
  episode.tags.level !== undefined && `level ${episode.tags.level}`,
].filter(Boolean).join(" · "));

function marked([before, hit, after]) {
  return [visible(before), element("mark", {}, visible(hit)), visible(after)];
}

// Filters

function chip(name, value, label, count, classes) {
  const on = name === "marks" ? state.marks.split(",").includes(value) : state[name] === value;
  const next = name === "marks" ? toggled(value) : on ? "" : value;
  return element("button", { type: "button", class: `chip ${classes || ""}`, "aria-pressed": String(on), "data-filter": value, onclick: () => go({ [name]: next, episode: "" }) },
    label, element("span", { class: "n" }, count.toLocaleString("en")));
}

function toggled(mark) {
  const marks = new Set(state.marks.split(",").filter(Boolean));
  if (!marks.delete(mark)) marks.add(mark);
  return [...marks].join(",");
}

function showChips(every) {
  const count = (filter, test) => every.reduce((sum, episode) => sum + (passes(episode, filter) && test(episode) ? 1 : 0), 0);
  const there = Object.keys(KINDS).filter((kind) => every.some((episode) => episode.flip === kind));
  byId("flip-chips").replaceChildren(...there.map((kind) =>
    chip("flip", kind, [element("span", { class: "kind " + kind }, KINDS[kind].sign), ` ${kind.length === 2 && kind[0] === kind[1] ? KINDS[kind].words : KINDS[kind].short}`], count("flip", (episode) => episode.flip === kind))));
  const marks = Object.entries(MARKS).filter(([, [bit]]) => every.some((episode) => episode.flags & bit));
  byId("flag-chips").replaceChildren(...marks.map(([mark, [bit, label]]) => chip("marks", mark, label, count("", (episode) => episode.flags & bit))));
  byId("more-filters").hidden = false;
}

function showSelects(group, every) {
  const values = (of) => [...new Set(every.map(of).filter((value) => value !== undefined))].sort((a, b) => (a > b ? 1 : -1)).map(String);
  const choices = {
    method: group.rows.map((row) => row.label),
    subject: values((episode) => episode.tags.subject),
    level: values((episode) => episode.tags.level),
  };
  byId("selects").replaceChildren(...Object.entries(choices).filter(([, options]) => options.length > 1).map(([name, options]) => {
    const select = element("select", { id: `filter-${name}`, "aria-label": name },
      element("option", { value: "" }, `any ${name}`), options.map((option) => element("option", { value: option, selected: state[name] === option }, visible(option))));
    select.addEventListener("change", () => go({ [name]: select.value, episode: "" }));
    return select;
  }));
  if (state.method || state.subject || state.level || state.marks) byId("more-filters").open = true;
}

function showAgainst() {
  byId("against").hidden = !state.versus;
  if (!state.versus) return;
  const words = { c: "right", i: "wrong" };
  byId("against").replaceChildren(`At ${judged(currentGroup())} ${state.versus} is ${words[state.cell[0]]}, and ${state.method} is ${words[state.cell[1]]}. `,
    element("a", { href: addressOf({ versus: "", cell: "" }) }, "Show all"));
}

// Search

/** Looks for the words in all texts of a group, block by block; the list grows while it goes on. */
async function searchTexts(every, key) {
  const run = ++searchTexts.number;
  search = { words: state.q + key, running: run };
  found = new Map();
  const pattern = new RegExp(state.q.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
  const byBlock = Map.groupBy(every, (episode) => episode.block);
  let shown = performance.now();
  for (const number of byBlock.keys()) {
    const texts = await block(number);
    if (search.running !== run) return;
    for (const episode of byBlock.get(number)) lookIn(episode, texts, pattern);
    if (performance.now() - shown > 300) {
      refreshList();
      shown = performance.now();
    }
  }
  search.running = 0;
  refreshList();
}
searchTexts.number = 0;

function lookIn(episode, texts, pattern) {
  const { messages, attempts } = texts.episodes[episode.at];
  const places = [episode.id, ...messages.map(([, text]) => text).reverse(), ...attempts.map((attempt) => attempt.answer || "")];
  for (const text of places) {
    const hit = pattern.exec(text);
    if (!hit) continue;
    const from = Math.max(0, hit.index - 18);
    found.set(episode, [text.slice(from, hit.index), hit[0], text.slice(hit.index + hit[0].length, hit.index + 80)]);
    return;
  }
}
