"""What a regulariser is: a term that holds the weights back while an objective moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from luthier.core.settings import Named

if TYPE_CHECKING:
    import torch

    from luthier.models.batch import Batch


class Regulariser(Named):
    """Base of every regulariser. A subclass is one file here and one word in `study_file.py`."""

    def prepare(self, model: Any, data: Any, objective: Any) -> None:
        """Look at the model before its first step: starting weights, Fisher information on the data by the objective's
        loss."""

    def penalty(self, model: Any, batch: Batch) -> torch.Tensor | None:
        """What is added to the mean loss of a step's unit, a scalar; None for nothing."""
        return None


class NoRegulariser(Regulariser):
    """Hold nothing back: the objective alone decides."""

    name: ClassVar[str] = "none"
