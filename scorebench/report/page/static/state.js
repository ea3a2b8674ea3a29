// The state of the page is its address: what stands behind "#" says which view, filters and episode are shown.

const DEFAULTS = {
  view: "overview", group: "", method: "", flip: "", marks: "", subject: "", level: "", q: "",
  versus: "", cell: "", episode: "", left: "", right: "", diff: "on",
};
let state = { ...DEFAULTS };

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  state = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) if (found.has(name)) state[name] = found.get(name);
}

/** The address of the present state with some changes; what has its default value is left out. */
function addressOf(changes) {
  const next = { ...state, ...changes };
  const words = new URLSearchParams();
  for (const name of Object.keys(DEFAULTS)) if (next[name] !== DEFAULTS[name]) words.set(name, next[name]);
  return "#" + words;
}

/**
 * Changes the state, and shows it before anything else can be clicked: the event of a changed address comes later, and a
 * quick second click would begin from the state before. keep: whether the browser's "back" returns to the state before.
 */
function go(changes, keep = true) {
  const address = addressOf(changes);
  if (address === (location.hash || "#")) return;
  if (keep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  show();
}

// Elements. Text of strangers becomes text nodes here, and nothing else.

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "onclick") made.addEventListener("click", value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const KINDS = {
  ic: { sign: "▲", short: "i→c", words: "wrong, then right" },
  ci: { sign: "▼", short: "c→i", words: "right, then wrong" },
  cc: { sign: "●", short: "c→c", words: "stayed right" },
  ii: { sign: "○", short: "i→i", words: "stayed wrong" },
  c: { sign: "●", short: "right", words: "right" },
  i: { sign: "○", short: "wrong", words: "wrong" },
  error: { sign: "✕", short: "error", words: "not graded" },
};
const MARKS = { cut: [1, "cut off"], none: [2, "no answer stated"], loose: [8, "loosely stated"], echo: [4, "echo of the problem"] };

function badge(kind) {
  return element("span", { class: "kind " + kind, title: KINDS[kind].words }, KINDS[kind].sign + " " + KINDS[kind].short);
}
