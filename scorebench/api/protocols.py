"""What a task, a method and an engine must have. Other packages can add all three.

The rest of scorebench uses them through these protocols only, and finds them through entry points (registry.py).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeGuard

from scorebench.api.chat import Chat
from scorebench.api.types import Message, Problem, Reply, Sampling, Verdict

if TYPE_CHECKING:
    from pydantic import BaseModel  # imported late: it takes a tenth of a second

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Source:
    """Where problems come from: the embedded generator, the hub, or a folder of the upstream files."""

    kind: Literal["embedded", "hub", "folder"]
    folder: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """The problems of one split, and the label of their source.

    data: "embedded", "hub", "generated" by the task itself, or "folder:" and eight digits of the files' digest. Every
        row of every table shows it, so that nobody takes embedded problems for the benchmark.
    """

    problems: tuple[Problem, ...]
    data: str


class Task(Protocol):
    """A benchmark: problems, prompts, verdicts.

    A task may be a frozen dataclass. Its field `reading` ("loose" or "strict") is then set by `--reading`, and its
    other fields by `--task-args name=value`; all of them are part of what a run is. It may also have these members:

    about: one line for `scorebench tasks`.
    solution(problem): a worked solution in the form that the first prompt asks for. Methods may fine-tune on it; the
        method sft takes gold(problem) where there is none.
    gold(problem): a reply that must pass. trivial(problem), tricks(problem): replies that must fail, by name.
    splits: the splits that it has, where these are not all three.
    """

    @property
    def name(self) -> str:
        """The name that the task is registered under."""
        ...

    @property
    def version(self) -> str:
        """It changes with whatever can change a figure: problems, prompts, verdicts."""
        ...

    @property
    def world(self) -> str:
        """The embedded model that plays this task when no model is named: "math", "code", or "" where none does."""
        ...

    @property
    def trained_on(self) -> str:
        """The task whose train split methods are trained on: mostly this one; for humaneval it is mbpp."""
        ...

    @property
    def correction(self) -> str:
        """The fixed instruction that asks for another attempt. It says nothing about the last attempt."""
        ...

    @property
    def answer_form(self) -> str:
        """The sentence that asks for the answer in a form that grade() reads."""
        ...

    def load(self, split: Split, source: Source) -> Loaded:
        """Problems of a split, all of them; UserError if any is missing, unreadable or cannot be graded."""
        ...

    def first_prompt(self, problem: Problem) -> tuple[Message, ...]:
        """The messages before attempt 1."""
        ...

    def grade(self, problem: Problem, reply: str) -> Verdict:
        """The verdict of one attempt. Thread-safe; blocks while a worker process decides."""
        ...

    def vote_key(self, problem: Problem, reply: str) -> str | None:
        """Replies with the same key are one vote; None where there is no answer to count."""
        ...


@dataclass(frozen=True)
class Ask:
    """The next step of a dialogue: messages to add to it, and whether the reply to them is an attempt.

    keep: an earlier reply of this dialogue, which is used as this attempt. No message is added and nothing is sampled.
        A method that finds its answer right uses this, so that the model does not write the answer again.
    given: a reply that stands as the model's answer to these messages; nothing is sampled.
    fresh: the conversation starts anew with these messages; the model sees nothing of what was said before.
    """

    messages: tuple[Message, ...] = ()
    attempt: bool = True
    keep: Reply | None = None
    given: Reply | None = None
    fresh: bool = False


Dialogue = Generator[Ask, Reply, None]


class Method(Protocol):
    """A way of self-correction: a dialogue, and a training where the method has one.

    The same dialogue serves evaluation, data collection and rollouts, so that their prompts cannot drift apart.

    A method may have these attributes too:

    about: one line that says what it is; `scorebench methods` prints it.
    version: a text that changes with whatever can change a figure. The prompts that a dialogue asks are part of a run's
        identity without it; code that reads replies is not.
    sees_verdicts: True for a control whose dialogue is sent (reply, verdict) in the place of the reply; the verdict of
        a reply that is no attempt is None. No honest method has it.
    takes_donor: True for a control whose dialogue has a fourth argument: another problem of the same run, or None where
        the run has one problem only.
    """

    @property
    def name(self) -> str:
        """The name that the method is registered under."""
        ...

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """A generator that yields Asks and receives Replies. Exactly `turns` of the Asks are attempts."""
        ...


class Engine(Protocol):
    """Something that continues a conversation.

    A local engine takes token ids and gives token ids; its `chat` makes the ids of a dialogue. A remote engine takes
    messages; its `chat` is None, and it is given no ids.
    """

    @property
    def name(self) -> str:
        """The name that the engine is registered under."""
        ...

    @property
    def chat(self) -> Chat | None:
        """What makes the token ids of a dialogue; None for an engine that takes messages."""
        ...

    @property
    def at_once(self) -> int:
        """How many dialogues should be open at a time, so that the engine is busy."""
        ...

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        """One reply. The same arguments give the same reply, whatever else the engine does at the same time."""
        ...


class PolicyEngine(Engine, Protocol):
    """An engine that plays a policy while it is trained."""

    async def push(self, policy: Any) -> None:
        """Takes over the policy's present weights. Called only while no dialogue is open."""
        ...

    def forget(self) -> None:
        """Frees the memory in which it keeps dialogues, so that the trainer can use it."""
        ...


class TrainingContext(Protocol):
    """What a training method is given: the policy, which it changes in place, and all that it trains with."""

    @property
    def policy(self) -> Any:
        """The model to train."""
        ...

    @property
    def reference(self) -> Any:
        """The base model, frozen, which stands behind every KL."""
        ...

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of both."""
        ...

    @property
    def task(self) -> Task:
        """The task that is trained on."""
        ...

    @property
    def problems(self) -> Sequence[Problem]:
        """The problems of its train split."""
        ...

    @property
    def seed(self) -> int:
        """The seed of everything that is drawn."""
        ...

    @property
    def folder(self) -> Path:
        """Where the method keeps its state and its logs; whatever lies there, train() goes on from it."""
        ...

    @property
    def graders(self) -> Executor:
        """Threads that wait for verdicts."""
        ...

    @property
    def system_prompt(self) -> str | None:
        """The system prompt of every dialogue; None where there is none."""
        ...

    @property
    def watch(self) -> Any:
        """How the training is evaluated and reported while it runs (scorebench.training.monitor.Watch)."""
        ...

    @property
    def template_args(self) -> Mapping[str, Any]:
        """What the chat template is given beside the messages."""
        ...

    def engine(self) -> PolicyEngine:
        """The engine that plays the policy's dialogues. Call push() before: only then has it the policy's weights."""
        ...

    def hf_engine(self, model: Any) -> PolicyEngine:
        """An engine that plays a model's dialogues in this process, with the weights that it has."""
        ...

    def batches(self, size: int, stage: str, start: int) -> Iterator[list[Problem]]:
        """Batches of exactly `size` problems from step `start` on, in an order made of the seed.

        Every problem comes once before any comes again.
        """
        ...


class Trained(Method, Protocol):
    """A method that changes the model before it is evaluated.

    It may have an attribute `budget_note`, one sentence for tables: why its training has another number of sampled
    replies or gradient steps than the others on the same task.
    """

    def preset(self, task: Task, embedded: bool) -> BaseModel:
        """The configuration to train with on this task: the paper's, or the embedded world's.

        All of it is part of what defines a training: another value is another training.
        """
        ...

    def train(self, context: TrainingContext, config: Any) -> None:
        """Trains context.policy in place. When it is killed and called again, it ends with the same weights."""
        ...


def trains(method: Method) -> TypeGuard[Trained]:
    """Whether a method has a training."""
    return hasattr(method, "train")


class Metered(Engine, Protocol):
    """An engine whose tokens are paid for."""

    @property
    def account(self) -> Mapping[str, float]:
        """What was spent since the engine was opened, by name: tokens, dollars."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """Which model to open, and how.

    path: a folder, a GGUF file, or a name on the hub. label: what tables call it.
    dtype, device: "auto" takes bfloat16 on a GPU and float32 elsewhere; the GPU where there is one.
    batch_size: dialogues decoded at once, 0 for automatic.
    options: --model-args of one engine alone, as its opener's `options` describes them; None where it has none.
    engine: the name of what plays it, in evaluation and in a training's rollouts.
    template_args: what the chat template is given beside the messages, such as enable_thinking.
    context_length: the longest sequence in tokens, prompt and reply together; None for the model's own limit.
    """

    path: str
    label: str
    dtype: str = "auto"
    device: str = "auto"
    batch_size: int = 0
    system_prompt: str | None = None
    options: Any = None
    engine: str = "hf"
    template_args: Mapping[str, Any] = field(default_factory=dict)
    context_length: int | None = None


class Opener(Protocol):
    """What is registered as an engine: a function that takes a model and returns the engine that plays it.

    It may have an attribute `options`: a pydantic model of the --model-args that this engine takes, beside those that
    all engines take. ModelSpec.options is then an instance of it.
    """

    def __call__(self, spec: ModelSpec) -> Engine:
        """Opens the model. Raises UserError where it cannot be opened."""
        ...


class RemoteOpener(Opener, Protocol):
    """Opens a model whose weights are elsewhere, behind an endpoint. Such a model cannot be trained."""

    def identify(self, spec: ModelSpec) -> Mapping[str, Any]:
        """What identifies this model, where there is no digest of its weights. Raises UserError if nothing does."""
        ...
