"""The sequences of a batch one by one, each as a batch of its own: for what is asked of single examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch

if TYPE_CHECKING:
    import torch


def singly(batch: Batch) -> Iterator[Batch]:
    """Each sequence with its own targets, without padding; their losses sum to that of the batch.

    Args:
        batch: flat, padded, of pairs or with labels; where `scored` is None, all rows have a label each.
    """
    if batch.decoder_lengths:
        yield from _of_flat_pairs(batch)
        return
    begin = 0
    for number, length in enumerate(batch.lengths):
        yield _of_flat(batch, number, begin, length)
        begin += length
    for row in range(0 if batch.lengths else len(batch.input_ids)):
        yield _of_rows(batch, row)


def _of_flat(batch: Batch, number: int, begin: int, length: int) -> Batch:
    assert batch.position_ids is not None
    here = slice(begin, begin + length)
    return replace(
        batch,
        input_ids=batch.input_ids[:, here],
        position_ids=batch.position_ids[:, here],
        lengths=(length,),
        tokens=length,
        **_targets(batch, number, begin),
    )


def _of_flat_pairs(batch: Batch) -> Iterator[Batch]:
    assert batch.decoder_input_ids is not None
    prompts = batch.input_ids.split(list(batch.lengths), dim=1)
    answers = batch.decoder_input_ids.split(list(batch.decoder_lengths), dim=1)
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        yield replace(
            batch,
            input_ids=prompt,
            decoder_input_ids=answer,
            lengths=(prompt.shape[1],),
            decoder_lengths=(answer.shape[1],),
            tokens=prompt.shape[1] + answer.shape[1],
            **_targets(batch, number, 0),
        )


def _of_rows(batch: Batch, row: int) -> Batch:
    input_ids, attention_mask = _row(batch.input_ids, batch.attention_mask, row)
    own: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask, "tokens": input_ids.shape[1]}
    width = batch.input_ids.shape[1]
    if batch.decoder_input_ids is not None:
        width = batch.decoder_input_ids.shape[1]
        decoder_ids, decoder_mask = _row(batch.decoder_input_ids, batch.decoder_attention_mask, row)
        own |= {"decoder_input_ids": decoder_ids, "decoder_attention_mask": decoder_mask}
        own["tokens"] += decoder_ids.shape[1]
    return replace(batch, **own, **_targets(batch, row, row * width))


def _row(ids: torch.Tensor, mask: torch.Tensor | None, row: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One row, cut where its padding begins."""
    length = ids.shape[1] if mask is None else int(mask[row].sum())
    return ids[row : row + 1, :length], None if mask is None else mask[row : row + 1, :length]


def _targets(batch: Batch, owner: int, begin: int) -> dict[str, Any]:
    """What is scored of one sequence, counted from where it begins."""
    own = batch.owners == owner
    return {
        "scored": None if batch.scored is None else batch.scored[own] - begin,
        "targets": batch.targets[own],
        "owners": batch.owners[own] * 0,
        "example_ids": batch.example_ids[owner : owner + 1],
        "tasks": batch.tasks[owner : owner + 1],
    }
