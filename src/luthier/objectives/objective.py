"""What an objective is: the loss that moves the weights, and the data that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from luthier.core.settings import Named
from luthier.models.batch import Batch

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
    """Base of every objective. A subclass is one file here and one word in `study_file.py`."""

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """The loss *summed* over the batch's units, a scalar: the loop divides by the units of the whole step, so that
        accumulating over ragged micro-batches equals the big batch."""
        raise NotImplementedError

    def units(self, batch: Batch) -> int:
        """How many units (tokens, pairs) the sum runs over."""
        raise NotImplementedError
