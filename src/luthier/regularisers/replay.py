"""Replay: go on learning what is not to be forgotten (Robins 1995, doi 10.1080/09540099550039318; Rolnick et al. 2018,
arXiv 1811.11682).

    L = L_task + (share / (1 - share)) * L_retained

Divided by its weights' sum this is (1 - share) L_task + share L_retained, the mean loss over batches of which a share
was drawn from the retained data. It is not divided: the task's own gradient stays what it is without replay, and with
it the learning rate that suits it. (AdamW, blind to the scale of a loss, tells the two apart only by where gradients
are clipped.) At share 0.2 a retained batch counts 0.2 / 0.8 = 0.25 beside the task's 1.

A step reads so many retained examples that they are a share of all that it reads: 2 beside 8 at share 0.2. Which ones
is a matter of the step alone. The tokens count among those that the training saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from luthier.regularisers.regulariser import Regulariser, Restraint, retained_data

if TYPE_CHECKING:
    from luthier.models.batch import Batch


class Replay(Regulariser):
    """Train on retained examples beside those of the task."""

    name: ClassVar[str] = "replay"
    retains: ClassVar[bool] = True
    paper: ClassVar[str] = "Robins 1995, doi 10.1080/09540099550039318; Rolnick et al. 2018, arXiv 1811.11682"

    share: float = Field(default=0.2, ge=0, lt=1)
    """Measured, in the sequence that `l2_sp` tells of: 5.00 nats on the task before and 0.245 on the new one without,
    1.90 and 0.237 at 0.1, 1.80 and 0.235 at 0.2. Rolnick et al. take half, of streams without an end."""

    def retained_rows(self, batch_size: int) -> int:
        """`share` of all that a step reads: batch_size * share / (1 - share), and one at least."""
        return max(1, round(batch_size * self.share / (1 - self.share)))

    def begin(self, model: Any, *, method: Any, objective: Any, retained: Any | None) -> Restraint:
        if not self.share:
            return Restraint()
        return _Rehearsal(self.share / (1 - self.share), retained_data(self, retained))


class _Rehearsal(Restraint):
    """The retained data, step by step beside the task's."""

    def __init__(self, weight: float, retained: Any):
        self.weight, self.retained = weight, retained

    def replayed(self, step: int) -> Sequence[Batch]:
        batches: Sequence[Batch] = self.retained.step(*divmod(step, self.retained.steps_per_epoch))
        return batches
