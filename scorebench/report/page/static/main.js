// Starts the page, follows its address, and listens to the keyboard.

const currentGroup = () => groupOf(state.group);

function show() {
  readAddress();
  const group = currentGroup();
  const reading = state.view === "read";
  byId("pick-group").value = group.key;
  byId("overview").hidden = reading;
  byId("reader").hidden = !reading;
  document.body.classList.toggle("reader-open", reading);
  if (!reading) document.body.classList.remove("reading");
  byId("to-overview").href = addressOf({ ...DEFAULTS, group: state.group });
  byId("to-reader").href = addressOf({ ...DEFAULTS, view: "read", group: state.group });
  for (const [id, here] of [["to-overview", !reading], ["to-reader", reading]]) {
    if (here) byId(id).setAttribute("aria-current", "page");
    else byId(id).removeAttribute("aria-current");
  }
  document.title = reading ? `Episodes: ${group.task}, scorebench` : `${group.task}, scorebench`;
  if (reading) showReader();
  else showOverview(group);
}

/** Goes to the next (1) or the previous (-1) episode of the list. */
function move(step) {
  const place = listed.indexOf(shownEpisode());
  const next = listed[Math.min(Math.max(place + step, 0), listed.length - 1)];
  if (next) go({ episode: nameOf(next) }, false);
}

const KEYS = {
  j: () => state.view === "read" && move(1),
  k: () => state.view === "read" && move(-1),
  d: () => go({ diff: state.diff === "on" ? "off" : "on" }, false),
  r: () => go({ ...DEFAULTS, group: state.group, view: state.view === "read" ? "overview" : "read" }),
  "/": () => {
    if (state.view !== "read") go({ view: "read" }, false);
    byId("search").focus();
  },
  "?": () => byId("help").showModal(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.key === "Escape") document.activeElement.blur();
  else if (!/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName) && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

function turnTheme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

let waiting = 0;
function onSearch() {
  clearTimeout(waiting);
  waiting = setTimeout(() => go({ q: byId("search").value, episode: "" }, false), 150);
}

async function start() {
  await readIndex();
  byId("pick-group").addEventListener("change", (event) => go({ ...DEFAULTS, view: state.view, group: event.target.value }));
  byId("theme").addEventListener("click", turnTheme);
  byId("help-button").addEventListener("click", KEYS["?"]);
  byId("search").addEventListener("input", onSearch);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("list").addEventListener("scroll", drawRows, { passive: true });
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", show);
  addEventListener("resize", () => (state.view === "read" ? drawRows() : showOverview(currentGroup())));
  show();
  document.documentElement.dataset.ready = "yes";
}

start();
