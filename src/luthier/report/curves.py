"""Learning curves: an arm's primary measure over the size of the training set."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.report.measured import Estimate


@dataclass(frozen=True)
class Curve:
    """One arm over the sizes.

    Attributes:
        points: (training examples, estimate), the smallest size first; a size without a score is left out.
        trains: whether the arm trains; what trains nothing is the same at every size.
        best: the size with the best mean.
        enough: the smallest size from which on, up to the best one, the arm is not told apart from its best, or not
            worse than it by the margin; None where there are fewer than two sizes, or too few seeds to say so.
        words: what follows, in a sentence.
    """

    arm: str
    points: tuple[tuple[int, Estimate], ...]
    trains: bool
    best: int
    enough: int | None
    words: str


@dataclass(frozen=True)
class LearningCurves:
    """Every arm's curve on one task and model."""

    task: str
    model: str
    primary: str
    lower_is_better: bool
    curves: tuple[Curve, ...]
