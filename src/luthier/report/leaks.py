"""Leakage between the training rows and the rest, as the study found it before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.tasks.leakage import Leak


@dataclass(frozen=True)
class Leakage:
    """Everything found in one task.

    Attributes:
        checked: rows compared with training, by split.
    """

    checked: Mapping[str, int]
    pairs: tuple[Leak, ...]

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
    names = Leak.__dataclass_fields__
    pairs = tuple(Leak(**{key: pair[key] for key in names}) for pair in found["pairs"])
    return Leakage(checked=dict(found["checked"]), pairs=pairs)
