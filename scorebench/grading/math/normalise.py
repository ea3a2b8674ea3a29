r"""One spelling for what can be spelled in many ways: \dfrac, \left(, 10,\!000, √2, **5**, \textbf{5}, 2\frac12.

The steps run in order. Each has a name, so that a verdict that differs from Math-Verify's own can be put down to the
step that made the difference (tests/grading/math/test_audit.py). A step changes how an answer is written, never what
it says. Text in \text{...} is kept where it holds words; those are read in words.py and units.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction

from scorebench.grading.math.brackets import closing, replaced

_SYMBOLS = {
    "−–—": "-", "×": r"\times ", "·⋅∙": r"\cdot ", "÷": r"\div ", "π": r"\pi ", "∞": r"\infty ", "°": r"\degree ",
    "≤⩽": r"\le ",
    "≥⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "±": r"\pm ", "∓":
    r"\mp ",
    "∅": r"\emptyset ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "φ":
    r"\phi ",
    "ω": r"\omega ", "⟨〈": "(", "⟩〉": ")", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "∠": r"\angle ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "∎■□": "", "“”„": '"', "’‘": "'", "\u2044\u2215": "/",
    "\u200b\u200c\u200d\ufeff": "", "…": r"\ldots ",
    "∖": r"\setminus ",
}  # fmt: skip
_UNICODE = str.maketrans({character: text for characters, text in _SYMBOLS.items() for character in characters})
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}


def normalise(text: str) -> str:
    """The text after all steps; on one line, with single spaces where a space may have a meaning."""
    for step in STEPS.values():
        text = step(text)
    return text


def steps_taken(text: str) -> list[str]:
    """The names of the steps that change a text, spaces apart."""
    taken = []
    for name, step in STEPS.items():
        before, text = text, step(text)
        if "".join(before.split()) != "".join(text.split()):
            taken.append(name)
    return taken


Rewrite = tuple[re.Pattern[str], "str | Callable[[re.Match[str]], str]"]


def _rewriter(*rewrites: tuple[str, str | Callable[[re.Match[str]], str]]) -> Callable[[str], str]:
    """A step that applies regular expressions in order, each once."""
    compiled: list[Rewrite] = [(re.compile(pattern), replacement) for pattern, replacement in rewrites]

    def step(text: str) -> str:
        for pattern, replacement in compiled:
            text = pattern.sub(replacement, text)
        return text

    return step


def _unicode(text: str) -> str:
    """√2, x⁴, ½, ≤ and full-width characters, in LaTeX."""
    text = re.sub(r"[⁰¹²³⁴-⁹⁺⁻⁽⁾ⁿⁱ]+", lambda m: f"^{{{m.group().translate(_SUPERSCRIPTS)}}}", text)
    text = re.sub(r"[₀-₉₊₋]+", lambda m: f"_{{{m.group().translate(_SUBSCRIPTS)}}}", text)
    text = re.sub(r"[½⅓⅔¼¾⅕-⅞⅐⅑⅒]", _vulgar_fraction, text)
    text = re.sub(r"([√∛∜])\s*(?:(\d+(?:\.\d+)?|[A-Za-z])|\()", _root, text)
    text = unicodedata.normalize("NFKC", text.translate(_UNICODE))
    text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def _vulgar_fraction(match: re.Match[str]) -> str:
    value = Fraction(unicodedata.numeric(match.group())).limit_denominator(10)
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _root(match: re.Match[str]) -> str:
    root = _ROOTS[match[1]]
    return f"{root}{{{match[2]}}}" if match[2] else root + "("


_PLAIN_ROOT = re.compile(r"(\\sqrt(?:\[\d+\])?|(?<![\\A-Za-z])sqrt) ?\(")


def _root_brackets(text: str) -> str:
    r"""\sqrt(5) and sqrt(5) as \sqrt{5}."""
    for _ in range(30):
        match = _PLAIN_ROOT.search(text)
        end = closing(text, match.end() - 1) if match else None
        if match is None or end is None:
            break
        root = match[1] if match[1].startswith("\\") else "\\" + match[1]
        text = f"{text[: match.start()]}{root}{{{text[match.end() : end]}}}{text[end + 1 :]}"
    return text


_WRAPPERS = (
    ("$$", "$$"),
    ("$", "$"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("`", "`"),
)
_BOX = re.compile(r"\\(?:boxed|fbox|ensuremath) ?\{|\{")
# A stop at the end of a sentence; "a.m." keeps its own, and "..." is no stop.
_FULL_STOP = re.compile(r"(?<![.\\])(?<!\.[a-z])(?:[.,;:]|\\[,;: ])+$")
_LOOK = re.compile(
    r"\\(?:bm|boldsymbol|mathbf|mathit|mathsf|mathtt|mathnormal|pmb|underline|uline|emph|ensuremath|boxed|fbox|framebox|huge|Huge|LARGE|Large|large"
    r"|displaystyle|cancel|(?:textcolor|colorbox) ?\{[^{}]*\}|bbox(?:\[[^\]]*\])?|color ?\{[^{}]*\} ?) ?\{"
)


_SIMPLE = re.compile(r"[\w.,+\\ -]*")


def _wrappers(text: str) -> str:
    """Takes off dollars, boxes, Markdown, colours, bold type and what else only changes the look."""
    before = None
    while text != before:
        before = text
        text = _unwrap(_FULL_STOP.sub("", text).strip())
    text = replaced(text, _LOOK, lambda content: f" {content} " if _SIMPLE.fullmatch(content) else f"{{{content}}}")
    text = _unwrap(text.strip())
    return " ".join(_look(text).split())


_look = _rewriter(
    (r"\\mathrm ?\{ ?([eid]) ?\}", r"\1"),
    (r"\\(?:bm|boldsymbol|mathbf|mathit|mathrm) ?(?=[0-9A-Za-z](?![A-Za-z]))", ""),
    (r"\\(?:color|textcolor) ?\{[^{}]*\}|\\color (?=[a-z]+ )[a-z]+ ", ""),
    (r"(?<!\\)\\ ", " "),
    (r"\\(?:tag|label)\*? ?\{[^{}]*\}|\\(?:blacksquare|square|Box|qed|checkmark|nonumber)(?![A-Za-z])", ""),
    (
        r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|rm|bf|it|tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])",
        "",
    ),
    (r"\\(?:left|right|[bB]igg?[lrm]?)\.|\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])", ""),
    (r"(?<!\\)\\!|\\hspace\*? ?\{[^{}]*\}|\\,\\!", ""),
    (r"\\[hv]?phantom ?(?:\{[^{}]*\}|[^{}])", ""),
    (r"\*\*([^*]+)\*\*", r"\1"),
    (r"(?<!\\)\$([^$]*)(?<!\\)\$", r" \1 "),
    (r"(?<!\\)\$(?! ?\d)", " "),
)


def _unwrap(text: str) -> str:
    """Takes off one pair of marks that holds the whole text."""
    for opener, closer in _WRAPPERS:
        inner = text[len(opener) : len(text) - len(closer)]
        whole = text.startswith(opener) and text.endswith(closer) and inner
        if whole and not text.endswith("\\" + closer) and not re.search(r"(?<!\\)" + re.escape(closer), inner):
            return inner.strip()
    box = _BOX.match(text)
    if box and closing(text, box.end() - 1) == len(text) - 1:
        return text[box.end() : -1].strip()
    return text


_CURRENCIES = {"£": "pounds sterling", "¥": "yen", "₹": "rupees"}
_currency = _rewriter(
    (r"\\\$|\\(?:text|mathrm) ?\{ ?\\?\$ ?\}|(?<![\d)}] )(?<![\d)}])\$(?= ?\d)", r" \\text{dollars} "),
    (r"[€£¥₹]|\\euro(?![A-Za-z])", lambda m: rf" \text{{{_CURRENCIES.get(m.group(), 'euros')}}} "),
    (r"\\text\{dollars\} *(-? *[\d.,]*\d)", r"\1 \\text{dollars} "),
    (r"\\text\{(euros|pounds sterling|yen|rupees)\} *(-? *[\d.,]*\d)", r"\2 \\text{\1} "),
)  # fmt: skip

_thousands = _rewriter(
    (r"(?<=\d) ?(?:\{,\}|, ?\\!|\\[,;: ]) ?(?=\d{3}(?!\d))", ""),
    (r"(?<![\d.,_^{(\[])(\d{1,3})((?: \d{3})+)(?![\d,./])", lambda m: m[1] + m[2].replace(" ", "")),
    (r"(?<![\d.,])(\d+\.\d{3})((?: \d{3})* \d{1,3})(?![\d,./])", lambda m: m[1] + m[2].replace(" ", "")),
)

_spaces = _rewriter(
    (r"(?<!\\)\\[,;:> ]|(?<!\\)\\(?:q?quad|enspace|thinspace)(?![A-Za-z])|(?<!\\)~", " "),
    (r" +", " "),
)

_names_of_commands = _rewriter(
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])|\\choose_", r"\\binom"),
    (r"\\(?:mbox|hbox|text[a-z]+|mathrm|operatorname\*?)(?= ?\{)", r"\\text"),
    (r"\\text ?\{", r"\\text{"),
    (r"\\text\{ ?(sin|cos|tan|cot|sec|csc|log|ln|arcsin|arccos|arctan|gcd|lcm|max|min) ?\}", r"\\\1 "),
    (r"\\text\{ ?([a-zA-Z]) ?\}(?=_)|(?<=[-+=/\d]) ?\\text\{(e|i|d)\}", r"\1\2"),
    (r"\\l(?:eq|eqslant|eqq)(?![A-Za-z])|<=|=<", r"\\le "),
    (r"\\g(?:eq|eqslant|eqq)(?![A-Za-z])|>=", r"\\ge "),
    (r"\\neq(?![A-Za-z])|!=", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:varnothing|O)(?![A-Za-z])|\\\{ ?\\\}", r"\\emptyset"),
    (r"\\[lr]?vert(?![A-Za-z])|\\mid(?![A-Za-z])", "|"),
    (r"\\[lr]?Vert(?![A-Za-z])|\\\|", "|"),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\lbrack(?![A-Za-z])", "["),
    (r"\\rbrack(?![A-Za-z])", "]"),
    (r"\\langle(?![A-Za-z])", "("),
    (r"\\rangle(?![A-Za-z])", ")"),
    (r"\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))|\\textdegree", r"\\degree "),
    (r"(?<!\\)%|\\text\{ ?\\?% ?\}| ?\\text\{ ?(?:percent|percentage|pct) ?\}| ?\b(?:percent|pct)\b", r"\\%"),
    (r"\\(?:widehat|vec|overrightarrow|overleftrightarrow)(?=[ {])", r"\\overline"),
    (r"\\(?:triangle|bigtriangleup) ?(?=[A-Z])", ""),
    (r"\\begin\{array\} ?\{[^{}]*\}", r"\\begin{matrix}"),
    (r"\\end\{array\}", r"\\end{matrix}"),
    (r"\[ ?\\begin\{matrix\}|\( ?\\begin\{matrix\}|\\begin\{(?:b|small)matrix\}", r"\\begin{pmatrix}"),
    (r"\\end\{matrix\} ?[\])]|\\end\{(?:b|small)matrix\}", r"\\end{pmatrix}"),
    (r"(?:\\\\|\\cr) ?(?=\\end)", ""),
    (r"\\frac ?\{ ?(\\text\{[^{}]*\}) ?\}\{ ?(\\text\{[^{}]*\}(?: ?\^ ?\{?\d\}?)?) ?\}", r"\1/\2"),
    (r"(?<=[)\]]) ?U ?(?=[(\[])", r"\\cup "),
    (r"\*\*", "^"),
    (r"(?<=[\d)}a-z]) ?\* ?(?=[\d({a-z\\])", r" \\cdot "),
    (r"(?<![\\A-Za-z])(?:pi|infinity|infty|inf|oo)(?![A-Za-z])",
     lambda m: r"\pi " if m.group() == "pi" else r"\infty "),
    (r"(?<![\\A-Za-z])(sin|cos|tan|log|ln)(?![A-Za-z])", r"\\\1 "),
    (r"\{\} ?(?=[_^])|^ ?\{\}", ""),
    (r"[_^] ?\{? ?(\d+|[a-z]) ?\}? ?(?:C|\\text\{C\}) ?_ ?\{? ?(\d+|[a-z]) ?\}?"
    r"|(?<![A-Za-z\\])C ?\( ?(\d+) ?, ?(\d+) ?\)",
     lambda m: rf"\binom{{{m[1] or m[3]}}}{{{m[2] or m[4]}}}"),
)  # fmt: skip

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
                "twelve")  # fmt: skip
_BASES = {word: str(base) for base, word in enumerate(NUMBER_WORDS) if 2 <= base <= 10}
_ARGUMENT = r"(?:\\(?:pi|alpha|beta|theta|infty)(?![A-Za-z])|[^\s{}\\])"
_tex_arguments = _rewriter(
    (r"(?<![\\A-Za-z])sqrt(?![A-Za-z])", r"\\sqrt"),
    (r"\\log ?_ ?(\d) ?(?=\d)", r"\\log_{\1} "),
    (r"\\sqrt(\[[^\]]*\])? ?(\d+(?:\.\d+)?)", r"\\sqrt\1{\2}"),
    (rf"\\sqrt(\[[^\]]*\])? ?({_ARGUMENT})(?<!\[)", r"\\sqrt\1{\2}"),
    (rf"\\(frac|binom) ?({_ARGUMENT}) ?(?={_ARGUMENT}|\{{)", r"\\\1{\2}"),
    (rf"\\(frac|binom) ?(\{{[^{{}}]*\}}) ?({_ARGUMENT})", r"\\\1\2{\3}"),
    (r"([_^]) ?(-?\d+)", r"\1{\2}"),
    (r"\^ ?\(([^()]*)\)", r"^{\1}"),
    (rf"([_^]) ?({_ARGUMENT})(?<!\()", r"\1{\2}"),
    (r"_\{ ?\( ?(\d+) ?\) ?\}", r"_{\1}"),
    (r"_\{? ?\\text\{ ?(\w+) ?\} ?\}?", lambda m: f"_{{{_BASES.get(m[1], m[1])}}}"),
    (r"\((\d+)\) ?(?=_\{\d)", r"\1"),
)


_ordinals = _rewriter(
    # The end of an ordinal number: 4th, 4^{th}, 4^{\text{th}}.
    (r"^(\d+) ?\^? ?\{? ?(?:\\text ?\{ ?)?(?:st|nd|rd|th)(?: ?\})* ?$", r"\1"),
)


def _mixed(match: re.Match[str]) -> str:
    sign, whole = match[1] or "", int(match[2])
    top, bottom = (int(match[3]), int(match[4])) if match[3] else (int(match[5]), int(match[6]))
    if not 0 < top < bottom:
        return match.group()
    return rf"{sign}\frac{{{whole * bottom + top}}}{{{bottom}}}"


def _repeating(match: re.Match[str]) -> str:
    r"""Turns 0.1\overline{6} into a fraction, 16 - 1 over 90."""
    whole, start, period = match[1] or "0", match[2] or "", match[3]
    top = int(whole + start + period) - int(whole + start)
    value = Fraction(top, (10 ** len(period) - 1) * 10 ** len(start))
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


_numbers = _rewriter(
    (r"(?<![\d.])(\d{0,30})\. ?(\d{0,30}) ?\\(?:overline|bar|dot) ?\{ ?(\d{1,30}) ?\}", _repeating),
    (r"(?<![\d.A-Za-z])(\d+(?:\.\d+)?)[eE]([-+]?\d{1,3})(?![\d.A-Za-z])", r"\1 \\cdot 10^{\2}"),
    (r"(?<![\w.\\}^)])(-)? ?(?<![\d.])(\d{1,15}) ?(?:\\frac\{ ?(\d{1,15}) ?\}\{ ?(\d{1,15}) ?\}"
    r"|(?<= )(\d{1,15}) ?/ ?(\d{1,15})(?![\d.]))", _mixed),
    (r"(?<![\d.])\.(?=\d)", "0."),
    (r"(?<=\d)\.(?=[^\d.]|$)(?! ?\\(?:overline|ldots))", ""),
    (r"(?<![\d.])(?<!\d,)0+(?=\d)", ""),
)  # fmt: skip

_words = _rewriter(
    # The same word as a list's comma, also in \text.
    (r",? ?(?:\\text\{ ?,? ?(and|or|as well as) ?\}|(?<![A-Za-z])(and|or)(?![A-Za-z])),?",
     lambda m: f" {m[1] or m[2]} "),
    (r"\\text\{ ?,([^{}]*)\}", r", \\text{\1}"),
    (r"\\text\{([^{}A-Za-z]*)\}", r"\1"),
    (r"\\text\{ ?(-?[\d.,/]+(?: ?\\%)?) ?([A-Za-z][^{}]*)\}(?!_)", r"\1 \\text{\2}"),
    (r"\\text\{ ?([A-Z](?: ?, ?[A-Z])+) ?\}", r"\1"),
    (r"\\text\{([^{}]*)\}", lambda m: rf"\text{{{m[1].strip()}}}"),
    (r"^[Aa]ll (?:real numbers|reals)$|^\\text\{(?:all )?reals?(?: numbers)?\}$", r"\\mathbb{R}"),
    (r"^(?:\\text\{)?(?:[Nn]o (?:real )?solutions?|(?:the )?empty set)\}?$", r"\\emptyset"),
    (r"^(?:\\approx|\\text\{(?:about|approximately)\}|(?:about|approximately|roughly)(?= ))", ""),
)  # fmt: skip


def _tidy(text: str) -> str:
    text = " ".join(text.split())
    return " ".join(_unwrap(_FULL_STOP.sub("", text)).split())


STEPS: dict[str, Callable[[str], str]] = {
    "unicode": _unicode,
    "thousands": _thousands,
    "wrappers": _wrappers,
    "currency": _currency,
    "spaces": _spaces,
    "commands": _names_of_commands,
    "roots": _root_brackets,
    "ordinals": _ordinals,
    "arguments": _tex_arguments,
    "numbers": _numbers,
    "words": _words,
    "tidy": _tidy,
}
