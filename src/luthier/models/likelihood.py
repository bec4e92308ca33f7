"""How probable a model finds given answers; what several of them have before them is read once, where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from luthier.models.batch import Batch, micro_batches
from luthier.models.branches import branches
from luthier.models.encoder_decoder import start_id
from luthier.models.flat import branching
from luthier.models.forward import inference, scored_logits
from luthier.models.row_adapters import answered_by
from luthier.models.tokens import Encoded
from luthier.models.virtual_tokens import virtual_tokens

MOST_TOKENS = 8_192
"""Tokens in a batch, padding counted."""


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
    import torch
    from torch.nn.functional import cross_entropy

    results = [(0.0, 0)] * len(encoded)
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
                logits = scored_logits(model, batch)
            losses = cross_entropy(logits, batch.targets, reduction="none")
            sums = torch.zeros(len(batch.example_ids), dtype=torch.float64)
            sums.index_add_(0, batch.owners.cpu(), -losses.double().cpu())
            counts = torch.bincount(batch.owners.cpu(), minlength=len(batch.example_ids))
            for place, total, count in zip(batch.example_ids, sums.tolist(), counts.tolist(), strict=True):
                results[int(place)] = (total, count)
            done += len(batch.example_ids)
            on_progress(done, len(encoded))
    return results


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
