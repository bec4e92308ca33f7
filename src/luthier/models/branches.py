"""Completions that share what stands before them, in one flat row that holds each shared beginning once.

    [template][prompt 1][choice a][choice b][prompt 2][choice a] ...

Every piece sees the pieces that it goes on from and itself, and its positions go on from theirs (`flat.branching`); so
a choice is computed as if it stood alone behind its prompt, which is read once for all of its choices. Of a completion
the last token is left out: nothing is foretold from it. Behind an encoder the prompts are its sequences, and each
completion looks at its own prompt across.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.models.batch import Batch, flat_pairs_batch
from luthier.models.tokens import Encoded

if TYPE_CHECKING:
    Branches = tuple[Batch, tuple[int, ...]]

SHORTEST = 16
"""Tokens of a beginning that many rows share, from which on it is computed apart."""
LEAST_SAVED = 0.1
"""The share of all tokens that has to stand in shared beginnings for them to be laid out so."""


def common_beginning(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with alike, at least one of each left over; 0 below `SHORTEST` or for one row."""
    if len(rows) < 2:
        return 0
    texts = [tuple(row) for row in rows]
    first, last = min(texts), max(texts)  # in their order, what lies between two shares what these share
    most = min(len(text) for text in texts) - 1
    shared = next((place for place in range(most) if first[place] != last[place]), most)
    return shared if shared >= SHORTEST else 0


def by_prompt(sequences: Sequence[Encoded]) -> list[list[Encoded]]:
    """The sequences that have a prompt in common together, in the order of their first ones."""
    groups: dict[tuple[int, ...], list[Encoded]] = {}
    for sequence in sequences:
        groups.setdefault(tuple(_prompt(sequence)), []).append(sequence)
    return list(groups.values())


def branches(sequences: Sequence[Encoded], *, most_tokens: int, start_id: int | None = None) -> list[Branches] | None:
    """Flat batches with their `parents`, or None where too little is shared.

    A batch has at most `most_tokens`, or one prompt alone with all of its completions.

    Args:
        sequences: prompts with completions, of which nothing else is in the model: no virtual tokens.
        most_tokens: of one batch.
        start_id: the first token of a decoder that has an encoder beside it.
    """
    groups = by_prompt(sequences)
    prompts = [_prompt(group[0]) for group in groups]
    root = common_beginning(prompts) if start_id is None else 0
    saved = sum((len(group) - 1) * len(prompt) for group, prompt in zip(groups, prompts, strict=True))
    saved += root * (len(groups) - 1)
    if saved < LEAST_SAVED * sum(len(sequence.ids) for sequence in sequences) or not saved:
        return None
    lay_out = _row if start_id is None else _pairs
    return [lay_out(batch, root, start_id or 0) for batch in _bounded(groups, root, most_tokens)]


def _prompt(sequence: Encoded) -> Sequence[int]:
    """Nothing foretells the very first token: without a prompt, it is one."""
    return sequence.ids[: max(sequence.prompt_length, 1)]


def _bounded(groups: Sequence[list[Encoded]], root: int, most_tokens: int) -> Iterator[list[list[Encoded]]]:
    """Groups cut into batches, the short prompts together."""
    batch: list[list[Encoded]] = []
    size = root
    for group in sorted(groups, key=lambda group: len(_prompt(group[0]))):
        prompt = len(_prompt(group[0]))
        tokens = prompt - root + sum(len(sequence.ids) - prompt for sequence in group)
        if batch and size + tokens > most_tokens:
            yield batch
            batch, size = [], root
        batch.append(group)
        size += tokens
    if batch:
        yield batch


class _Row:
    """Pieces one after the other."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.lengths: list[int] = []
        self.parents: list[int] = []

    def add(self, ids: Sequence[int], parent: int, first: int) -> int:
        """Put a piece behind those that are there, its positions from `first`; gives its number."""
        self.ids += ids
        self.positions += range(first, first + len(ids))
        self.lengths.append(len(ids))
        self.parents.append(parent)
        return len(self.lengths) - 1


def _row(groups: Sequence[Sequence[Encoded]], root: int, _: int) -> Branches:
    import torch

    row = _Row()
    scored: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    trunk = row.add(groups[0][0].ids[:root], -1, 0) if root else -1
    sequences = [sequence for group in groups for sequence in group]
    owner = 0
    for group in groups:
        prompt = _prompt(group[0])
        stem = row.add(prompt[root:], trunk, root)
        last = len(row.ids) - 1
        for sequence in group:
            completion = sequence.ids[len(prompt) :]
            if completion:
                scored += [last, *range(len(row.ids), len(row.ids) + len(completion) - 1)]
                targets += completion
                owners += [owner] * len(completion)
            if len(completion) > 1:
                row.add(completion[:-1], stem, len(prompt))
            owner += 1
    batch = Batch(
        input_ids=torch.tensor([row.ids]),
        attention_mask=None,
        position_ids=torch.tensor([row.positions]),
        scored=torch.tensor(scored, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
        owners=torch.tensor(owners, dtype=torch.long),
        lengths=tuple(row.lengths),
        example_ids=tuple(sequence.example_id for sequence in sequences),
        tokens=len(row.ids),
        tasks=tuple(sequence.task for sequence in sequences),
    )
    return batch, tuple(row.parents)


def _pairs(groups: Sequence[Sequence[Encoded]], _: int, start_id: int) -> Branches:
    """The completions are those of all sequences; of the prompts, the encoder reads one a group."""
    batch = flat_pairs_batch([sequence for group in groups for sequence in group], start_id)
    once = flat_pairs_batch([group[0] for group in groups], start_id)
    parents = tuple(place for place, group in enumerate(groups) for _ in group)
    return replace(batch, input_ids=once.input_ids, lengths=once.lengths), parents
