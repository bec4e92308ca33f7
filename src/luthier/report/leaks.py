"""Leakage between the training rows and the rest, as the study found it before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LeakedPair:
    """A row of validation or test that is, or nearly is, a training row.

    Attributes:
        split: `validation` or `test`.
        id, train_id: example ids.
        where, train_where: file and line.
        similarity: in [0, 1]; 1 where they are the same text.
    """

    split: str
    id: str
    where: str
    train_id: str
    train_where: str
    similarity: float
    exact: bool


@dataclass(frozen=True)
class Leakage:
    """Everything found in one task.

    Attributes:
        checked: rows compared with training, by split.
    """

    checked: Mapping[str, int]
    pairs: tuple[LeakedPair, ...]

    def ids(self, split: str) -> tuple[str, ...]:
        """The leaked examples of a split, each once."""
        return tuple(dict.fromkeys(pair.id for pair in self.pairs if pair.split == split))

    @property
    def words(self) -> str:
        """What was found, in a sentence; empty where there is nothing to warn of."""
        parts = []
        for split, total in self.checked.items():
            leaked = self.ids(split)
            if leaked:
                exact = len({pair.id for pair in self.pairs if pair.split == split and pair.exact})
                word_for_word = f" ({exact} word for word)" if exact else ""
                parts.append(f"{len(leaked)} of {total} {split} rows{word_for_word}")
        return f"Leakage: {' and '.join(parts)} stand in the training rows too, or nearly so." if parts else ""


def leakage(task: Mapping[str, Any]) -> Leakage | None:
    """What `study.json` says of a task; None where it was not looked for."""
    found = task.get("leakage")
    if found is None:
        return None
    names = LeakedPair.__dataclass_fields__
    pairs = tuple(LeakedPair(**{key: pair[key] for key in names}) for pair in found["pairs"])
    return Leakage(checked=dict(found["checked"]), pairs=pairs)
