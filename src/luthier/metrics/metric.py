"""What a metric is: it scores one (prediction, example); aggregates and intervals come later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from luthier.core.settings import Named
from luthier.core.types import Example, Prediction, PredictionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Embedded:
    """A text as an encoder reads it, without the special tokens at its ends.

    Attributes:
        ids: its tokens, n of them.
        vectors: shape (n, width), each of length 1.
    """

    ids: tuple[int, ...]
    vectors: NDArray[np.float32]


Embed = Callable[[Sequence[str]], list[Embedded]]
"""Texts in, what an encoder makes of them out, in the same order."""


@dataclass(frozen=True)
class Encoder:
    """The encoder that a metric compares texts by.

    Attributes:
        model: a house model, a folder or a hub id.
        layer: whose output is taken, counted from 1; None leaves it to the encoder (`models/embeddings.py`).
    """

    model: str
    layer: int | None


class Metric(Named):
    """Base of every metric. A subclass is one file here and one word in `registry.py`."""

    kinds: ClassVar[tuple[PredictionKind, ...]]
    """The prediction kinds that it can score."""
    measures: ClassVar[tuple[str, ...]]
    """The names of the numbers that `score` gives, the main one first; none where only a whole test set has one."""
    of_the_whole: ClassVar[tuple[str, ...]] = ()
    """The names of the numbers that `corpus` gives, where no measure of an example tells them."""
    higher_is_better: ClassVar[bool] = True
    of_quality: ClassVar[bool] = True
    """Whether its measures say how good an answer is; not so for signs (`gaming`), which no control is held against."""

    @property
    def encoder(self) -> Encoder | None:
        """The encoder that it needs; None for metrics that need no model, as most."""
        return None

    def lower_is_better(self, measure: str) -> bool:
        """Whether one of its numbers is better where lower: those of an example, and the corpus' own of the same name.

        What exists for the whole test set alone beside such measures is not (Pearson's r beside the squared error).
        """
        return not self.higher_is_better and measure.removeprefix("corpus_") in (self.measures or self.of_the_whole)

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        """The measures of one prediction against one example; fractions in [0, 1] where the metric allows.

        A measure that cannot be taken is left out: unscored is not zero. None where only a whole test set has one.
        """
        return {}

    def score_all(
        self, predictions: Sequence[Prediction], examples: Sequence[Example], embed: Embed | None = None
    ) -> list[Mapping[str, float]]:
        """`score` of every example, in order.

        Args:
            predictions, examples: of the same length.
            embed: what the metric's `encoder` makes of texts. A metric may not load a model: who calls it does.
        """
        return [self.score(*pair) for pair in zip(predictions, examples, strict=True)]

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        """Measures that exist only for a whole test set (corpus BLEU); most metrics have none."""
        return {}

    def signature(self) -> str:
        """The implementation and its version, for the record."""
        return self.name
