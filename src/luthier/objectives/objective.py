"""What an objective is: the loss that moves the weights, and the data that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from luthier.core.settings import Named
from luthier.models.batch import Batch
from luthier.models.labelled import Labelled
from luthier.models.tokens import Encoded

if TYPE_CHECKING:
    import torch


class TrainingData(Protocol):
    """Batches, by epoch and step, always the same for the same seed: the data position is just a step number."""

    steps_per_epoch: int

    def step(self, epoch: int, index: int) -> list[Batch]:
        """The micro-batches of one optimizer step."""
        ...

    def validation(self) -> list[Batch]:
        """The batches of the validation set; empty where there is none."""
        ...


class Objective(Named):
    """Base of every objective. A subclass is one file here and one word in `registry.py`."""

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
    ) -> TrainingData:
        """The batches that it reads, made of encoded examples.

        Args:
            train, validation: encoded examples; of an encoder, with their labels.
            batch_size: examples per optimizer step.
            seed: of the order.
            flat: whether the rows of a batch may stand in one flat row (the method and the architecture decide).
            most_tokens: of one micro-batch.
            pad_id: fills padded rows.
            start_id: the first token of a decoder that has an encoder beside it; None for a model without one.
        """
        raise NotImplementedError

    def prepare(self, model: Any, data: TrainingData) -> None:
        """Look at the model before its first step (reference log-probabilities)."""

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """The loss *summed* over the batch's units, a scalar: the loop divides by the units of the whole step, so that
        accumulating over ragged micro-batches equals the big batch."""
        raise NotImplementedError

    def units(self, batch: Batch) -> int:
        """How many units (tokens, pairs) the sum runs over."""
        raise NotImplementedError
