"""The nearest training example's reference: what looking the answer up earns, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from luthier.core.types import Example
from luthier.prompting.baselines import Trivial, need_training_examples
from luthier.prompting.prompting import Conversation, Fits, Program, Prompting


class Nearest(Prompting):
    """The reference of the training example whose text is most like this one's.

    Likeness is the cosine of TF-IDF vectors over character 2- to 4-grams within words (scikit-learn's `char_wb`), so
    that it needs no word list and no language; among equals the first in the training set. A tuned model that does no
    better has learned the training set's answers and not the task (Khandelwal et al., arXiv 1911.00172, on what
    neighbours alone can do).
    """

    name: ClassVar[str] = "nearest"
    needs_model: ClassVar[bool] = False
    reads_training_set: ClassVar[bool] = True

    def program(self, train: Sequence[Example], seed: int) -> Program:
        need_training_examples(self.name, train)
        return _Nearest(train)


class _Nearest(Trivial):
    def __init__(self, train: Sequence[Example]):
        self.train = list(train)
        self.texts: dict[str, str] = {}

    def conversation(self, example: Example, fits: Fits) -> Conversation:
        return example.messages

    def answer(self, example: Example) -> str:
        vectoriser, vectors = self._index
        likeness = (vectors @ vectoriser.transform([_text(example)]).T).toarray()[:, 0]
        return self.train[int(likeness.argmax())].reference

    @cached_property
    def _index(self) -> tuple[Any, Any]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        return vectoriser, vectoriser.fit_transform([_text(example) for example in self.train])


def _text(example: Example) -> str:
    """What the answer is about, where the task names it; else the question."""
    return example.source if example.source.strip() else example.messages[-1].content
