"""What a task, a method and an engine are: the three things that other packages can add.

The engine room knows them by these protocols alone, and finds them through entry points (registry.py).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from scorebench.api.chat import Chat
from scorebench.api.types import Message, Problem, Reply, Sampling, Verdict

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Source:
    """Where problems come from: the embedded generator, the hub, or a folder of the upstream files."""

    kind: Literal["embedded", "hub", "folder"]
    folder: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """The problems of one split, and the label of their source.

    data: "embedded", "hub", or "folder:" and eight digits of the files' digest. It stands in every row of every
        table, so that embedded problems are never taken for the benchmark.
    """

    problems: tuple[Problem, ...]
    data: str


class Task(Protocol):
    """A benchmark: problems, prompts, verdicts.

    name, version: anything that can change a number changes the version.
    world: the embedded model that this task is played with when no model is named ("math" or "code").
    trained_on: the task whose train split methods are trained on; its own name, but "mbpp" for humaneval.
    correction: the fixed instruction that asks for another attempt; it reveals nothing about the last one.
    answer_form: the sentence that asks for the final answer in a form that grade() reads.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def world(self) -> str: ...
    @property
    def trained_on(self) -> str: ...
    @property
    def correction(self) -> str: ...
    @property
    def answer_form(self) -> str: ...

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
    """What a dialogue wants said next: messages to append, and whether the reply to them is an attempt.

    keep: an earlier reply of this dialogue that stands as this attempt; nothing is said or sampled. So a method that
        finds its answer right need not have it written again.
    """

    messages: tuple[Message, ...] = ()
    attempt: bool = True
    keep: Reply | None = None


Dialogue = Generator[Ask, Reply, None]


class Method(Protocol):
    """A way of correcting oneself: a dialogue and, where it trains, a training.

    The same dialogue serves evaluation, data collection and rollouts, so that their prompts cannot drift apart.
    """

    @property
    def name(self) -> str: ...

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """Yields Asks and receives Replies; exactly `turns` of the Asks are attempts."""
        ...


class Engine(Protocol):
    """Something that continues a conversation.

    Local engines are token-exact: they are given ids and give ids, and `chat` is what makes the ids of a dialogue.
    Remote ones work on messages; their `chat` is None and the ids that they are given are empty.
    at_once: how many dialogues should be open for the engine to be busy.
    """

    @property
    def name(self) -> str: ...
    @property
    def chat(self) -> Chat | None: ...
    @property
    def at_once(self) -> int: ...

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        """One reply. The same arguments give the same reply, whatever else runs beside it."""
        ...


class PolicyEngine(Engine, Protocol):
    """An engine that plays a policy while it is trained."""

    async def push(self, policy: Any) -> None:
        """Plays with the policy's weights as they are now; between dialogues only."""
        ...

    def forget(self) -> None:
        """Lets go of what it keeps of dialogues in memory that the trainer could use."""
        ...


class TrainingContext(Protocol):
    """What a training method is given: the policy, which it changes in place, and all that it trains with.

    policy, reference: the model to train, and the base model, frozen, which stands behind every KL.
    problems: those of the train split. seed: of everything that is drawn.
    folder: where the method keeps its state and its logs; whatever lies there, train() goes on from it.
    graders: threads that wait for verdicts.
    """

    @property
    def policy(self) -> Any: ...
    @property
    def reference(self) -> Any: ...
    @property
    def tokenizer(self) -> Any: ...
    @property
    def task(self) -> Task: ...
    @property
    def problems(self) -> Sequence[Problem]: ...
    @property
    def seed(self) -> int: ...
    @property
    def folder(self) -> Path: ...
    @property
    def graders(self) -> Executor: ...
    @property
    def system_prompt(self) -> str | None: ...
    @property
    def template_args(self) -> Mapping[str, Any]: ...

    def engine(self) -> PolicyEngine:
        """The engine that plays the policy's dialogues. It has the policy's weights after push(), and not before."""
        ...

    def hf_engine(self, model: Any) -> PolicyEngine:
        """An engine that plays a model's dialogues in this process, with the weights that it has."""
        ...

    def batches(self, size: int, stage: str, start: int) -> Iterator[list[Problem]]:
        """Batches of problems from step `start` on: every problem once in an epoch, in an order made of the seed."""
        ...


class Trained(Method, Protocol):
    """A method that changes the model before it is evaluated."""

    def preset(self, task: Task, embedded: bool) -> BaseModel:
        """The configuration to train with on this task: the paper's, or the embedded world's. All of it is identity."""
        ...

    def train(self, context: TrainingContext, config: Any) -> None:
        """Trains context.policy in place. Killed and called again in the same folder, it ends with the same weights."""
        ...


class Metered(Engine, Protocol):
    """An engine whose tokens are paid for. account: what was spent since it was opened, by name (tokens, dollars)."""

    @property
    def account(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how to hold it.

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
    """What is registered as an engine: from a model to the engine that plays it. A function is enough.

    An opener may have an attribute `options`, a pydantic model of the --model-args that it takes beside those that
    every engine takes; ModelSpec.options is then one of these.
    """

    def __call__(self, spec: ModelSpec) -> Engine: ...


class RemoteOpener(Opener, Protocol):
    """Opens a model that has no weights here, and can therefore not be trained."""

    def identify(self, spec: ModelSpec) -> Mapping[str, Any]:
        """What tells this model from every other, in the place of its weights' digest; UserError if there is none."""
        ...
