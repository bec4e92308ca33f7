"""Soft prompts in a flat row: virtual tokens in front of every sequence of it.

    [P; x_1; x_2; ...]  ->  [P; x_1; P; x_2; ...]        positions and attention restart at every P

peft puts one prompt in front of a row, whatever stands in it. Here a hook on the model below lays the row out anew when
peft hands it on, so that everything around the model (autocast, wrappers) is as in any other pass. Where tasks have
prompts of their own, peft hands on one for each sequence, `[P_1; P_2; ...; x_1; x_2; ...]`.

A prefix of keys and values needs no such layout: it stands in the cache once, and attention puts it in front of every
sequence (`models/flat.py`); peft moves the positions that it is given behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate, cycle
from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch
from luthier.models.virtual_tokens import tokens_in_row

if TYPE_CHECKING:
    import torch


@contextmanager
def prompt_before_each(model: Any, batch: Batch) -> Iterator[Batch]:
    """Within it, the model puts its soft prompt in front of every sequence of a flat row, not of the row alone.

    Args:
        model: a transformers decoder, plain or within peft.
        batch: of any shape; only a flat one for a model with virtual tokens in the row is changed.

    Yields:
        The batch as the model below will see it: `lengths` and `scored` count the virtual tokens, which are not scored.
        `input_ids` are as they were, for peft makes embeddings of them, and `position_ids` are None, for it takes none.
    """
    count = tokens_in_row(model) if batch.lengths else 0
    if not count:
        yield batch
        return
    lengths = tuple(count + length for length in batch.lengths)
    positions, places = _positions_and_places(lengths, count, batch.input_ids.device)

    def lay_out(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, {
            **named,
            "inputs_embeds": _laid_out(named["inputs_embeds"], batch.lengths, count),
            "position_ids": positions,
        }

    hook = model.get_base_model().register_forward_pre_hook(lay_out, with_kwargs=True)
    try:
        scored = places if batch.scored is None else places[batch.scored]
        yield replace(batch, position_ids=None, scored=scored, lengths=lengths)
    finally:
        hook.remove()


def _laid_out(embedded: torch.Tensor, lengths: tuple[int, ...], count: int) -> torch.Tensor:
    """The row `(1, position, d_model)` with the prompts, which stand at its beginning, before the sequences of these
    lengths: the one prompt before each, or each before its own."""
    import torch

    prompts = embedded.shape[1] - sum(lengths)
    pieces = embedded.split([count] * (prompts // count) + list(lengths), dim=1)
    before, sequences = pieces[: -len(lengths)], pieces[-len(lengths) :]
    return torch.cat([part for pair in zip(cycle(before), sequences, strict=False) for part in pair], dim=1)


def _positions_and_places(
    lengths: tuple[int, ...], count: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a row of sequences with so many virtual tokens in front of each: all positions, `(1, position)`, restarting;
    and where in the row the real tokens stand, `(token,)`."""
    import torch

    ends = list(accumulate(lengths))
    positions = torch.cat([torch.arange(length) for length in lengths])
    places = torch.cat([torch.arange(end - length + count, end) for end, length in zip(ends, lengths, strict=True)])
    return positions[None].to(device), places.to(device)
