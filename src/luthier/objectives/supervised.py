"""Supervised fine-tuning: the cross-entropy of the right answer, given the prompt.

L = - sum_t log p(y_t | x, y_<t)        over the answer y, end of sequence included; the prompt x costs nothing

An encoder's answer is a class, or a tag for each word: L = - sum_t log p(y_t | x) over its labels y.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from luthier.models.batch import Batch, micro_batches
from luthier.models.labelled import Labelled, labelled_batches
from luthier.models.tokens import Encoded
from luthier.objectives.next_token import NextToken


class Supervised(NextToken):
    """Cross-entropy on the reference, summed over its tokens; for an encoder on its class, or on its words' tags."""

    name: ClassVar[str] = "supervised"

    def data(
        self,
        train: Sequence[Encoded | Labelled],
        validation: Sequence[Encoded | Labelled],
        *,
        batch_size: int,
        seed: int,
        flat: bool,
        most_tokens: int,
        pad_id: int,
        start_id: int | None = None,
    ) -> SupervisedData:
        return SupervisedData(
            train,
            validation,
            batch_size=batch_size,
            seed=seed,
            flat=flat,
            most_tokens=most_tokens,
            pad_id=pad_id,
            start_id=start_id,
        )


class SupervisedData:
    """Encoded examples, shuffled anew each epoch; every method sees the same examples in the same steps.

    Args:
        train, validation: encoded examples.
        batch_size: examples per optimizer step; the last step of an epoch may have fewer.
        seed: of the shuffle.
        flat: whether the rows of a batch may stand in one flat row (the method and the architecture decide).
        most_tokens: of one micro-batch.
        pad_id: fills padded rows.
        start_id: the first token of a decoder that has an encoder beside it; None for a model without one.
    """

    def __init__(
        self,
        train: Sequence[Encoded | Labelled],
        validation: Sequence[Encoded | Labelled],
        *,
        batch_size: int,
        seed: int,
        flat: bool,
        most_tokens: int,
        pad_id: int,
        start_id: int | None = None,
    ):
        self.train, self.validation_set = train, validation
        self.batch_size = batch_size
        self.seed = seed
        self.flat, self.most_tokens, self.pad_id, self.start_id = flat, most_tokens, pad_id, start_id
        self.steps_per_epoch = -(-len(self.train) // batch_size)
        self._order: tuple[int, list[int]] = (-1, [])

    def step(self, epoch: int, index: int) -> list[Batch]:
        chosen = self._epoch_order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        return self._batches([self.train[position] for position in chosen])

    def validation(self) -> list[Batch]:
        return self._batches(self.validation_set)

    def _batches(self, examples: Sequence[Encoded | Labelled]) -> list[Batch]:
        labelled = [example for example in examples if isinstance(example, Labelled)]
        encoded = [example for example in examples if isinstance(example, Encoded)]
        if labelled:
            found = labelled_batches(labelled, flat=self.flat, most_tokens=self.most_tokens, pad_id=self.pad_id)
            return [*found]
        return micro_batches(
            encoded, flat=self.flat, most_tokens=self.most_tokens, pad_id=self.pad_id, start_id=self.start_id
        )

    def _epoch_order(self, epoch: int) -> list[int]:
        if self._order[0] != epoch:
            order = list(range(len(self.train)))
            random.Random(f"epoch:{self.seed}:{epoch}").shuffle(order)
            self._order = (epoch, order)
        return self._order[1]
