"""Train, validation and test out of examples: by the hash of their content, so that every run draws the same.

Where a split is cut here, examples of one cluster, or of one prompt, stay together: a test example whose twin was
trained on says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from luthier.core.errors import LuthierError
from luthier.core.types import Example, Split
from luthier.tasks.task_settings import Fractions, Limits

Examples = tuple[Example, ...]


def by_fractions(examples: Sequence[Example], fractions: Fractions, task: str) -> dict[Split, Examples]:
    """The three splits of one pool: the fractions, rounded, or a little less where clusters are large."""
    rest, test = hold_out(examples, round(fractions.test * len(examples)), "test", task)
    train, validation = hold_out(rest, round(fractions.validation * len(examples)), "validation", task)
    return {"train": train, "validation": validation, "test": test}


def validation_from_train(
    train: Sequence[Example], limits: Limits, fraction: float, task: str
) -> tuple[Examples, Examples]:
    """(train, validation), before `limits.train` is drawn from the first: how many are held out depends on it.

    With 12,460 rows, `limits.train` 600 and fraction 0.1, 60 examples are held out and 600 drawn from the other 12,400;
    with 620 rows 60 are held out and all of the other 560 are the training set.
    """
    in_use = min(len(train), limits.train or len(train))
    count = min(limits.validation, len(train) // 2) if limits.validation else round(fraction * in_use)
    return hold_out(train, count, "validation", task)


def hold_out(examples: Sequence[Example], count: int, split: Split, task: str) -> tuple[Examples, Examples]:
    """(the rest, `count` examples or a little fewer), both in their first order, groups kept whole.

    Raises:
        LuthierError: there are too few examples, or one cluster has too many of them, for both to have any.
    """
    count = max(count, 1)
    groups = _groups(examples)
    held: set[int] = set()
    for key in sorted(groups, reverse=True):  # from the end: `draw` takes from the beginning
        if len(held) + len(groups[key]) <= count:
            held.update(groups[key])
    if not held or len(held) == len(examples):
        raise LuthierError(
            f"{len(examples)} examples, {len(groups)} of them of different clusters or prompts, are too few to take "
            f"{count} for {split}",
            where=f"task {task}",
            mend=f"give files for {split}, or more rows",
        )
    rest = tuple(example for position, example in enumerate(examples) if position not in held)
    return rest, tuple(example for position, example in enumerate(examples) if position in held)


def draw(examples: Sequence[Example], limit: int | None) -> Examples:
    """At most `limit` of the examples, in their first order; a larger limit draws the same ones and more."""
    if limit is None or limit >= len(examples):
        return tuple(examples)
    positions = sorted(range(len(examples)), key=lambda position: _order(examples[position]))[:limit]
    return tuple(examples[position] for position in sorted(positions))


def with_unique_ids(examples: Sequence[Example]) -> tuple[Examples, int]:
    """The examples with `-2`, `-3` .. after the ids of copies, and how many copies there are."""
    seen: dict[str, int] = {}
    unique: list[Example] = []
    for example in examples:
        seen[example.id] = seen.get(example.id, 0) + 1
        copy = seen[example.id]
        unique.append(example if copy == 1 else replace(example, id=f"{example.id}-{copy}"))
    return tuple(unique), len(examples) - len(seen)


Order = tuple[str, str]


def _groups(examples: Sequence[Example]) -> dict[Order, list[int]]:
    """Positions of the examples of one cluster, or else of one prompt (unless all examples have the same one)."""
    one_prompt = len({example.messages for example in examples}) == 1
    groups: dict[Order, list[int]] = {}
    for position, example in enumerate(examples):
        if example.cluster is not None:
            key = (_hash(f"cluster {example.cluster}"), "")
        else:
            key = _order(example) if one_prompt else (_order(example)[0], "")
        groups.setdefault(key, []).append(position)
    return groups


def _order(example: Example) -> Order:
    """Where an example stands in the order of hashes: by its prompt, then by its id."""
    return _hash("".join(message.content for message in example.messages)), _hash(example.id)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
