"""What a regulariser is: a term that holds the weights back while an objective moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from luthier.core.errors import LuthierError
from luthier.core.settings import Named
from luthier.models.kinds import Kind

if TYPE_CHECKING:
    import torch

    from luthier.models.batch import Batch


class Restraint:
    """A regulariser at work in one training: what it has seen of the model before the first step, and its term.

    This one adds nothing.
    """

    weight: float = 0.0
    """Of the mean loss on what is `replayed`, beside 1 for that on the task."""

    def penalty(self, forward: Any, model: Any, batch: Batch, step: int) -> torch.Tensor | None:
        """What is added to the mean loss of a step, a scalar; None for nothing.

        It is asked once for every micro-batch, and weighted by the share of the step's units that the batch holds.

        Args:
            forward: the model as the loss calls it, under the training's precision.
            model: the same, for its weights.
            batch: of the task that is trained on.
            step: from 0; what is drawn must depend on it and on settings alone, so that a training can be resumed.
        """
        return None

    def replayed(self, step: int) -> Sequence[Batch]:
        """The micro-batches that this step is trained on beside the task's; they count among the tokens that it saw.

        Args:
            step: from 0; which they are depends on it and on settings alone.
        """
        return ()


class Regulariser(Named):
    """Base of every regulariser. A subclass is one file here and one word in `registry.py`."""

    retains: ClassVar[bool] = False
    """Whether it reads data that is not to be forgotten: the training sets of the arm's earlier stages and of the tasks
    under `retain`."""
    paper: ClassVar[str] = ""
    """Authors, year, arXiv number."""

    def refusal(self, kind: Kind) -> str | None:
        """Why it cannot work on such a model, in one sentence; None where it can.

        Args:
            kind: of the model's attention.
        """
        return None

    def retained_rows(self, batch_size: int) -> int:
        """How many examples a step of the retained data is to hold.

        Args:
            batch_size: how many of the task's are in a step.
        """
        return batch_size

    def begin(self, model: Any, *, method: Any, objective: Any, retained: Any | None) -> Restraint:
        """Look at the model before its first step, on the device that it trains on.

        Args:
            model: with the method attached, in evaluation mode; its weights are those that the training starts from,
                also where the training goes on from a checkpoint.
            method: the `Method`: what moves.
            objective: the `Objective`: by which loss.
            retained: the `TrainingData` of what is not to be forgotten; given where `retains`.
        """
        return Restraint()


class NoRegulariser(Regulariser):
    """Hold nothing back: the objective alone decides."""

    name: ClassVar[str] = "none"


def retained_data(regulariser: Regulariser, retained: Any | None) -> Any:
    """The retained `TrainingData`, for a regulariser that cannot do without.

    Raises:
        LuthierError: there is none.
    """
    if retained is None or not retained.steps_per_epoch:
        raise LuthierError(
            f"{regulariser.name} has nothing that is not to be forgotten",
            where=f"regulariser: {regulariser.name}",
            mend="name tasks under `retain`, or let another stage come before this one",
        )
    return retained
