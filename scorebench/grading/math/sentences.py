r"""The value that a sentence gives: "is $5$", "is therefore 5 cm^2, as shown", "are $x=1$ and $x=2$". Pure text."""

from __future__ import annotations

import re
from typing import NamedTuple

from scorebench.grading.math.denials import is_denied

# The longest text that is searched for one answer. The longest answer of MATH has 159 characters.
MAX_ANSWER = 2_000

_OPENERS = {"$$": "$$", "$": "$", r"\(": r"\)", r"\[": r"\]"}
_OPENER = re.compile(r"\$\$|(?<!\\)\$|\\\(|\\\[")
_MATH_TOKEN = re.compile(r"\\[()\[\]]|\\.|\$\$|\$|[{}]", re.DOTALL)
_CLOSING_WORDS = re.compile(r"I hope (?:it|this|that) is correct", re.IGNORECASE)
_FENCE = re.compile(r"```\w*\n(.*?)(?:\n```|$)", re.DOTALL)
_GLUE = re.compile(r"[\s*]{0,9}(?:[,;]|\()?\s{0,9}(?:and|or|or equivalently)?[,:]?[\s*]{0,9}(?=\$|\\\(|\\\[)")
_END = re.compile(r"[.!?](?=[\s*\"')]|$)|\n")
# Words between "is" and the value that change nothing.
_ADVERBS = re.compile(
    r"(?:(?:[\s*_:,\"]|\b(?:therefore|thus|hence|then|still|indeed|also|simply|just|exactly|again|now|in fact"
    r"|equal to|given by"
    r"|definitely|certainly|probably|surely|obviously|actually"
    r"|approximately|about|roughly|as follows|clearly|the (?:number|value|integer|expression|fraction|set"
    r"|interval|point|ordered pair))\b)+)?",
    re.IGNORECASE,
)
_HEDGE_BEFORE = re.compile(
    r"(?:\b(?:not|cannot|never|maybe|perhaps|possibly|either|neither|hardly|unlikely|(?:less|more|greater|fewer|smaller"
    r"|larger|(?<!none )other) than|at least|at most|between|any(?:thing)? (?:but|except|other than)"
    r"|every(?:thing)? (?:but|except))|n['’]t)\b",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\s*(?:\\?%|percent\b|(?:or (?:more|less|fewer))\b|(?:is|was) (?:not|wrong|incorrect)\b)")
# Where the answer ends and an explanation begins.
_CLAUSE = re.compile(
    r",?\s+(?:as|since|because|which|where|so|but|by|given|when|obtained|found|using|after|that|whereas|making|meaning)\b.*"
    r"|,?\s+and\s+(?:we|this|so|the|that|it|thus)\b.*|\s+\((?!or\b|and\b|not\b)[a-zA-Z]{2,}.*|;\s.*|:\s.*|\s[-–—]\s(?=[A-Za-z]{2}).*",
    re.DOTALL,
)
_BARE_START = re.compile(r"[-+(\[{|\d.\\$√±]|[A-Za-z]{1,3}(?:\([a-z]\))?\s*[=<>^+\-*/]|[A-Za-z]\s*$|[a-z]\^|\w\\")
_NO_WORDS = re.compile(
    r"(?:the|we|it|this|that|in|of|a|an|obtained|given|found|as|to|by|from|shown|stated|both|all|what|your|my|our|if|because|is|are|was|correct|incorrect|unknown"
    r"|checked|right|wrong|verified|confirmed|above|below|here|clear|unclear|required|needed|provided|therefore|thus|so|hence|and|or|now|ready|based|also)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"\\?[A-Za-z]\w*(?:_\{?\w+\}?)?|\\\w+ ?[A-Z]+|[A-Z]+")
_VALUE = re.compile(
    r"-?\d*\\[dt]?frac ?\{[^{}]*\}\{[^{}]*\}|-?\d*\\sqrt\{[^{}]*\}"
    r"|(?<![\w.\\^{])[-−]?\\?\$? ?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?(?:\s*\\?%)?(?!\w*\^)"
)
_LIST_MARK = re.compile(r"^[\s#>*-]*(?:(?:Step|Case|Part)\s+)?\d{1,2}[.):](?=\s|$)", re.IGNORECASE)
_IS = re.compile(r"\b(?:is|are|equals?|equal to|by)\b[^.$]*$")


class Region(NamedTuple):
    """An answer, and where it ends in the text."""

    answer: str
    end: int


def read_region(text: str, start: int, limit: int) -> Region | None:
    """The answer that stands behind "the final answer is"; None if the words there state none."""
    closing = _CLOSING_WORDS.search(text, start, limit)
    if fence := _FENCE.match(text, start, limit):
        return Region(fence[1].strip(), fence.end()) if fence[1].strip() else None
    if closing:
        limit = closing.start()
    adverbs = _ADVERBS.match(text, start, limit)
    first = adverbs.end() if adverbs else start
    if (run := _formulas(text, first, limit)) is not None:
        return run
    end = _sentence_end(text, first, limit, to_the_end=closing is not None)
    return _read_words(text, first, end)


def _read_words(text: str, start: int, end: int) -> Region | None:
    """The answer in a sentence that does not begin with a formula."""
    sentence = text[start:end]
    answer = _CLAUSE.sub("", sentence).strip(' \t\r\n*_,;`"')
    hedge = _HEDGE_BEFORE.match(answer) or _HEDGE_BEFORE.match(sentence.strip())
    if hedge or not (_BARE_START.match(answer) and _short(answer)):
        value = _value_of_sentence(text, start, end)
        if value is not None:
            return Region(f"{hedge.group()} {value}" if hedge and not _HEDGE_BEFORE.match(value) else value, end)
        words = answer.rstrip(".!?").split()
        if hedge or not words or len(words) > 4 or _NO_WORDS.match(answer):
            return None
    answer = re.sub(r"(?<!\\)\$(?!\d)", "", answer).strip().removesuffix(".").strip()
    return Region(answer, end) if answer else None


def _short(answer: str) -> bool:
    return len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{3,}", answer)) <= 4


def last_value(text: str) -> str | None:
    """The last formula or number of the last sentence that has one."""
    for start, end in reversed(_sentences(text)):
        value = _value_of_sentence(text, start, end)
        if value is not None:
            return value
    return None


def _value_of_sentence(text: str, start: int, end: int) -> str | None:
    """The last formulas of a sentence that are more than a name, or its last numbers."""
    mark = _LIST_MARK.match(text[start:end])
    start += mark.end() if mark else 0
    best: tuple[int, str] | None = None
    position = start
    while opener := _OPENER.search(text, position, end):
        run = _formulas(text, opener.start(), end)
        if run is None:
            position = opener.end()
            continue
        if best is None or not _NAME.fullmatch(run.answer):
            before = text[max(start, opener.start() - 40) : opener.start()]
            hedges = re.findall(_HEDGE_BEFORE, " ".join(before.split()[-3:])) if before else []
            if not hedges and is_denied(text, opener.start()):
                hedges = ["not"]
            best = run.end, f"{hedges[-1]} {run.answer}" if hedges else run.answer
        position = max(run.end, opener.end())
    numbers = [(m.start(), m.end(), m.group()) for m in _VALUE.finditer(text, start, end)]
    last = numbers[-1][0] if numbers else start
    is_the_value = best is not None and last >= best[0] and _IS.search(text[max(best[0], last - 30) : last])
    if numbers and (best is None or _NAME.fullmatch(best[1]) or is_the_value):
        return _number_run(text, numbers)
    return best[1] if best else None


def _number_run(text: str, numbers: list[tuple[int, int, str]]) -> str:
    """The last number, with those that are joined to it by commas and "and"; with "not" where they are denied."""
    run = [numbers[-1]]
    for number in reversed(numbers[:-1]):
        if not re.fullmatch(r"\s*(?:,\s*)?(?:and|or)?\s*", text[number[1] : run[0][0]]):
            break
        run.insert(0, number)
    denied = "not " if is_denied(text, run[0][0]) else ""
    return denied + ", ".join(number[2].replace("$", "").strip() for number in run)


def _formulas(text: str, start: int, limit: int) -> Region | None:
    """$...$ at `start`, and more of them joined by commas, "and", "or"; None if none is there or it is not closed."""
    answer, last_end = "", start
    while opener := _OPENER.match(text, start, limit):
        end = _formula_end(text, opener, limit)
        if end is None:
            break
        formula = text[opener.end() : end].strip()
        joint = " or " if "or" in text[last_end:start] else ", "
        answer = f"{answer}{joint}{formula}" if answer and formula else answer or formula
        last_end = end + len(_OPENERS[opener.group()])
        glue = _GLUE.match(text, last_end, limit)
        if glue is None:
            break
        start = glue.end()
    if not answer:
        return None
    if after := _AFTER.match(text, last_end, limit):
        answer = f"{answer} {after.group().strip()}"
        last_end = after.end()
    return Region(answer, last_end)


_WORD = re.compile(r"\\text\w*\s*\{[^{}]*\}|(?<![\\A-Za-z{])[A-Za-z]{3,}(?![A-Za-z}])")


def _formula_end(text: str, opener: re.Match[str], limit: int) -> int | None:
    """Where a formula ends; None where it is not closed, or where two sums of money ($5 and $6) stand for dollars."""
    end = _math_end(text, opener.end(), limit, _OPENERS[opener.group()])
    if end is None or opener.group() != "$":
        return end
    content = text[opener.end() : end]
    words = [word for word in _WORD.findall(content) if not word.startswith("\\")]
    money = content[:1].isdigit() and (len(words) > 1 or content[-1:].isspace() or text[end + 1 : end + 2].isdigit())
    return None if money or "\n\n" in content else end


def _math_end(text: str, start: int, limit: int, closer: str) -> int | None:
    r"""Where the mark stands that closes a formula; a dollar inside braces, as in \text{$5$}, does not."""
    depth, inside = 0, None
    for token in _MATH_TOKEN.finditer(text, start, limit):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if token.group() == closer:
            if depth <= 0:
                return token.start()
            inside = inside or token.start()
    return inside  # braces that do not match: the first closer there is


def _sentence_end(text: str, start: int, limit: int, to_the_end: bool) -> int:
    """Where the sentence ends that begins at `start`; a stop inside of a formula ends none."""
    if to_the_end:
        return limit
    position = start + len(text[start:limit]) - len(text[start:limit].lstrip())
    while position < limit:
        end, opener = _END.search(text, position, limit), _OPENER.search(text, position, limit)
        if end is None or opener is None or end.start() < opener.start():
            return end.start() if end else limit
        inside = _formula_end(text, opener, limit)
        position = opener.end() if inside is None else inside + len(_OPENERS[opener.group()])
        if inside is not None and position > inside + 1 and text[inside - 1] in ".!?":  # a display that ends a sentence
            return position
    return limit


def _sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence of the end of a text."""
    text_start = max(0, len(text) - 4 * MAX_ANSWER)
    sentences, start = [], text_start
    while start < len(text):
        end = _sentence_end(text, start, min(len(text), start + MAX_ANSWER), to_the_end=False)
        sentences.append((start, end))
        start = max(end + 1, start + 1)
    return sentences
