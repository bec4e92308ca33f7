"""What is measured, as plain frozen values: a run's scores, an estimate, and a comparison of two arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from luthier.core.statistics import Difference, Outcome
from luthier.core.types import Result

__all__ = ["Comparison", "Estimate", "Outcome", "Run"]


@dataclass(frozen=True)
class Run:
    """One run as the store holds it.

    Attributes:
        scores: measure -> example id -> score.
        wrong_reference: the same, each text scored against another example's reference; empty where it made no text.
        retained: retention task -> example id -> (before, after), in that task's primary measure; empty where nothing
            was trained.
        drift: how far it moved from its base, as `drift.json` has it; empty where that was not measured.
        asked: the ids of all its examples, those without any score too; empty where that is not known.
    """

    name: str
    result: Result
    scores: Mapping[str, Mapping[str, float]]
    wrong_reference: Mapping[str, Mapping[str, float]]
    retained: Mapping[str, Mapping[str, tuple[float, float]]]
    asked: frozenset[str] = frozenset()
    drift: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A measure's mean over seeds and items, with its 95% interval.

    Attributes:
        low, high: None where it cannot be told: a single score, or none per example (a measure of the whole test set,
            such as corpus BLEU).
        n: how many examples stand behind it.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def turned(self) -> Estimate:
        """With the other sign."""
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return Estimate(-self.mean, low, high, self.n)


@dataclass(frozen=True)
class Comparison:
    """One arm against another on one measure: arm minus other, paired by example id.

    Attributes:
        other: the arm compared with.
        low, high, p: the 95% interval, and the p of "no difference"; None where a single score leaves it untold.
        p_holm: after Holm's correction over its family: each contender against the reference, or against the best, on
            the primary measure; None outside of both.
        better: True where the whole interval lies on the better side of zero, False where it lies on the worse side,
            None where it holds zero or p (`p_holm`, where there is one) is above 0.05: not told apart.
        outcome: with the study's margin, after Holm's correction where there is one; None on other measures than the
            primary one (the margin is in its units), and where there is no interval.
        smallest_visible: the smallest true difference that this comparison would have found in 80% of studies like
            this one (over the family, where it is of one); None as for `outcome`.
        found: as the statistics gave it.
    """

    other: str
    measure: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    better: bool | None
    p_holm: float | None = None
    outcome: Outcome | None = None
    smallest_visible: float | None = None
    found: Difference | None = None

    @property
    def may_be_chance(self) -> bool:
        """Whether the interval leaves zero out, and p (after Holm, where there is a family) takes that back."""
        return self.better is None and self.low is not None and self.high is not None and not self.low <= 0 <= self.high
