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
  for (const part of parts) if (part.kind === "prose") part.text = part.text.replace(/^\s*\n/, "").trimEnd();
  return parts.filter((part) => part.text.trim());
}

/** Tokens of a part: {text, key, look}. key: what two tokens are compared by; look: how they are drawn. */
function tokensOf(part) {
  if (part.kind === "code") return codeTokens(part.text);
  const tokens = [];
  let from = 0;
  for (const found of part.text.matchAll(MATH)) {
    if (isPrice(found[0])) continue;
    const end = found.index + found[0].length;
    const space = isDisplay(found[0]) ? /^\s*/.exec(part.text.slice(end))[0] : ""; // it stands on a line of its own
    tokens.push(...words(part.text.slice(from, found.index)), { text: found[0] + space, key: found[0], look: "math" });
    from = end + space.length;
  }
  tokens.push(...words(part.text.slice(from)));
  return tokens;
}

const isDisplay = (text) => /^(\$\$|\\\[|\\begin)/.test(text);
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
  const display = isDisplay(text);
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

/** Neighbours that look the same become one text node, and neighbours that are marked one mark; so the tree stays small. */
function drawTokens(tokens, marks, side) {
  const drawn = [];
  for (let i = 0; i < tokens.length; ) {
    const start = i;
    while (i < tokens.length && Boolean(marks[i]) === Boolean(marks[start])) if (/\n\s*$/.test(tokens[i++].text) && marks[start]) break;
    const lot = tokens.slice(start, i);
    if (!marks[start]) drawn.push(...drawLooks(lot));
    else {
      const last = lot.at(-1);
      const bare = last.text.trimEnd(); // the space behind a marked word is not marked
      drawn.push(element("mark", { class: side }, drawLooks([...lot.slice(0, -1), { ...last, text: bare }])), last.text.slice(bare.length));
    }
  }
  return drawn;
}

function drawLooks(tokens) {
  const drawn = [];
  let run = null;
  for (const token of tokens) {
    const look = token.look + Boolean(token.answer);
    if (run && run.look === look && token.look !== "math") run.text += token.text;
    else drawn.push((run = { look, kind: token.look, text: token.text, answer: token.answer }));
  }
  return drawn.map(drawRun);
}

function drawRun({ kind, text, answer }) {
  const bare = answer ? text.trimEnd() : text;
  const inside = kind === "math" ? formula(bare.trimEnd()) : visible(bare);
  const classes = [answer && "answer", ["comment", "string", "number", "keyword"].includes(kind) && kind].filter(Boolean);
  if (!classes.length) return inside;
  const made = element("span", { class: classes.join(" ") }, inside);
  if (bare === text) return made;
  const both = document.createDocumentFragment();
  both.append(made, text.slice(bare.length));
  return both;
}
