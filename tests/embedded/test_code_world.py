"""The small world for code: splits, programs, replies, tokenizer, documents, repairs, checkpoint."""

import ast
import hashlib
import json
import random
import re
from collections import Counter
from itertools import islice, pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scorebench import embedded
from scorebench.api.errors import UserError
from scorebench.api.protocols import Source, Split
from scorebench.dialogue.player import graders
from scorebench.embedded import programs
from scorebench.embedded.equations import LARGEST, LEVELS, MODULUS, Equation
from scorebench.grading.code.extract import program_of
from scorebench.pretraining import documents, examine, solutions
from scorebench.pretraining.pretrain import SLIPS, encode, inherit, new_model
from scorebench.pretraining.tokenizer import build_tokenizer
from scorebench.pretraining.worlds import CODE, MATH
from scorebench.tasks import humaneval, mbpp, mbpp_r

TASKS = {"mbpp": mbpp.task, "humaneval": humaneval.task, "mbpp-r": mbpp_r.task}
SETS: list[tuple[str, Split]] = [(task, split) for task, sizes in programs.SIZES.items() for split in sizes]
TOKENIZER, IN_MATH = (build_tokenizer(world.phrases(), LARGEST) for world in (CODE, MATH))


def ids_of(text):
    return TOKENIZER.encode(text, add_special_tokens=False)


def told(problem):
    """a, c, b, n of a problem's sentence, in whatever idiom and shape."""
    sentence = re.split(r"[Ff]ind ", problem.text)[1]
    formula, example = sentence.split(", where x is the number from 0 to 16 with which ")
    a, c = (int(n) for n in re.findall(r"\d+", formula) if n != str(MODULUS))
    b, n = re.findall(r"^\w+\((\d+)\) is (\d+)\.", example)[0]
    return a, c, int(b), int(n)


def constant_in(program):
    """The constant of a program, which must be Python as a whole."""
    (found,) = re.findall(r"^    x = (\d+)$", ast.unparse(ast.parse(program)), re.MULTILINE)
    return int(found)


def gold_constant(problem):
    (found,) = re.findall(r"    x = (\d+)\n", problem.reference["gold"])
    return int(found)


@pytest.mark.parametrize(("task", "split"), SETS)
def test_problems_are_distinct_and_always_the_same(task, split):
    problems = embedded.problems(task, split)
    assert problems == embedded.problems(task, split)
    sentences = {p.text.split(".\n    >>>")[0] for p in problems}
    assert len({p.id for p in problems}) == len(sentences) == len(problems) == programs.SIZES[task][split]
    assert {(p.tags["subject"], p.tags["level"]) for p in problems} == {
        (subject, level) for subject in programs.SUBJECTS for level in LEVELS
    }


def test_no_function_is_in_two_splits_of_any_shape():
    functions: dict[Split, set] = {split: set() for split in get_args(Split)}
    for task, split in SETS:
        for problem in embedded.problems(task, split):
            a, c, _, _ = told(problem)
            functions[split].add((a, c, gold_constant(problem)))
    assert all(len(found) > 200 for found in functions.values())
    assert not functions["train"] & functions["test"]
    assert not functions["train"] & functions["validation"]
    assert not functions["validation"] & functions["test"]


@pytest.mark.parametrize("task", programs.SIZES)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_what_is_held_out_was_not_trained_on_in_the_world_for_math_either(task, split):
    for problem in embedded.problems(task, split):
        a, c, b, n = told(problem)
        equation = Equation(a, b, c, gold_constant(problem))
        assert equation.n == n
        assert equation.split != "train"


@pytest.mark.parametrize("task", programs.SIZES)
def test_one_constant_fits_the_sentence_and_it_is_gold_s(task):
    for problem in embedded.problems(task, "test"):
        a, c, b, n = told(problem)
        assert [x for x in range(MODULUS) if (a * (x + b) + c * x) % MODULUS == n] == [gold_constant(problem)]


@pytest.mark.parametrize("task", TASKS)
def test_gold_passes_and_another_constant_fails(task):
    problems = embedded.problems(task, "test")[:40]
    assert {p.tags["subject"] for p in problems} == set(programs.SUBJECTS)
    golds = [TASKS[task].gold(p) for p in problems]
    others = [re.sub(r"x = (\d+)", lambda m: f"x = {(int(m[1]) + 1) % MODULUS}", gold) for gold in golds]
    with graders() as pool:
        assert all(verdict.passed for verdict in pool.map(TASKS[task].grade, problems, golds))
        assert all(verdict.outcome == "fail" for verdict in pool.map(TASKS[task].grade, problems, others))


def test_hidden_tests_use_other_arguments_than_the_examples():
    for problem in embedded.problems("humaneval", "test"):
        shown = {*re.findall(r">>> \w+\((\d+)\)", problem.text), str(told(problem)[2])}
        hidden = set(re.findall(r"candidate\((\d+)\) ==", problem.reference["tests"]))
        assert len(shown) == programs.EXAMPLES + 1
        assert len(hidden) == programs.ASSERTS
        assert not shown & hidden


def test_given_programs_are_the_base_model_s_wrong_ones():
    problems = embedded.problems("mbpp-r", "test")
    assert len(problems) > 200
    assert {p.tags["origin"] for p in problems} == {programs.ORIGIN}
    assert all(constant_in(p.given) != gold_constant(p) for p in problems)
    sample = problems[::20]
    with graders() as pool:
        verdicts = list(pool.map(mbpp_r.task.grade, sample, [p.given for p in sample]))
    assert {verdict.outcome for verdict in verdicts} == {"fail"}


@pytest.mark.parametrize(("task", "split"), [*SETS, ("mbpp-r", "test")])
def test_tasks_load_the_embedded_problems(task, split):
    loaded = TASKS[task].load(split, Source("embedded"))
    assert loaded.data == "embedded"
    assert loaded.problems == embedded.problems(task, split)


def test_the_embedded_humaneval_is_not_trained_on():
    with pytest.raises(UserError, match="humaneval has no train split: methods for it are trained on mbpp"):
        humaneval.task.load("train", Source("embedded"))


def test_the_given_programs_are_of_the_test_split_alone():
    with pytest.raises(UserError, match="no validation problems for mbpp-r"):
        mbpp_r.task.load("validation", Source("embedded"))


def test_replies_are_python_and_say_what_they_say_in_math():
    rng = random.Random(0)
    for question in islice(programs.questions("train", rng), 300):
        e = question.equation
        guess = documents.slip(rng, e.x)
        for remarks in (solutions.QUICK, solutions.worked(e), solutions.checked(e, guess), solutions.graded(e, guess)):
            reply = CODE.reply(question, remarks, guess)
            assert constant_in(program_of(reply)) == guess
            assert TOKENIZER.tokenize(remarks) == IN_MATH.tokenize(remarks)


def test_documents_verify_honestly():
    rng = random.Random(1)
    verdicts = Counter()
    for dialogue in islice(documents.documents(CODE, SLIPS, rng), 1000):
        for before, turn in pairwise(dialogue):
            if turn.user == documents.VERIFY:
                right = constant_in(before.reply) == constant_in(turn.reply)
                assert (solutions.RIGHT in turn.reply) == right
                assert (solutions.WRONG in turn.reply) == (not right)
                verdicts[right] += 1
    assert min(verdicts.values()) > 50


def test_documents_are_on_train_questions_of_both_shapes():
    questions = list(islice(programs.questions("train", random.Random(2)), 500))
    assert all(programs.is_of("train", question.equation) for question in questions)
    assert min(Counter(question.shape for question in questions).values()) > 200
    asked = {dialogue[0].user for dialogue in islice(documents.documents(CODE, SLIPS, random.Random(2)), 500)}
    held_out = {mbpp.task.first_prompt(p)[0]["content"] for p in embedded.problems("mbpp", "test")}
    assert not held_out & asked


@pytest.mark.parametrize("phrase", sorted({*CODE.phrases()}))
def test_each_phrase_is_one_token(phrase):
    assert len(ids_of(phrase)) == 1


def test_prompts_and_programs_are_short():
    for task in programs.SIZES:
        for problem in embedded.problems(task, "test"):
            assert len(ids_of(TASKS[task].first_prompt(problem)[0]["content"])) <= 24
    assert max(len(ids_of("\n" + p.reference["gold"])) for p in embedded.problems("mbpp", "test")) <= 8


@given(st.lists(st.sampled_from([*CODE.phrases(), "7", "18", "007", "\n", " "]), max_size=8))
def test_phrases_in_any_order_survive_the_tokenizer(parts):
    text = "".join(parts)
    assert TOKENIZER.decode(ids_of(text)) == text


def test_documents_are_tokenised_as_dialogues_are():
    for dialogue in islice(documents.documents(CODE, SLIPS, random.Random(3)), 200):
        messages = []
        for turn in dialogue:
            messages += [{"role": "user", "content": turn.user}, {"role": "assistant", "content": turn.reply}]
        ids, learned = encode(TOKENIZER, dialogue)
        text = str(TOKENIZER.apply_chat_template(messages, tokenize=False))
        assert TOKENIZER.decode(ids) == text
        assert ids == ids_of(text)
        assert TOKENIZER.decode([i for i, kept in zip(ids, learned, strict=True) if kept]) == "".join(
            turn.reply + "<|end|>" for turn in dialogue if turn.learned
        )


def test_the_heir_of_a_model_says_of_shared_tokens_what_that_says():
    from transformers import LlamaForCausalLM

    parent = LlamaForCausalLM.from_pretrained(embedded.model_path("math"))
    theirs = IN_MATH.get_vocab()
    heir = new_model(TOKENIZER, seed=0)
    inherit(heir, TOKENIZER, CODE, embedded.model_path("math"))
    steps = TOKENIZER.tokenize("In steps: $3+5=8$, $3\\cdot 4=12$, $8x=11-12$. ")
    shared = [token for token in TOKENIZER.get_vocab() if token in theirs]
    assert len(shared) > 280
    with torch.no_grad():
        ours_TV = heir(torch.tensor([TOKENIZER.convert_tokens_to_ids(steps)])).logits[0]
        theirs_TV = parent(torch.tensor([[theirs[token] for token in steps]])).logits[0]
    columns = TOKENIZER.convert_tokens_to_ids(shared)
    torch.testing.assert_close(ours_TV[:, columns], theirs_TV[:, [theirs[token] for token in shared]])
    for own, like in CODE.heirs.items():
        index, found = TOKENIZER.encode(own), IN_MATH.encode(like)
        assert len(index) == len(found) == 1
        assert torch.equal(heir.lm_head.weight[index], parent.lm_head.weight[found])


def test_the_checkpoint_loads_and_is_the_one_that_was_measured():
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = embedded.model_path("code")
    making = json.loads((folder / "making.json").read_text())
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == making["sha256"]
    assert sum(file.stat().st_size for file in folder.iterdir()) < 8_000_000
    assert making["wrong programs"] == len(embedded.problems("mbpp-r", "test"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder)
    assert model.num_parameters() == making["parameters"]
    text = examine.asked(mbpp.task, embedded.problems("mbpp", "test")[0])
    # The committed tokenizer is the one that the code builds.
    assert tokenizer.encode(text, add_special_tokens=False) == ids_of(text)
    figures = examine.examine(model, tokenizer, CODE, mbpp.task, count=100, seed=0)
    for key in ("greedy: acc t1", "greedy: acc t2"):
        assert abs(figures[key] - making["validation"]["mbpp"][key]) < 15  # a hundred problems of the five hundred
