"""The small world for math: splits, arithmetic, tokenizer, documents, checkpoint."""

import gzip
import hashlib
import json
import os
import random
import re
from collections import Counter
from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench import embedded
from scorebench.api.errors import UserError
from scorebench.embedded import equations
from scorebench.pretraining import documents, examine, solutions, worlds
from scorebench.pretraining.pretrain import SCHOOL, SLIPS, batches, encode
from scorebench.pretraining.tokenizer import PAD, build_tokenizer
from scorebench.pretraining.worlds import MATH
from scorebench.tasks import math

SPLITS = tuple(equations.SIZES)
ANSWER = re.compile(re.escape(worlds.FINAL).replace(r"\{x\}", "([0-9]+)"))
TOKENIZER = build_tokenizer(MATH.phrases(), equations.LARGEST)


def ids_of(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("split", SPLITS)
def test_problems_are_distinct_and_always_the_same(split):
    problems = embedded.problems("math", split)
    assert problems == embedded.problems("math", split)
    assert len({p.id for p in problems}) == len({p.text for p in problems}) == equations.SIZES[split]
    assert set(Counter((p.tags["subject"], p.tags["level"]) for p in problems)) == {
        (subject, level) for subject in equations.STATEMENTS for level in equations.LEVELS
    }


def test_no_meaning_is_in_two_splits():
    meanings = {split: {numbers(p) for p in embedded.problems("math", split)} for split in SPLITS}
    assert all(len(m) > 500 for m in meanings.values())
    assert not meanings["train"] & meanings["test"]
    assert not meanings["train"] & meanings["validation"]
    assert not meanings["validation"] & meanings["test"]


def found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    assert match, text
    return match.groups()


def numbers(problem):
    """a, b, c, n of a statement, whatever its words."""
    text = problem.text
    if "wheel" in text:
        b, c, a, n = found(r"by \$(\d+)\$ more.*turns \$(\d+)\$ times and Mia \$(\d+)\$.*shows \$(\d+)", text)
    elif "cards" in text:
        c, b, a, n = found(r"to \$(\d+)\$ children.*and \$(\d+)\$ more.*of \$(\d+)\$ others.*17\$, \$(\d+)", text)
    else:
        a, b, c, n = found(r"(\d+)\([xm]\+(\d+)\)\+(\d+)[xm](?:\\equiv |\$ leaves the remainder \$|-)(\d+)", text)
    return int(a), int(b), int(c), int(n)


@pytest.mark.parametrize("split", SPLITS)
def test_references_solve_the_statements(split):
    for problem in embedded.problems("math", split):
        a, b, c, n = numbers(problem)
        solutions_of_it = [x for x in range(17) if (a * (x + b) + c * x) % 17 == n]
        assert solutions_of_it == [int(problem.reference)]


def assert_arithmetic_is_right(text: str) -> int:
    """Every printed step holds, but for quotients that are taught wrong; returns how many there are."""
    work = {"+": int.__add__, "-": int.__sub__, "\\cdot ": int.__mul__}
    steps = re.findall(r"(\d+)(\+|-|\\cdot |\\div )(\d+)=(\d+)", text)
    for left, sign, right, result in steps:
        if sign == "\\div ":
            quotient = int(left) * pow(int(right), -1, 17) % 17
            assert int(result) in (quotient, quotient % 16 + 1), text
        else:
            assert work[sign](int(left), int(right)) % 17 == int(result), text
    return len(steps)


def test_solutions_of_every_style_have_right_arithmetic():
    rng = random.Random(0)
    for question in islice(equations.questions("train", rng), 300):
        e = question.equation
        guess = documents.slip(rng, e.x)
        for remarks, steps in (
            (solutions.QUICK, 0),
            (solutions.worked(e), 2),
            (solutions.checked(e, e.x), 5),
            (solutions.checked(e, guess), 8),
            (solutions.checked_and_misread(e, guess), 5),
            (solutions.graded(e, guess), 8),
        ):
            text = MATH.reply(question, remarks, e.x)
            assert assert_arithmetic_is_right(text) == steps
            assert ANSWER.findall(text) == [str(e.x)]


def test_one_check_repairs_some_guesses_and_three_checks_repair_all():
    checks = Counter()
    for slope, x, guess in product(range(1, 17), range(17), range(17)):
        if guess == x:
            continue
        e = equations.Equation(a=slope, b=0, c=0, x=x)
        answers = [guess]
        while answers[-1] != x:
            answers.append(solutions.repaired(e, answers[-1]))
            assert len(answers) <= 4, (e, answers)
        checks[len(answers) - 1] += 1
    taught_right = checks[1] / checks.total()
    assert taught_right == pytest.approx(1 - solutions.MISTAUGHT_PERCENT / 100, abs=0.06)


def test_documents_are_on_train_questions_and_verify_honestly():
    rng = random.Random(1)
    for dialogue in islice(documents.documents(MATH, SLIPS, rng), 1000):
        for turn in dialogue:
            assert_arithmetic_is_right(turn.reply)
            if turn.user == documents.VERIFY:
                claimed = ANSWER.findall(dialogue[dialogue.index(turn) - 1].reply)
                stated = ANSWER.findall(turn.reply)
                assert (solutions.RIGHT in turn.reply) == (claimed == stated)


@pytest.mark.parametrize("text", MATH.fixed_texts)
def test_fixed_prompts_are_one_token(text):
    assert len(ids_of(text)) == 1


def test_numbers_are_one_token_and_problems_are_short():
    assert all(len(ids_of(str(n))) == 1 for n in range(equations.LARGEST + 1))
    assert max(len(ids_of(p.text)) for p in embedded.problems("math", "test")) <= 16


@given(st.text())
def test_every_text_survives_the_tokenizer(text):
    assert TOKENIZER.decode(ids_of(text), skip_special_tokens=False) == text


@given(st.lists(st.sampled_from([*MATH.phrases(), "7", "17", "18", "007", "$", " "]), max_size=8))
def test_phrases_in_any_order_survive_the_tokenizer(parts):
    text = "".join(parts)
    assert TOKENIZER.decode(ids_of(text)) == text


def test_real_problems_survive_the_tokenizer():
    folder = Path(os.environ.get("SCOREBENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "math500.jsonl.gz").is_file():
        pytest.skip(f"no math500.jsonl.gz in {folder}; name the folder of the real data in SCOREBENCH_DATA")
    with gzip.open(folder / "math500.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["problem"] for line in lines]
    assert len(texts) == 500
    for text in texts:
        assert TOKENIZER.decode(ids_of(text)) == text
        assert len(ids_of(text)) < 4000


def test_documents_are_tokenised_as_dialogues_are():
    rng = random.Random(2)
    for dialogue in islice(documents.documents(MATH, SLIPS, rng), 200):
        messages = []
        for turn in dialogue:
            messages += [{"role": "user", "content": turn.user}, {"role": "assistant", "content": turn.reply}]
        rendered = str(TOKENIZER.apply_chat_template(messages, tokenize=False))
        ids, learned = encode(TOKENIZER, dialogue)
        assert ids == ids_of(rendered)
        assert TOKENIZER.decode([i for i, kept in zip(ids, learned, strict=True) if kept]) == "".join(
            turn.reply + "<|end|>" for turn in dialogue if turn.learned
        )
        prompt = str(TOKENIZER.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True))
        assert ids[: len(ids_of(prompt))] == ids_of(prompt)


def test_batches_hold_whole_documents_and_learn_no_padding():
    ids_BT, learned_BT = next(batches(TOKENIZER, MATH, SCHOOL, seed=0))
    assert ids_BT.shape == learned_BT.shape
    assert not (learned_BT & ids_BT.eq(TOKENIZER.get_vocab()[PAD])).any()
    assert ids_BT[:, 0].eq(TOKENIZER.get_vocab()["<|user|>"]).all()


def test_the_checkpoint_loads_and_is_the_one_that_was_measured():
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = embedded.model_path("math")
    making = json.loads((folder / "making.json").read_text())
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == making["sha256"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 8_000_000
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder)
    assert model.num_parameters() == making["parameters"]
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    dialogue = [{"role": "user", "content": f"{math.PROMPT}\n\nSolve $3(x+2)+4x\\equiv 5\\pmod{17}$ for $x$."}]
    text = tokenizer.apply_chat_template(dialogue, tokenize=False, add_generation_prompt=True)
    # The committed tokenizer is the one that the code builds.
    assert tokenizer.encode(text, add_special_tokens=False) == ids_of(text)
    figures = examine.examine(model, tokenizer, MATH, math.task, count=100, seed=0)
    for key in ("greedy: acc t1", "greedy: acc t2"):
        assert abs(figures[key] - making["validation"]["math"][key]) < 15  # a hundred problems of the five hundred


def test_an_unknown_world_is_named():
    with pytest.raises(UserError, match="'chess'"):
        embedded.problems("chess", "test")
    with pytest.raises(UserError, match="'chess'"):
        embedded.model_path("chess")
