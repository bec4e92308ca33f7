"""BitFit (Ben Zaken et al. 2021, arXiv 2106.10199): train the biases, and nothing else.

h = W x + b        LN(x) = g * (x - mean) / std + b        every b trained, W and g frozen

Biases are those that the base has; none is added. T5, Llama, Mistral and Gemma were built without. In a BERT of width d
and feed-forward 4 d, a layer has 11 d of them: 4 d in attention, 4 d + d in the feed-forward, and 2 d in its two norms.
"""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.methods.method import rate_between
from luthier.methods.selective.selective import Selective
from luthier.models.kinds import Kind

_WITHOUT = ("llama", "mistral", "gemma", "t5")


class BitFit(Selective):
    """Train the biases."""

    name: ClassVar[str] = "bitfit"
    moves: ClassVar[str] = "the biases of linear layers and norms"
    paper: ClassVar[str] = "Ben Zaken et al. 2021, arXiv 2106.10199"

    def refusal(self, kind: Kind, family: str) -> str | None:
        return "models of this family are built without biases" if family in _WITHOUT else None

    def learning_rate(self, parameters: int) -> float:
        """1e-2 up to 1M parameters (measured: 36 steps on a GPT-2 of two layers went from 6.8 to 6.03, 4.86 and 3.03
        nats with 1e-3, 3e-3 and 1e-2), 1e-3 from 110M on (the default of the authors' own code, for BERT-base), on a
        log-log line between."""
        return rate_between(parameters, (1e6, 1e-2), (110e6, 1e-3))

    def encoder_learning_rate(self, parameters: int) -> float:
        """3e-3 up to 5M parameters (of 1e-3, 3e-3 and 1e-2 the highest whose first steps did not raise the loss of a
        BERT of two layers, to 0.94 nats in 36 steps from 1.09), 1e-3 from 110M on (the default of the authors' own
        code)."""
        return rate_between(parameters, (5e6, 3e-3), (110e6, 1e-3))

    def chosen(self, model: Any) -> list[str]:
        return [name for name, _ in model.named_parameters() if name.rpartition(".")[2] == "bias"]
