"""Text from a model: sorted batches, finished rows dropped, a random stream and a limit for every request.

The loop is our own. transformers' `generate` keeps computing the rows that have finished, draws all rows from one
random state, and knows neither stop texts nor limits of a single row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from luthier.core.errors import LuthierError
from luthier.models.branches import common_beginning
from luthier.models.cached import CachedRows, takes_padding
from luthier.models.encoder_decoder import CachedAnswers, start_ids
from luthier.models.flat_prefill import read_beginning
from luthier.models.forward import inference
from luthier.models.row_adapters import BASE, answered_by
from luthier.models.sampling import Sampling, choose, random_stream
from luthier.models.virtual_tokens import virtual_tokens

if TYPE_CHECKING:
    import torch

MOST_ROWS = 64
"""Rows in a batch. Of 64 prompts of 200 tokens, 31 new ones on average (10M parameters, one thread), 64 rows took 0.88
of the time of 32, since finished rows leave and prompts are not padded; padded, they took as long."""
MOST_TOKENS = 16_384
"""Slots of the key-value cache in a batch, prompts and answers together: what bounds the memory."""

_BROKEN = 4
"""Tokens more, so that a letter whose bytes are cut apart does not hide what comes after it."""

Finish = Literal["stop", "stop_sequence", "length"]


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        ids: the tokens generated, the one that ended it included.
        text: their text, up to the first stop text.
        finish: `stop` (a stop token), `stop_sequence` (a stop text) or `length`.
        prompt_tokens: of the prompt, without virtual tokens.
        limit: the most tokens that it could have: `max_new_tokens`, or less where the context ends sooner.
    """

    ids: tuple[int, ...]
    text: str
    finish: Finish
    prompt_tokens: int
    limit: int


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    request_ids: Sequence[str],
    sampling: Sampling,
    stop_ids: AbstractSet[int],
    pad_id: int,
    decode: Callable[[Sequence[int]], str],
    context: int | None = None,
    adapters: Sequence[str] | None = None,
    flat: bool = False,
    most_rows: int = MOST_ROWS,
    most_tokens: int = MOST_TOKENS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Generated]:
    """Continue every prompt; the answers come in the order of the prompts.

    An answer is a function of its prompt, its request id and the settings: what else is in the batch matters no more
    than rounding does.

    Args:
        model: a transformers decoder or encoder-decoder, plain or within peft (adapters and soft prompts alike).
        prompts: ids, one row each.
        request_ids: one per prompt; it seeds the request's draws and names it in errors.
        sampling: the settings.
        stop_ids: tokens that end an answer.
        pad_id: any token that the model has.
        decode: ids to text, white space at its ends kept (a stop text may be a line end); it drops special tokens.
        context: the most positions that the model takes, virtual tokens included; None for no limit. An encoder and
            its decoder have so many each.
        adapters: the name of the adapter that answers each prompt, among those that are loaded (`row_adapters.BASE` for
            none); None leaves it to the model.
        flat: whether prompts may be read in flat rows (the model was switched by `use_flat_attention`), what all begin
            with once; with `adapters`, virtual tokens or an encoder they are read in padded rows all the same.
        most_rows, most_tokens: bounds of a batch.
        on_progress: told how many answers are finished, of how many.

    Raises:
        LuthierError: a prompt leaves no room for an answer, or the model gives NaN.
    """
    virtual, start = virtual_tokens(model), start_ids(model)
    rows = [
        _Row(
            request_id,
            prompt,
            start,
            _limit(request_id, len(prompt) + virtual, start, sampling, context),
            sampling,
            name,
        )
        for prompt, request_id, name in zip(prompts, request_ids, adapters or [BASE] * len(prompts), strict=True)
    ]
    in_a_row = flat and adapters is None and not virtual and not start
    with inference(model):
        shared = common_beginning(prompts) if in_a_row else 0
        beginning = read_beginning(model, prompts[0][:shared]) if shared else None
        read = partial(CachedRows, flat=in_a_row, beginning=beginning)
        opened = CachedAnswers if start else read
        for batch in _batches(model, rows, virtual, most_rows, most_tokens):
            names = [row.adapter for row in batch]
            with nullcontext() if adapters is None else answered_by(model, names):
                for _ in _answer(opened, model, batch, names, sampling, stop_ids, pad_id, decode):
                    on_progress(sum(row.finish is not None for row in rows), len(rows))
    return [row.generated() for row in rows]


class _Row:
    """One request on its way."""

    def __init__(
        self,
        request_id: str,
        prompt: Sequence[int],
        start: Sequence[int],
        limit: int,
        sampling: Sampling,
        adapter: str,
    ):
        self.request_id = request_id
        self.prompt = prompt
        self.before = start or prompt  # what the decoder has read when the answer begins
        self.limit = limit
        self.adapter = adapter
        self.stream = random_stream(sampling.seed, request_id)
        # Tokens that a stop text which has just ended stands in: each has a byte of it at least.
        self.tail = max((len(text.encode()) for text in sampling.stop), default=0) + _BROKEN
        self.ids: list[int] = []
        self.text = ""
        self.finish: Finish | None = None

    def add(self, token: int, stop_ids: AbstractSet[int], stop: Sequence[str], decode: Callable[..., str]) -> None:
        """Take the next token, and see whether the answer ends with it."""
        self.ids.append(token)
        if token in stop_ids:
            self.finish = "stop"
        elif len(self.ids) == self.limit:
            self.finish = "length"
        # The whole text is read only where something ends: at every token it would take a square of them.
        if not self.finish and not (stop and _first(stop, decode(self.ids[-self.tail :])) is not None):
            return
        text = decode(self.ids[:-1] if self.finish == "stop" else self.ids)
        place = _first(stop, text)
        if place is not None:
            text = text[:place]
            self.finish = "stop_sequence"
        if self.finish:
            self.text = text.strip()

    def generated(self) -> Generated:
        assert self.finish is not None
        return Generated(tuple(self.ids), self.text, self.finish, len(self.prompt), self.limit)


def _first(stop: Sequence[str], text: str) -> int | None:
    """Where the first of the stop texts begins; None where none is there."""
    return min((place for place in map(text.find, stop) if place >= 0), default=None)


def _limit(request_id: str, prompt: int, start: Sequence[int], sampling: Sampling, context: int | None) -> int:
    """The most tokens of an answer whose prompt takes so many positions; a decoder with an encoder counts its own."""
    if context is None:
        return sampling.max_new_tokens
    limit = min(sampling.max_new_tokens, context - (len(start) - 1 if start else prompt))
    if limit < 1 or prompt > context:
        raise LuthierError(
            f"the prompt takes {prompt} positions of the model's {context}: there is no room for an answer",
            where=f"example {request_id}",
            mend="shorten or leave out this example, use fewer shots, or take a model with a longer context",
        )
    return limit


def _batches(model: Any, rows: Sequence[_Row], virtual: int, most_rows: int, most_tokens: int) -> Iterator[list[_Row]]:
    """Neighbours in length together, the longest first: if memory does not suffice, that shows at once."""
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: -len(row.prompt)):
        if batch:
            slots = virtual + len(batch[0].prompt) + max(row.limit, *(other.limit for other in batch))
            alike = len(row.prompt) == len(batch[0].prompt) or takes_padding(model, slots)
            if len(batch) == most_rows or (len(batch) + 1) * slots > most_tokens or not alike:
                yield batch
                batch = []
        batch.append(row)
    if batch:
        yield batch


def _answer(
    opened: Callable[..., CachedRows | CachedAnswers],
    model: Any,
    rows: list[_Row],
    names: list[str],
    sampling: Sampling,
    stop_ids: AbstractSet[int],
    pad_id: int,
    decode: Callable[[Sequence[int]], str],
) -> Iterator[None]:
    """Finish these rows; yields whenever some have finished. `names`, of their adapters, are dropped with them."""
    import torch

    cached = opened(model, [row.prompt for row in rows], pad_id, room=max(row.limit for row in rows))
    seen = _seen(rows, cached.logits) if sampling.repetition_penalty != 1 else None
    while True:
        if bool(cached.logits.isnan().any()):
            raise LuthierError(
                "the model gives NaN instead of probabilities",
                where=f"one of the examples {', '.join(row.request_id for row in rows)}",
                mend="check the training that made it (a lower learning rate), or use bfloat16 or float32",
                exit_code=1,
            )
        tokens = choose(cached.logits, seen, sampling, [row.stream for row in rows])
        for row, token in zip(rows, tokens.tolist(), strict=True):
            row.add(token, stop_ids, sampling.stop, decode)
        left = _left(rows)
        if len(left) < len(rows):
            yield
            if not left:
                return
            rows = [rows[place] for place in left]
            names[:] = [row.adapter for row in rows]
            kept = torch.tensor(left, device=tokens.device)
            tokens = tokens[kept]
            cached.keep(kept)
            seen = None if seen is None else seen[kept]
        if seen is not None:
            seen[torch.arange(len(rows), device=seen.device), tokens] = True
        cached.step(tokens)


def _left(rows: Sequence[_Row]) -> list[int]:
    """The places of the unfinished rows; the last ones stand in for finished ones, so that the others need not move."""
    left = [place for place, row in enumerate(rows) if row.finish is None]
    last = [place for place in left if place >= len(left)]
    return [place if rows[place].finish is None else last.pop() for place in range(len(left))]


def _seen(rows: Sequence[_Row], logits: torch.Tensor) -> torch.Tensor:
    """`(row, vocabulary)`, true on the tokens that the decoder has read: the prompt's, where it has no encoder."""
    import torch

    seen = torch.zeros_like(logits, dtype=torch.bool)
    for index, row in enumerate(rows):
        seen[index, torch.tensor(row.before, device=seen.device)] = True
    return seen
