// One episode: the problem, the attempts beside each other, what was said between them, and the same problem elsewhere.

let drawing = 0;

async function showDetail(episode) {
  const run = ++drawing;
  const detail = byId("detail");
  if (!episode) {
    detail.replaceChildren(element("p", { class: "quiet nothing" }, state.episode ? "This episode is not on this page." : listed.length ? "" : "No episode passes these filters."));
    return;
  }
  const texts = await textsOf(episode);
  if (run !== drawing) return;
  const same = detail.dataset.name === nameOf(episode);
  detail.replaceChildren(...detailOf(episode, texts));
  detail.dataset.name = nameOf(episode);
  if (!same) detail.scrollTop = 0;
}

function detailOf(episode, texts) {
  const attempts = texts.attempts.map((attempt) => ({ ...attempt, text: texts.messages[attempt.message][1] }));
  return [headOf(episode), problemOf(texts, attempts, instructionOf(currentGroup().key)), attemptsOf(attempts, texts), dialogueOf(texts, attempts), elsewhereOf(episode)].filter(Boolean);
}

function headOf(episode) {
  const about = [episode.method, episode.seed !== null && `seed ${episode.seed}`, ...Object.entries(episode.tags).map(([tag, value]) => (tag === "level" ? `level ${value}` : value))];
  return element("header", { class: "head" },
    element("a", { class: "back", href: addressOf({ episode: "" }) }, "← list"),
    badge(episode.flip),
    element("h2", {}, visible(episode.id), episode.sample ? ` · sample ${episode.sample}` : ""),
    element("p", { class: "quiet" }, visible(about.filter(Boolean).join(" · "))),
    element("span", { class: "steps" },
      element("button", { type: "button", title: "Previous (k)", "aria-label": "Previous", onclick: () => move(-1) }, "↑"),
      element("button", { type: "button", title: "Next (j)", "aria-label": "Next", onclick: () => move(1) }, "↓"),
      element("a", { class: "permanent", href: addressOf({ episode: nameOf(episode) }), title: "A link to this episode" }, "link")));
}

function problemOf(texts, attempts, instruction) {
  const first = attempts.length ? attempts[0].message : texts.messages.length;
  const asked = texts.messages.slice(0, first).filter(([role]) => role === "user").at(-1);
  const reference = texts.reference;
  const shared = asked && asked[1].startsWith(instruction) ? instruction : ""; // what all prompts begin with
  return element("section", { class: "problem" },
    element("h3", {}, "Problem"),
    shared ? element("details", { class: "instruction" }, element("summary", {}, "Instruction, the same for all"), element("div", { class: "prose" }, visible(shared.trim()))) : null,
    asked ? drawReply(readReply(asked[1].slice(shared.length))) : element("p", { class: "quiet" }, "The prompt is not in the row."),
    reference === null ? null : reference.includes("\n") || reference.length > 200
      ? element("details", { class: "reference" }, element("summary", {}, "Tests"), drawReply([{ kind: "code", text: reference, tokens: codeTokens(reference) }]))
      : element("p", { class: "reference" }, element("span", { class: "tag" }, "reference"), " ", answerText(reference)));
}

const answerText = (text) => (/[\\^_{]/.test(text) && text.length < 400 ? formula(`$${text}$`) : element("span", { class: "raw" }, visible(text)));

/** The attempts, each with what it has lost or gained against its neighbour. */
function attemptsOf(attempts, texts) {
  const parts = attempts.map((attempt) => readReply(attempt.text, attempt));
  const keys = parts.map((some) => some.flatMap((part) => part.tokens.map((token) => token.key)));
  const pairs = keys.slice(1).map((after, i) => differences(keys[i], after));
  const on = state.diff === "on" && attempts.length > 1;
  const columns = attempts.map((attempt, i) => {
    const before = i > 0 ? pairs[i - 1][1] : null;
    const changed = on ? (i === 0 ? pairs[0][0] : before) : null;
    return element("div", { class: `attempt ${attempt.outcome}` },
      verdictOf(attempt, i + 1, texts.reference),
      i > 0 && attempt.text === attempts[i - 1].text ? element("p", { class: "same" }, "The same text as before.") : null,
      element("div", { class: "reply" }, drawReply(parts[i], changed, i === 0 ? "gone" : "come")));
  });
  return element("section", { class: "attempts" },
    element("h3", {}, "Attempts", attempts.length > 1 ? element("label", { class: "switch" },
      switchOf(), " mark differences ", element("mark", { class: "gone" }, "only in 1"), " ", element("mark", { class: "come" }, "new")) : null),
    element("div", { class: "columns", "data-count": Math.min(attempts.length, 3) }, columns));
}

function switchOf() {
  const box = element("input", { type: "checkbox", id: "diff-switch", checked: state.diff === "on" });
  box.addEventListener("change", () => go({ diff: state.diff === "on" ? "off" : "on" }, false));
  return box;
}

function verdictOf(attempt, number, reference) {
  const outcome = { pass: "● right", fail: "○ wrong", error: "✕ not graded" }[attempt.outcome];
  const program = attempt.answer && attempt.answer.includes("\n");
  const reading = { stated: "stated as asked", loose: "read by a looser rule", none: "no answer stated" }[attempt.reading];
  const facts = [
    !program && ["answer", attempt.answer === null ? element("span", { class: "quiet" }, "none") : element("span", { class: "answer" }, answerText(attempt.answer))],
    !program && reference !== null && reference.length <= 200 && ["reference", answerText(reference)],
    attempt.rule && ["rule", visible(attempt.rule)],
    reading && ["reading", reading],
    attempt.echo && ["echo", "the answer stands in the problem word for word"],
    attempt.detail && ["detail", visible(attempt.detail)],
    ["length", `${attempt.tokens.toLocaleString("en")} tokens` + (attempt.finish === "length" ? ", cut off at the limit" : attempt.finish === "given" ? ", given" : "")],
  ].filter(Boolean);
  return element("header", { class: "verdict" },
    element("h4", {}, `Attempt ${number}`, element("span", { class: "outcome" }, outcome)),
    element("dl", {}, facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))));
}

/** Every message in order, folded: system prompts, instructions and reviews stand here. */
function dialogueOf(texts, attempts) {
  const numbers = new Map(attempts.map((attempt, i) => [attempt.message, i + 1]));
  const between = texts.messages.filter(([role], i) => role === "assistant" && !numbers.has(i)).length;
  return element("details", { class: "dialogue" },
    element("summary", {}, `Whole dialogue, ${texts.messages.length} messages` + (between ? `, ${between} of them the model's own review` : "")),
    texts.messages.map(([role, text], i) => element("div", { class: `message ${role}` },
      element("h4", {}, numbers.has(i) ? `${role}, attempt ${numbers.get(i)}` : role), drawReply(readReply(text)))));
}

function elsewhereOf(episode) {
  const group = currentGroup();
  const others = group.rows.filter((row) => row.label !== episode.method).map((row) => partnerOf(group.key, episode, row.label)).filter(Boolean);
  if (!others.length) return null;
  return element("section", { class: "elsewhere" }, element("h3", {}, "The same problem by other methods"),
    element("ul", {}, others.map((other) => element("li", {},
      element("a", { href: addressOf({ ...DEFAULTS, view: "read", group: group.key, method: other.method, episode: nameOf(other) }) }, badge(other.flip), " ", visible(other.method))))));
}
