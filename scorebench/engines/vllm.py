"""The vllm engine: vLLM's asynchronous engine, with prefix caching, in processes of its own beside this one.

Ids go in and come out, as with the hf engine; sampling, ends of turns and stop strings mean the same. What it covers
and hf does not: several GPUs, quantised weights, layers with recurrent state. A reply's draws depend on its seed alone,
but on a GPU rounding depends on the batch, so a near tie may fall differently from one run to the next.
"""

# pyright: reportMissingImports=false
# vLLM is optional, and mostly not installed where types are checked.

from __future__ import annotations

import asyncio
import os
import tempfile
import weakref
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from scorebench.api import distributed
from scorebench.api.chat import Chat
from scorebench.api.errors import EngineError, UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Message, Reply, Sampling
from scorebench.engines.context import beyond_context
from scorebench.engines.loading import end_ids, load_generation_config, load_tokenizer, resolved_device
from scorebench.engines.stops import cut_at_stop

_SLOTS = 256  # replies in the making at once, where --batch-size says nothing
_CPU_CACHE = 2 << 30  # bytes; vLLM's own default is nearly all of the machine's memory
_TRAINING_SHARE = 0.4  # of a GPU's memory; the rest is the trainer's
# vLLM reads these when it is imported. This process has threads, so its children cannot be forks.
_ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}

Count = Annotated[int, Field(ge=1)]


class Options(BaseModel):
    """What --model-args takes for vLLM, under vLLM's own names; what is not said is as vLLM has it.

    gpu_memory_utilization: share of a GPU's memory for weights and cache; in training, 0.4 where it is not said.
    kv_cache_memory_bytes: bytes for the cache, whatever the share; on a CPU, 2 GiB where neither is said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tensor_parallel_size: Count | None = None
    pipeline_parallel_size: Count | None = None
    data_parallel_size: Count | None = None
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    kv_cache_memory_bytes: Count | None = None
    block_size: Count | None = None
    max_num_batched_tokens: Count | None = None
    quantization: str | None = None
    revision: str | None = None
    trust_remote_code: bool | None = None
    enforce_eager: bool | None = None


class VLLMEngine:
    """Continues conversations with one model in vLLM.

    vLLM's tasks belong to one event loop, and every run has its own; so vLLM's is in a thread beside them. vLLM's
    processes end with close(), when the engine is let go of, or with this process.

    Raises UserError where vLLM cannot start, or has died: with it, nothing more can be played.
    """

    name = "vllm"

    def __init__(
        self,
        arguments: dict[str, Any],
        tokenizer: Any,
        ends: set[int],
        system_prompt: str | None,
        template_args: Mapping[str, Any],
    ) -> None:
        self.tokenizer = tokenizer
        self.chat = Chat(tokenizer, system_prompt, template_args, ends)
        self.ends = sorted(ends)
        self.at_once = 2 * arguments["max_num_seqs"]
        self._numbers = count()
        self._loop = asyncio.new_event_loop()
        thread = Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        thread.start()
        try:
            self._llm = asyncio.run_coroutine_threadsafe(_start(arguments), self._loop).result()
        except Exception as fault:  # vLLM raises a dozen kinds; its processes have said more, above
            _stop(None, self._loop, thread)
            reason = " ".join(str(fault).split())[:300]
            raise UserError(
                f"vLLM cannot start with the model {arguments['model']!r} ({type(fault).__name__}: {reason}); change "
                "--context-length or --model-args (gpu_memory_utilization, tensor_parallel_size), or take --engine hf."
            ) from fault
        self.context: int = self._llm.model_config.max_model_len
        self.close = weakref.finalize(self, _stop, self._llm, self._loop, thread)

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        room = min(sampling.max_tokens, self.context - len(prompt_ids))
        if room <= 0:
            return beyond_context(prompt_ids, messages, self.context)
        try:
            output = await self._do(self._generate(prompt_ids, self._parameters(sampling, room, seed)))
        except EngineDeadError as fault:
            raise UserError(
                "vLLM's processes have died; see what they said above. The same command goes on from here."
            ) from fault
        except EngineGenerateError as fault:
            raise EngineError(f"vLLM gave no reply ({fault.__cause__ or fault})") from fault
        return self._as_reply(prompt_ids, output, sampling)

    async def push(self, policy: Any) -> None:
        """Plays with the policy's weights as they are now; between dialogues only.

        They go through files in the folder for temporary ones (TMPDIR), the one way that every device and every
        number of workers takes. An adapter is added in, rounded as the weights are; the cache is dropped.
        """
        from scorebench.engines.export import save_plain

        with tempfile.TemporaryDirectory(prefix="scorebench-weights-") as folder:
            save_plain(policy, Path(folder))
            await self._do(self._llm.collective_rpc("take_weights", args=(folder,)))
        if not await self._do(self._llm.reset_prefix_cache()):
            raise RuntimeError("vLLM kept its cache when the weights changed: dialogues were still going on")

    def forget(self) -> None:
        """VLLM's memory is set aside for it, and of no use to a trainer."""

    async def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _generate(self, prompt_ids: tuple[int, ...], parameters: Any) -> Any:
        from vllm.inputs import TokensPrompt

        prompt = TokensPrompt(prompt_token_ids=list(prompt_ids))
        outputs = [o async for o in self._llm.generate(prompt, parameters, request_id=str(next(self._numbers)))]
        return outputs[-1]

    def _parameters(self, sampling: Sampling, room: int, seed: int) -> Any:
        """The same sampling in vLLM's words. Ends of turns are ours, so vLLM's idea of them is switched off."""
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        if 0 < sampling.temperature < 0.01 or sampling.temperature > 2:
            raise UserError("vLLM samples at temperatures from 0.01 to 2, or greedily at 0; change --temperature.")
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            repetition_penalty=sampling.repetition_penalty,
            seed=seed,
            max_tokens=room,
            stop=list(sampling.stop),
            stop_token_ids=self.ends,
            ignore_eos=True,
            logprobs=0,  # the sampled token's alone
            detokenize=bool(sampling.stop),  # the text is made here, as in hf
            skip_special_tokens=False,  # so that a special token can be a stop string
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _as_reply(self, prompt_ids: tuple[int, ...], output: Any, sampling: Sampling) -> Reply:
        said = output.outputs[0]
        if said.finish_reason not in ("stop", "length"):
            raise EngineError(f"vLLM broke off the reply ({said.finish_reason})")
        ids = tuple(said.token_ids)
        cut = cut_at_stop(self.tokenizer, ids, sampling.stop) if isinstance(said.stop_reason, str) else None
        text, kept, whole = cut or (self.tokenizer.decode(ids, skip_special_tokens=True), ids, len(ids))
        return Reply(
            text=text,
            token_ids=kept,
            logprobs=_logprobs(said)[:whole] if _whole(sampling) and whole == len(kept) else (),
            finish_reason=said.finish_reason,
            prompt_ids=prompt_ids,
            tokens=len(ids),
            prompt_tokens=len(prompt_ids),
            computed_tokens=len(prompt_ids) - (output.num_cached_tokens or 0),
        )


def _logprobs(said: Any) -> tuple[float, ...]:
    return tuple(step[token].logprob for token, step in zip(said.token_ids, said.logprobs, strict=True))


def _whole(sampling: Sampling) -> bool:
    """Whether the distribution is not truncated; vLLM knows the probabilities after truncation only."""
    return sampling.temperature == 0 or (sampling.top_p >= 1 and not sampling.top_k)


async def _start(arguments: dict[str, Any]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))


def _stop(llm: Any, loop: asyncio.AbstractEventLoop, thread: Thread) -> None:
    """Ends vLLM's processes, then the loop. It runs when the engine is gone, so it holds the parts, not the engine."""

    async def shut_down() -> None:
        if llm:
            llm.shutdown()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(shut_down(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _arguments(spec: ModelSpec, options: Options) -> dict[str, Any]:
    """The engine's arguments in vLLM's names. Log-probabilities are those of the distribution drawn from."""
    here = resolved_device(replace(spec, device="auto"))
    if spec.device not in ("auto", here):
        raise UserError(
            f"The vllm engine runs on {here} here and knows no --device {spec.device}; choose GPUs by setting "
            "CUDA_VISIBLE_DEVICES."
        )
    given = options.model_dump(exclude_none=True)
    if here == "cpu" and not {"gpu_memory_utilization", "kv_cache_memory_bytes"} & given.keys():
        given["kv_cache_memory_bytes"] = _CPU_CACHE
    if spec.context_length:
        given["max_model_len"] = spec.context_length
    return {
        "model": spec.path,
        "dtype": ("bfloat16" if here == "cuda" else "float32") if spec.dtype == "auto" else spec.dtype,
        "max_num_seqs": spec.batch_size or _SLOTS,
        "enable_prefix_caching": True,
        "logprobs_mode": "processed_logprobs",
        "worker_extension_cls": "scorebench.engines.vllm_worker.TakesWeights",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **given,
    }


@dataclass(frozen=True)
class _Opener:
    """`--engine vllm`."""

    options: type[Options] = Options

    def __call__(self, spec: ModelSpec) -> VLLMEngine:
        if find_spec("vllm") is None:
            raise UserError("vLLM is not installed; install it with pip install 'scorebench[vllm]', or --engine hf.")
        os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
        tokenizer = load_tokenizer(spec)
        ends = end_ids(load_generation_config(spec), tokenizer)
        arguments = _arguments(spec, spec.options or Options())
        return VLLMEngine(arguments, tokenizer, ends, spec.system_prompt, spec.template_args)


open_engine = _Opener()


def open_for_training(spec: ModelSpec) -> VLLMEngine:
    """The engine of a training's rollouts, which leaves room on the GPU for the trainer. Weights come by push()."""
    if distributed.count() > 1:
        raise UserError("Under torchrun each process plays its own rollouts, without vLLM; take --engine hf.")
    options: Options = spec.options or Options()
    if options.gpu_memory_utilization is None and resolved_device(replace(spec, device="auto")) == "cuda":
        options = options.model_copy(update={"gpu_memory_utilization": _TRAINING_SHARE})
    return open_engine(replace(spec, options=options))
