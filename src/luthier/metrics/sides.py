"""Precision and recall of an answer against one reference, and the best of several references."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sides:
    """How much of the answer is in the reference, and how much of the reference is in the answer."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean; 0 where both are."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


def best_f1(held: Iterable[Sides]) -> Sides:
    """The reference with the best F1, the first of equals."""
    return max(held, key=lambda sides: sides.f1)


def named(measure: str, sides: Sides) -> dict[str, float]:
    """`{"rougeW": F1, "rougeW_precision": .., "rougeW_recall": ..}`."""
    return {measure: sides.f1, f"{measure}_precision": sides.precision, f"{measure}_recall": sides.recall}
