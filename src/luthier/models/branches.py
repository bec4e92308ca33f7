"""Completions that share what stands before them, in one flat row that holds each shared beginning once.

    [template][shots][prompt 1][choice a][choice b][prompt 2][choice a] ... [another template][prompt 7] ...

Every piece sees the pieces that it goes on from and itself, and its positions go on from theirs (`flat.branching`); so
a choice is computed as if it stood alone behind its prompt, which is read once for all of its choices. Prompts stand in
the order of their tokens: those that begin alike are neighbours, and what neighbours begin with is read once for all of
them, a tree of beginnings. Of a completion the last token is left out: nothing is foretold from it. Behind an encoder
the prompts are its sequences, and each completion looks at its own prompt across.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from luthier.models.batch import Batch, flat_pairs_batch
from luthier.models.tokens import Encoded

if TYPE_CHECKING:
    Branches = tuple[Batch, tuple[int, ...]]

SHORTEST = 16
"""Tokens of a beginning that many rows share, from which on it is computed apart."""
LEAST_SAVED = 0.1
"""The share of their tokens that has to be saved for the completions of one prompt to be laid out behind it."""

FEWEST = 8
"""Rows that begin alike from which on answers are written to them apart from others: fewer make batches too small."""


def common_beginning(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with alike, at least one of each left over; 0 below `SHORTEST` or for one row."""
    if len(rows) < 2:
        return 0
    texts = [tuple(row) for row in rows]
    # In their order, what lies between two shares what these share.
    return _worth(min(_common(min(texts), max(texts)), min(map(len, texts)) - 1))


def by_prompt(sequences: Sequence[Encoded]) -> list[list[Encoded]]:
    """The sequences that have a prompt in common together, in the order of their first ones."""
    groups: dict[tuple[int, ...], list[Encoded]] = {}
    for sequence in sequences:
        groups.setdefault(_prompt(sequence), []).append(sequence)
    return list(groups.values())


def families(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """The places of rows that are better read apart from the others, since they begin alike, a list for each such
    beginning; the rest stands in the last list."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, row in enumerate(rows):
        alike.setdefault(tuple(row[:SHORTEST]), []).append(place)
    found = []
    for places in alike.values():
        saved = (len(places) - 1) * common_beginning([rows[place] for place in places])
        if len(places) >= FEWEST and saved >= LEAST_SAVED * sum(len(rows[place]) for place in places):
            found.append(places)
    apart = {place for places in found for place in places}
    rest = [place for place in range(len(rows)) if place not in apart]
    return [*found, rest] if rest else found


def branches(sequences: Sequence[Encoded], *, most_tokens: int, start_id: int | None = None) -> list[Branches] | None:
    """Flat batches with their `parents`; None where an encoder would be saved too little.

    A batch has at most `most_tokens`, or one prompt alone with all of its completions.

    Args:
        sequences: prompts with completions, of which nothing else is in the model: no virtual tokens.
        most_tokens: of one batch.
        start_id: the first token of a decoder that has an encoder beside it.
    """
    groups = by_prompt(sequences)
    if start_id is None:
        groups.sort(key=lambda group: _prompt(group[0]))
        shared = _with_next(groups)
        return [_row(batch, of_batch) for batch, of_batch in _bounded(groups, shared, most_tokens)]
    saved = sum((len(group) - 1) * len(_prompt(group[0])) for group in groups)
    if saved < LEAST_SAVED * sum(len(sequence.ids) for sequence in sequences) or not saved:
        return None
    groups.sort(key=lambda group: len(_prompt(group[0])))
    return [_pairs(batch, start_id) for batch, _ in _bounded(groups, [0] * len(groups), most_tokens)]


def _prompt(sequence: Encoded) -> tuple[int, ...]:
    """Nothing foretells the very first token: without a prompt, it is one."""
    return sequence.ids[: max(sequence.prompt_length, 1)]


def _with_next(groups: Sequence[Sequence[Encoded]]) -> list[int]:
    """How many tokens the prompt of each group begins with like the next one's, where it is worth it: one of either is
    left over, and 0 stands below `SHORTEST` and for the last group."""
    return [_worth(_common(_prompt(one[0]), _prompt(next_[0]))) for one, next_ in pairwise(groups)] + [0]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    most = min(len(one), len(other)) - 1
    return next((place for place in range(most) if one[place] != other[place]), most)


def _worth(shared: int) -> int:
    return shared if shared >= SHORTEST else 0


def _bounded(
    groups: Sequence[list[Encoded]], shared: Sequence[int], most_tokens: int
) -> Iterator[tuple[list[list[Encoded]], list[int]]]:
    """Neighbours cut into batches, each with what its groups share with the next one in it."""
    first = size = 0
    for place, group in enumerate(groups):
        prompt = len(_prompt(group[0]))
        tokens = prompt + sum(len(sequence.ids) - prompt for sequence in group)
        before = shared[place - 1] if place > first else 0
        if place > first and size + tokens - before > most_tokens:
            yield list(groups[first:place]), [*shared[first : place - 1], 0]
            first, size, before = place, 0, 0
        size += tokens - before
    if groups:
        yield list(groups[first:]), list(shared[first:])


class _Row:
    """Pieces one after the other, and what is foretold in them."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.lengths: list[int] = []
        self.parents: list[int] = []
        self.scored: list[int] = []
        self.targets: list[int] = []
        self.owners: list[int] = []
        self.sequences: list[Encoded] = []

    def add_tree(self, groups: Sequence[Sequence[Encoded]], shared: Sequence[int]) -> None:
        """Put all groups, in front of each stretch of them what it begins with."""
        stretches = [(0, len(groups), 0, -1)]  # the groups, what is read of their prompts by now, the piece it ends in
        while stretches:
            first, end, read, parent = stretches.pop()
            if end - first == 1:
                self._add_group(groups[first], read, parent)
                continue
            all_share = min(shared[first : end - 1])
            if all_share - read >= SHORTEST:
                parent = self._add(_prompt(groups[first][0])[read:all_share], parent, read)
                read = all_share
            cuts = [place for place in range(first + 1, end) if shared[place - 1] - read < SHORTEST]
            parts = pairwise([first, *cuts, end])
            stretches += reversed([(start, stop, read, parent) for start, stop in parts])

    def _add_group(self, group: Sequence[Encoded], read: int, parent: int) -> None:
        """Put a prompt and its completions: behind it, or each behind one of its own where that costs little."""
        prompt = _prompt(group[0])
        own = prompt[read:]
        if (len(group) - 1) * len(own) < LEAST_SAVED * sum(len(sequence.ids) - read for sequence in group):
            for sequence in group:
                start = len(self.ids) + len(own)
                self._add((*own, *sequence.ids[len(prompt) : -1]), parent, read)
                self._score(sequence, start - 1, start)
            return
        stem = self._add(own, parent, read)
        last = len(self.ids) - 1
        for sequence in group:
            self._score(sequence, last, len(self.ids))
            if len(sequence.ids) > len(prompt) + 1:
                self._add(sequence.ids[len(prompt) : -1], stem, len(prompt))

    def _add(self, ids: Sequence[int], parent: int, first: int) -> int:
        """Put a piece behind those that are there, its positions from `first`; gives its number."""
        self.ids += ids
        self.positions += range(first, first + len(ids))
        self.lengths.append(len(ids))
        self.parents.append(parent)
        return len(self.lengths) - 1

    def _score(self, sequence: Encoded, last: int, start: int) -> None:
        """Foretell a completion: its first token from the prompt's last, the others from where it starts on."""
        completion = sequence.ids[len(_prompt(sequence)) :]
        if completion:
            self.scored += [last, *range(start, start + len(completion) - 1)]
            self.targets += completion
            self.owners += [len(self.sequences)] * len(completion)
        self.sequences.append(sequence)


def _row(groups: Sequence[Sequence[Encoded]], shared: Sequence[int]) -> Branches:
    import torch

    row = _Row()
    row.add_tree(groups, shared)
    batch = Batch(
        input_ids=torch.tensor([row.ids]),
        attention_mask=None,
        position_ids=torch.tensor([row.positions]),
        scored=torch.tensor(row.scored, dtype=torch.long),
        targets=torch.tensor(row.targets, dtype=torch.long),
        owners=torch.tensor(row.owners, dtype=torch.long),
        lengths=tuple(row.lengths),
        example_ids=tuple(sequence.example_id for sequence in row.sequences),
        tokens=len(row.ids),
        tasks=tuple(sequence.task for sequence in row.sequences),
    )
    return batch, tuple(row.parents)


def _pairs(groups: Sequence[Sequence[Encoded]], start_id: int) -> Branches:
    """The completions are those of all sequences; of the prompts, the encoder reads one a group."""
    batch = flat_pairs_batch([sequence for group in groups for sequence in group], start_id)
    once = flat_pairs_batch([group[0] for group in groups], start_id)
    parents = tuple(place for place, group in enumerate(groups) for _ in group)
    return replace(batch, input_ids=once.input_ids, lengths=once.lengths), parents
