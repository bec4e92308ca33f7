"""How probable a model finds given answers; what several of them have before them is read once, where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch, micro_batches
from luthier.models.branches import branches
from luthier.models.encoder_decoder import start_id
from luthier.models.flat import branching
from luthier.models.forward import inference, scored_logits
from luthier.models.row_adapters import answered_by
from luthier.models.tokens import Encoded
from luthier.models.virtual_tokens import virtual_tokens

if TYPE_CHECKING:
    import torch

MOST_TOKENS = 8_192
"""Tokens in a batch, padding counted."""
_LOGITS_AT_ONCE = 2**24
"""Of which probabilities are taken together: 64 MiB in single precision."""


def likelihoods(
    model: Any,
    encoded: Sequence[Encoded],
    *,
    flat: bool,
    pad_id: int,
    adapters: Sequence[str] | None = None,
    most_tokens: int = MOST_TOKENS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[float, int]]:
    """The log-likelihood of every completion given its prompt, and how many tokens it sums over, in the given order.

    Args:
        model: a transformers decoder or encoder-decoder, plain or within peft.
        encoded: prompts with completions.
        flat: whether batches are flat rows (the model was switched by `use_flat_attention`) or padded.
        pad_id: any token that the model has.
        adapters: the name of the adapter that rates each, among those that are loaded (`row_adapters.BASE` for none);
            batches are padded then, for the sequences of a flat row have one adapter between them. None leaves it to
            the model.
        most_tokens: bounds a batch, padding counted.
        on_progress: told how many sequences are done, of how many.

    Returns:
        Sums of natural logarithms of the completion tokens' probabilities (the end of sequence included), with counts.
    """
    found = _rated(model, encoded, flat, pad_id, adapters, most_tokens, on_progress, greedy=False)
    return [(total, count) for total, count, _ in found]


def rated(
    model: Any,
    encoded: Sequence[Encoded],
    *,
    flat: bool,
    pad_id: int,
    adapters: Sequence[str] | None = None,
    most_tokens: int = MOST_TOKENS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[float, int, bool]]:
    """As `likelihoods`, with whether the completion is what greedy decoding would have written: at each of its places
    the most probable token."""
    return _rated(model, encoded, flat, pad_id, adapters, most_tokens, on_progress, greedy=True)


def _rated(
    model: Any,
    encoded: Sequence[Encoded],
    flat: bool,
    pad_id: int,
    adapters: Sequence[str] | None,
    most_tokens: int,
    on_progress: Callable[[int, int], None],
    *,
    greedy: bool,
) -> list[tuple[float, int, bool]]:
    import torch

    results = [(0.0, 0, False)] * len(encoded)
    # Several completions may share an example: their places in the list tell them apart.
    numbered = [replace(sequence, example_id=str(place)) for place, sequence in enumerate(encoded)]
    named = {} if adapters is None else {row.example_id: name for row, name in zip(numbered, adapters, strict=True)}
    done = 0
    with inference(model):
        device = next(model.parameters()).device
        for batch, parents in _batches(model, numbered, flat and adapters is None, pad_id, most_tokens):
            batch = batch.to(device)
            with (
                answered_by(model, [named[place] for place in batch.example_ids]) if named else nullcontext(),
                branching(parents),
            ):
                losses, hits = _foretold(model, batch, greedy)
            owners, rows = batch.owners.cpu(), len(batch.example_ids)
            sums = torch.zeros(rows, dtype=torch.float64).index_add_(0, owners, -losses.double().cpu()).tolist()
            counts = torch.bincount(owners, minlength=rows).tolist()
            misses = torch.bincount(owners[~hits.cpu()], minlength=rows).tolist()
            for place, total, count, missed in zip(batch.example_ids, sums, counts, misses, strict=True):
                results[int(place)] = (total, count, not missed)
            done += rows
            on_progress(done, len(encoded))
    return results


def _foretold(model: Any, batch: Batch, greedy: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each target its negative log-likelihood, and whether it is the most probable token (if that is asked);
    `(n,)` both. The logits behind a prompt are computed once for all of its completions."""
    import torch

    places: Any = slice(None)
    if batch.scored is not None:
        scored, places = batch.scored.unique(return_inverse=True)
        batch = replace(batch, scored=scored)
    logits = scored_logits(model, batch)
    hits = logits.argmax(-1)[places] == batch.targets if greedy else torch.ones_like(batch.targets, dtype=torch.bool)
    rows = torch.arange(len(logits), device=logits.device)[places]
    return -_log_likelihoods(logits, rows, batch.targets), hits


def _log_likelihoods(logits: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of each target in its row of the logits, `(n,)`; part by part, so that no second `(rows, vocabulary)` is held."""
    import torch

    found = torch.empty_like(targets, dtype=logits.dtype)
    step = max(1, _LOGITS_AT_ONCE // logits.shape[-1])
    for first in range(0, len(logits), step):
        part = logits[first : first + step].log_softmax(-1)
        mine = (rows >= first) & (rows < first + len(part))
        found[mine] = part[rows[mine] - first, targets[mine]]
    return found


def _batches(
    model: Any, encoded: Sequence[Encoded], flat: bool, pad_id: int, most_tokens: int
) -> list[tuple[Batch, tuple[int, ...]]]:
    """Batches, with what their sequences go on from where they share it: in a flat row alone, and behind no virtual
    tokens, which would stand before every piece."""
    start = start_id(model)
    if flat and not virtual_tokens(model):
        shared = branches(encoded, most_tokens=most_tokens, start_id=start)
        if shared is not None:
            return shared
    batches = micro_batches(encoded, flat=flat, most_tokens=most_tokens, pad_id=pad_id, start_id=start)
    return [(batch, ()) for batch in batches]
