"""What a metric is: it scores one (prediction, example); aggregates and intervals come later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from luthier.core.settings import Named
from luthier.core.types import Example, Prediction, PredictionKind


class Metric(Named):
    """Base of every metric. A subclass is one file here and one word in `registry.py`."""

    kinds: ClassVar[tuple[PredictionKind, ...]]
    """The prediction kinds that it can score."""
    measures: ClassVar[tuple[str, ...]]
    """The names of the numbers that `score` gives, the main one first; none where only a whole test set has one."""
    of_the_whole: ClassVar[tuple[str, ...]] = ()
    """The names of the numbers that `corpus` gives, where no measure of an example tells them."""
    higher_is_better: ClassVar[bool] = True

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        """The measures of one prediction against one example; fractions in [0, 1] where the metric allows.

        A measure that cannot be taken is left out: unscored is not zero. None where only a whole test set has one.
        """
        return {}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        """Measures that exist only for a whole test set (corpus BLEU); most metrics have none."""
        return {}

    def signature(self) -> str:
        """The implementation and its version, for the record."""
        return self.name
