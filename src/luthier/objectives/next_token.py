"""The cross-entropy of next tokens: what supervised tuning and language modelling share.

L = - sum_t log p(x_t | x_<t)        over the positions that the batch scores
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch
from luthier.models.forward import scored_logits
from luthier.objectives.cross_entropy import summed_cross_entropy
from luthier.objectives.objective import Objective

if TYPE_CHECKING:
    import torch


class NextToken(Objective):
    """Cross-entropy of the scored tokens; a unit is a token. Which are scored is the data's to say."""

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        return summed_cross_entropy(model, batch)

    def losses(self, model: Any, batch: Batch, arms: int) -> torch.Tensor:
        """The loss of each arm, `(arm,)`, where the batch holds the same rows once for every arm, one arm after the
        other."""
        from torch.nn.functional import cross_entropy

        each = cross_entropy(scored_logits(model, batch), batch.targets, reduction="none")
        return each.view(arms, -1).sum(dim=1)

    def units(self, batch: Batch) -> int:
        return len(batch.targets)
