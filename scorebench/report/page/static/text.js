// Replies as tokens: words, formulas and code. A reply is cut into parts (thought, prose, code block), a part into
// tokens; the difference of two attempts is told by token, and a formula is one token.

const THOUGHT = /<(think|thinking|thought|reasoning)>([\s\S]*?)(?:<\/\1>|$)/gi;
const LOST_OPENING = /^([\s\S]*?)<\/(?:think|thinking|thought|reasoning)>/i;
const FENCE = /^[ \t]*(```+|~~~+)([^\n`]*)\n([\s\S]*?)(?:^[ \t]*\1[^\n]*$|(?![\s\S]))/gm;
const MATH = new RegExp([
  /\$\$[\s\S]{1,2000}?\$\$/, /\\\[[\s\S]{1,2000}?\\\]/, /\\\([\s\S]{1,1000}?\\\)/,
  /\\begin\{(align|aligned|equation|gather|cases|array|[bpv]?matrix)\*?\}[\s\S]{1,2000}?\\end\{\1\*?\}/,
  /\$(?![\s$])(?:\\[\s\S]|[^$\\\n]|\n(?!\n)){1,1000}?\$(?!\d)/, // not "$5 and $6": see isPrice
  /\\boxed\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,200}\}){0,200}\}/,
].map((one) => one.source).join("|"), "g");
const WORD = /[\p{L}\p{N}_]+\s*|\s+|[^\p{L}\p{N}_\s]\s*/gu;
const CODE = /(#[^\n]*\s*)|((?:[rbfu]{0,2})(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)\s*)|(\d[\w.]*\s*)|([A-Za-z_]\w*\s*)|(\s+)|([^\s]\s*)/g;
const KEYWORDS = new Set(("and as assert async await break class continue def del elif else except False finally for from global if " +
  "import in is lambda None nonlocal not or pass raise return True try while with yield match case").split(" "));

/** The parts of a reply in order: {kind: "thought" | "prose" | "code", text, language}. program: as it was extracted. */
function partsOf(text, program) {
  const parts = [];
  const lost = !/<(think|thinking|thought|reasoning)>/i.test(text) && LOST_OPENING.exec(text);
  let from = 0;
  if (lost) {
    parts.push({ kind: "thought", text: lost[1] });
    from = lost[0].length;
  }
  for (const found of text.slice(from).matchAll(THOUGHT)) {
    parts.push(...proseAndCode(text.slice(from, found.index + (lost ? lost[0].length : 0)), program));
    parts.push({ kind: "thought", text: found[2] });
    from = found.index + (lost ? lost[0].length : 0) + found[0].length;
  }
  return [...parts, ...proseAndCode(text.slice(from), program)];
}

function proseAndCode(text, program) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(FENCE)) {
    parts.push({ kind: "prose", text: text.slice(from, found.index) });
    parts.push({ kind: "code", text: found[3].replace(/\n$/, ""), language: found[2].trim() });
    from = found.index + found[0].length;
  }
  const rest = text.slice(from);
  const at = parts.length === 0 && program && program.includes("\n") ? rest.indexOf(program.trim()) : -1;
  if (at >= 0) {
    parts.push({ kind: "prose", text: rest.slice(0, at) }, { kind: "code", text: program.trim(), language: "" });
    parts.push({ kind: "prose", text: rest.slice(at + program.trim().length) });
  } else parts.push({ kind: "prose", text: rest });
  return parts.filter((part) => part.text.trim());
}

/** Tokens of a part: {text, key, look}. key: what two tokens are compared by; look: how they are drawn. */
function tokensOf(part) {
  if (part.kind === "code") return codeTokens(part.text);
  const tokens = [];
  let from = 0;
  for (const found of part.text.matchAll(MATH)) {
    if (isPrice(found[0])) continue;
    tokens.push(...words(part.text.slice(from, found.index)), { text: found[0], key: found[0], look: "math" });
    from = found.index + found[0].length;
  }
  tokens.push(...words(part.text.slice(from)));
  return tokens;
}

const isPrice = (text) => /^\$[^$]*\s\$$/.test(text);
const words = (text) => [...text.matchAll(WORD)].map(([word]) => ({ text: word, key: word.trim() || " ", look: "word" }));

function codeTokens(text) {
  return [...text.matchAll(CODE)].map(([all, comment, string, number, name]) => {
    const look = comment ? "comment" : string ? "string" : number ? "number" : name && KEYWORDS.has(name.trim()) ? "keyword" : "plain";
    return { text: all, key: all.trim() || " ", look };
  });
}

/** Parts with tokens, and marks on those in which the extracted answer stands. */
function readReply(text, verdict) {
  const parts = partsOf(text, verdict && verdict.answer).map((part) => ({ ...part, tokens: part.kind === "thought" ? [] : tokensOf(part) }));
  const answer = verdict && verdict.answer && !verdict.answer.includes("\n") ? verdict.answer.trim() : "";
  if (answer) markAnswer(parts, answer);
  return parts;
}

function markAnswer(parts, answer) {
  for (const part of parts.filter((one) => one.kind === "prose").reverse()) {
    const start = part.text.lastIndexOf(answer);
    if (start < 0) continue;
    let at = 0;
    for (const token of part.tokens) {
      const size = token.text.trimEnd().length;
      token.answer = at < start + answer.length && at + size > start;
      at += token.text.length;
    }
    return;
  }
}

/** Shows what no reader could see: control characters, and those that turn the direction of writing around. */
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (c) => String.fromCharCode(c === "\u007f" ? 0x2421 : 0x2400 + c.charCodeAt(0)))
    .replace(/[\u0080-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

const MACROS = { "\\pmb": "\\boldsymbol{#1}", "\\fcolorbox": "\\boxed{#3}", "\\colorbox": "{#2}", "\\href": "{#2}", "\\url": "\\text{#1}" };

/** A formula as MathML, made by KaTeX; the text itself where KaTeX cannot read it. */
function formula(text) {
  const open = /^(\$\$|\$|\\\[|\\\()/.exec(text);
  const display = Boolean(open && (open[1] === "$$" || open[1] === "\\[")) || text.startsWith("\\begin");
  const source = open ? text.slice(open[1].length, -open[1].length) : text;
  const shown = element("span", { class: display ? "math display" : "math", title: visible(source) });
  try {
    katex.render(source, shown, {
      output: "mathml", displayMode: display, throwOnError: true, strict: "ignore", trust: false,
      maxExpand: 200, maxSize: 20, macros: { ...MACROS },
    });
  } catch {
    shown.className = "raw";
    shown.replaceChildren(visible(text));
  }
  return shown;
}

/** A reply as elements. changed: for each token of all parts in order, whether it is marked; side: "gone" or "come". */
function drawReply(parts, changed, side) {
  const drawn = [];
  let number = 0;
  for (const part of parts) {
    if (part.kind === "thought") drawn.push(foldedThought(part.text));
    else {
      const marks = changed ? part.tokens.map(() => changed[number++]) : [];
      const inside = drawTokens(part.tokens, marks, side);
      drawn.push(part.kind === "code" ? element("pre", { class: "code" }, element("code", {}, inside)) : element("div", { class: "prose" }, inside));
    }
  }
  return drawn;
}

function foldedThought(text) {
  const count = (text.match(/\S+/g) || []).length;
  return element("details", { class: "thought" }, element("summary", {}, `Thought, ${count.toLocaleString("en")} words`), element("div", { class: "prose" }, visible(text.trim())));
}

/** Neighbours that look the same become one text node, so that a long reply stays a small tree. */
function drawTokens(tokens, marks, side) {
  const drawn = [];
  let run = null;
  for (let i = 0; i <= tokens.length; i++) {
    const token = tokens[i];
    const look = token && [token.look, Boolean(marks[i]), Boolean(token.answer)].join();
    if (run && (!token || run.look !== look || token.look === "math")) {
      drawn.push(drawRun(run, side));
      run = null;
    }
    if (!token) break;
    if (run) run.text += token.text;
    else run = { look, kind: token.look, text: token.text, marked: marks[i], answer: token.answer };
  }
  return drawn;
}

function drawRun({ kind, text, marked, answer }, side) {
  const inside = kind === "math" ? formula(text) : visible(text);
  const classes = [marked && side, answer && "answer", kind !== "word" && kind !== "plain" && kind !== "math" && kind].filter(Boolean);
  return classes.length ? element(marked ? "mark" : "span", { class: classes.join(" ") }, inside) : inside;
}
