"""What lm-eval asks of a written answer, in our words: its settings and stop texts, and a name that seeds its draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import digest
from luthier.models.sampling import Sampling

MAX_GEN_TOKS = 256
"""Tokens of an answer where the task does not say; lm-eval's default."""
_SAMPLING = ("temperature", "top_k", "top_p", "repetition_penalty")


def as_sampling(settings: Mapping[str, Any], end: str) -> Sampling:
    """A task's generation_kwargs, as lm-eval reads them: greedy unless `do_sample` or a temperature says otherwise.

    Args:
        settings: `until`, `max_gen_toks` (or one of its other names), `do_sample`, and what sampling takes.
        end: the text of the token that ends a text, which is a stop text always.

    Raises:
        LuthierError: a way of decoding that is not known.
    """
    from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs

    given: dict[str, Any] = {**normalize_gen_kwargs(dict(settings), MAX_GEN_TOKS)}
    stops = handle_stop_sequences(given.pop("until"), eos=end)
    limit, sampled = given.pop("max_gen_toks"), given.pop("do_sample")
    chosen = {name: given.pop(name) for name in _SAMPLING if name in given}
    if given:
        raise LuthierError(
            f"{next(iter(given))}: this way of decoding is not known",
            where="generation_kwargs",
            mend=f"one of until, max_gen_toks, do_sample, {', '.join(_SAMPLING)}",
        )
    if not sampled:
        chosen = {name: value for name, value in chosen.items() if name == "repetition_penalty"}
    return Sampling(max_new_tokens=limit, stop=tuple(stop for stop in stops if stop), **chosen)


def answer_tokens(settings: Mapping[str, Any]) -> int:
    """The most tokens that a task's generation_kwargs give an answer, by whichever of its names."""
    from lm_eval.models.utils import normalize_gen_kwargs

    return int(normalize_gen_kwargs(dict(settings), MAX_GEN_TOKS)["max_gen_toks"])


def request_names(contexts: Sequence[str]) -> list[str]:
    """A name for each, whatever else is asked: the text's digest, and how often it was asked before."""
    asked: Counter[str] = Counter()
    names = []
    for context in contexts:
        names.append(f"{digest(context)}-{asked[context]}")
        asked[context] += 1
    return names


def cut(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of the stop texts."""
    for stop in stops:
        text = text.split(stop)[0]
    return text
