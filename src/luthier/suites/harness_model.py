"""A judged model behind lm-eval's `LM` interface: the harness's task logic at our speed.

It gives what lm-eval's own HF backend gives (`lm_eval/models/huggingface.py`; Gao et al., doi 10.5281/zenodo.10256836):
the same tokens of context and continuation, the same truncation, the same stops. What differs is how it is computed:
what prompts begin with is read once (`models/branches.py`), rows are not padded, logits are taken where they are read,
and answers that have ended are no longer computed (`models/generate.py`). In three places that backend's answer goes on
behind its end, some of it by what else is in the batch, and ours does not:

- a stop text that is a special token ends an answer; there, text after it appears where the batch goes on;
- behind an encoder an answer has `max_gen_toks` tokens; there, as many more as the batch's longest prompt has;
- where the chat template is asked for, the token that ends a turn ends an answer; there, the next turn follows.

This module imports lm-eval, which takes seconds: import it within functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import resolve_max_length
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from luthier.core.errors import LuthierError
from luthier.core.settings import digest
from luthier.core.types import Listener, Progress, ignore
from luthier.models.branches import families
from luthier.models.generate import MOST_ROWS, generate
from luthier.models.likelihood import rated
from luthier.models.tokens import Encoded
from luthier.models.virtual_tokens import virtual_tokens
from luthier.suites.harness_answers import as_sampling, cut, request_names
from luthier.suites.judged import Judged

_CACHE_SLOTS = 131_072
"""Slots of the key-value cache in a batch of answers, where a slot is small."""
_CACHE_BYTES = 1 << 30
"""What the key-value cache of a batch may take."""
_Asked = tuple[Any, list[int], list[int]]
"""What the harness's cache calls a request, its context and its continuation."""


class HarnessModel(TemplateLM):
    """What lm-eval asks, answered by a judged model.

    Args:
        judged: the model.
        listener: told of progress, in the phases `likelihoods` and `generate`.

    The context is what the model's configuration says, and 2048 tokens where that names none (lm-eval's default);
    virtual tokens take their part of it. Whether a text begins with BOS is the tokenizer's matter (lm-eval's default).
    """

    def __init__(self, judged: Judged, *, listener: Listener = ignore):
        super().__init__()
        self.judged = judged
        self.tokenizer = judged.tokenizer
        self.backend = "seq2seq" if judged.renderer.pairs else "causal"
        self.max_length = resolve_max_length(judged.model.config, self.tokenizer) - virtual_tokens(judged.model)
        self._device = judged.device
        self._listener = listener
        self._prefix_text = self.tokenizer.decode([self.prefix_token_id])
        self._in_turns = False
        # The choices of an item have their context in common, and come one after the other. What is kept must not hold
        # this object, which holds the model: a cycle is freed late, and the next model is loaded beside this one.
        self._ids_of_context = lru_cache(maxsize=64)(partial(_ids, self.tokenizer, self._prefix_text))

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return self.judged.renderer.eos_id

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has no context: BOS, or else the end of the text before it."""
        bos: int | None = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else bos

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer in the harness's request cache."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as the model's template writes it, without its system turn where the template refuses that.

        From here on the token that ends a turn ends an answer too.
        """
        import jinja2

        self._in_turns = True

        def rendered(turns: list[dict[str, str]]) -> str:
            text: str = self.tokenizer.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
            return text

        try:
            return rendered(chat_history)
        except jinja2.exceptions.TemplateError:
            return rendered([turn for turn in chat_history if turn["role"] != "system"])

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """The ids of a text; None leaves special tokens to the tokenizer, and takes none where it begins with BOS."""
        return list(self._ids_of_context(string, add_special_tokens))

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of each (context, continuation) the continuation's log-likelihood, a sum of natural logarithms, and whether
        greedy decoding would have written it.

        Raises:
            LuthierError: a continuation has no token of its own, or more than the context.
        """
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Of each text the log-likelihood of all its tokens, in windows as long as the context, each token once."""
        windows: list[_Asked] = []
        owners: list[int] = []
        for place, request in enumerate(requests):
            ids: list[int] = self.tok_encode(request.args[0])
            for window in get_rolling_token_windows(
                token_list=ids, prefix_token=self.prefix_token_id, max_seq_len=self.max_length, context_len=1
            ):
                windows.append((None, *make_disjoint_window(window)))
                owners.append(place)
        totals = [0.0] * len(requests)
        for place, (total, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[place] += total
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each context, up to the first stop text, white space at its ends kept.

        Raises:
            LuthierError: a task asks for more tokens than the context has, or for a way of decoding that is not known.
        """
        texts = [""] * len(requests)
        names = request_names([request.args[0] for request in requests])
        alike: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            alike.setdefault(digest(request.args[1]), []).append(place)
        done = 0
        for places in alike.values():
            contexts = [requests[place].args[0] for place in places]

            def tell(of_group: int, _: int, before: int = done) -> None:
                self._tell("generate", before + of_group, len(requests))

            written = self._write(contexts, [names[place] for place in places], requests[places[0]].args[1], tell)
            for place, text in zip(places, written, strict=True):
                texts[place] = text
                self.cache_hook.add_partial("generate_until", requests[place].args, text)
            done += len(places)
        return texts

    def _loglikelihood_tokens(
        self, requests: Sequence[_Asked], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        found = rated(
            self.judged.model,
            [self._row(str(place), *request) for place, request in enumerate(requests)],
            flat=self.judged.flat,
            pad_id=self.judged.renderer.pad_id,
            on_progress=lambda done, total: self._tell("likelihoods", done, total),
        )
        answers = [(total, greedy) for total, _, greedy in found]
        for request, answer in zip(requests, answers, strict=True):
            if request[0] is not None:  # None for a window of a text, which is kept as a whole
                self.cache_hook.add_partial("loglikelihood", request[0], answer)
        return answers

    def _row(self, name: str, asked: Any, context: list[int], continuation: list[int]) -> Encoded:
        """What the model reads, cut on the left to what it can."""
        if not 0 < len(continuation) <= self.max_length:
            raise LuthierError(
                f"a continuation has {len(continuation)} tokens, and 1 to {self.max_length} can be rated",
                where=repr(asked),
                mend="mend the task's choices (doc_to_choice), or leave this item out",
            )
        if self.backend == "seq2seq":
            read = context[-self.max_length :]
            return Encoded(name, (*read, *continuation), len(read))
        # The last token is foretold and never read, so there is room for one more.
        ids = (*context, *continuation)[-(self.max_length + 1) :]
        return Encoded(name, ids, len(ids) - len(continuation))

    def _write(
        self,
        contexts: Sequence[str],
        names: Sequence[str],
        settings: Mapping[str, Any],
        tell: Callable[[int, int], None],
    ) -> list[str]:
        """The answers of requests that are asked for alike."""
        sampling = as_sampling(settings, self.tokenizer.decode([self.eot_token_id]))
        room = self.max_length - (sampling.max_new_tokens if self.backend == "causal" else 0)
        if room < 1:
            raise LuthierError(
                f"the task asks for {sampling.max_new_tokens} tokens, and the model's context is {self.max_length}",
                where="max_gen_toks",
                mend="ask for fewer (max_gen_toks), or take a model with a longer context",
            )
        prompts = [self._prompt(context)[-room:] for context in contexts]
        stop_ids = self._stop_ids(sampling.stop)
        texts = [""] * len(prompts)
        done = 0
        for places in families(prompts):

            def told(of_family: int, _: int, before: int = done) -> None:
                tell(before + of_family, len(prompts))

            found = generate(
                self.judged.model,
                [prompts[place] for place in places],
                request_ids=[names[place] for place in places],
                sampling=sampling,
                stop_ids=stop_ids,
                pad_id=self.judged.renderer.pad_id,
                decode=self._decode,
                context=self.judged.files.context,
                flat=self.judged.flat,
                most_rows=MOST_ROWS,
                most_tokens=self._cache_slots(),
                on_progress=told,
            )
            done += len(places)
            for place, answer in zip(places, found, strict=True):
                ids = answer.ids[:-1] if answer.ids[-1] in stop_ids else answer.ids
                texts[place] = cut(self._decode(ids), sampling.stop)
        return texts

    def _stop_ids(self, stops: Sequence[str]) -> frozenset[int]:
        """The tokens that end an answer: those of the model's generation settings, and stop texts that are tokens."""
        model = self.judged.model
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        named = base.generation_config.eos_token_id
        of_model = [] if named is None else [named] if isinstance(named, int) else list(named)
        special = self.tokenizer.added_tokens_decoder
        as_text = [number for number, token in special.items() if token.special and token.content in stops]
        turns = self.judged.renderer.stop_ids if self._in_turns else ()
        return frozenset({self.eot_token_id, *of_model, *as_text, *turns})

    def _prompt(self, context: str) -> list[int]:
        """The ids of a context to go on from."""
        if self.backend == "seq2seq":
            return list(_encode(self.tokenizer, context, None))
        bos = self.tokenizer.bos_token
        return list(_encode(self.tokenizer, context, False if bos and context.startswith(bos) else None))

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _cache_slots(self) -> int:
        config = self.judged.model.config.get_text_config(decoder=True)
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = 2 * width * heads * config.num_hidden_layers * self.judged.model.dtype.itemsize
        return max(1, min(_CACHE_SLOTS, _CACHE_BYTES // size))

    def _tell(self, phase: str, done: int, total: int) -> None:
        self._listener(Progress(self.judged.name, phase, done, total))


def _ids(tokenizer: Any, prefix: str, text: str, special: bool | None) -> tuple[int, ...]:
    return _encode(tokenizer, text, False if special is None and text.startswith(prefix) else special)


def _encode(tokenizer: Any, text: str, special: bool | None) -> tuple[int, ...]:
    given = {} if special is None else {"add_special_tokens": special}
    return tuple(tokenizer.encode(text, verbose=False, **given))
