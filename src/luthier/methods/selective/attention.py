"""Training attention alone (Touvron et al. 2022, arXiv 2203.09795): its matrices, and their biases.

Attention(x) = softmax((W_q x)^T W_k x / sqrt(d_head)) (W_v x)^T W_o        W_q, W_k, W_v, W_o trained, all else frozen

Of an encoder-decoder, those of cross-attention too. What T5 adds to the scores for distances stays frozen: it is no
matrix of attention. In a layer whose feed-forward is 4 d wide, this is a third of the weights.
"""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.methods.method import rate_between
from luthier.methods.selective.selective import Selective
from luthier.models.anatomy import anatomy_of


class Attention(Selective):
    """Train the matrices of attention."""

    name: ClassVar[str] = "attention"
    moves: ClassVar[str] = "the matrices of attention"
    paper: ClassVar[str] = "Touvron et al. 2022, arXiv 2203.09795"

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 5M parameters (measured: 24 steps of eight examples of generated/entities took 26, 44 and 52% of the
        house decoder's held-out loss away with 3e-4, 1e-3 and 3e-3), 1e-5 at 7B, as for full fine-tuning, on a log-log
        line between."""
        return rate_between(parameters, (5e6, 3e-3), (7e9, 1e-5))

    def encoder_learning_rate(self, parameters: int) -> float:
        """That of `layers`, which moves as many weights: 1e-3 up to 5M parameters, 5e-5 from 110M on (the highest rate
        of Devlin et al. 2018, arXiv 1810.04805)."""
        return rate_between(parameters, (5e6, 1e-3), (110e6, 5e-5))

    def chosen(self, model: Any) -> list[str]:
        matrices = set(anatomy_of(model).of_role("attention"))
        return [name for name, _ in model.named_parameters() if name.rpartition(".")[0] in matrices]
