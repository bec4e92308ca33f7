"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247; He et al. 2021,
arXiv 2110.04366).

    h <- h + W_up f(W_down h + b_down) + b_up

    W_down: (d_model / reduction, d_model), W_up: (d_model, d_model / reduction), drawn small, so nearly h at first

`houlsby`: h is the output of the attention, and again that of the feed-forward, each before its residual add.
`pfeiffer`: h is the output of the layer, the feed-forward's with its residual added. Both are where AdapterHub's
`adapters` 1.3.0 (arXiv 2311.11077) puts them, and its numbers are ours. Encoder-decoders have them in the layers of
both, after self-attention and feed-forward, and none after cross-attention, as there. Where a norm of the sum with the
residual closes a layer (BERT, BART), `pfeiffer` reads what the norm gives, and adds to the sum before it is normed:

    x = feed-forward + residual        layer = LN(x + W_up f(W_down LN(x) + b_down) + b_up)

`parallel` stands beside the feed-forward F, reads the residual r that F's norm reads, and starts from exactly zero:

    F(LN(r)) <- F(LN(r)) + s (W_up f(W_down r + b_down) + b_up)        W_up = 0 at first

A layer of width 256 at reduction 16 gains 2 * 256 * 16 + 16 + 256 = 8,464 weights (pfeiffer), or twice that (houlsby).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.methods.additive.stacked import StackedMethod
from luthier.methods.method import rate_between

Placement = Literal["pfeiffer", "houlsby", "parallel"]
Nonlinearity = Literal["relu", "swish", "gelu", "tanh"]

_NONLINEARITIES: dict[Placement, Nonlinearity] = {"pfeiffer": "relu", "houlsby": "swish", "parallel": "relu"}
_REDUCTIONS: dict[Placement, int] = {"pfeiffer": 16, "houlsby": 16, "parallel": 2}
"""The choices of AdapterHub's SeqBnConfig, DoubleSeqBnConfig and ParBnConfig."""


class Adapter(StackedMethod):
    """Train small bottleneck layers that are put between the frozen ones."""

    name: ClassVar[str] = "adapter"
    version: ClassVar[int] = 2
    moves: ClassVar[str] = "a bottleneck after each layer, after each sublayer, or beside each feed-forward"
    paper: ClassVar[str] = "Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2020, arXiv 2005.00247"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"placement": "houlsby"}, {"placement": "parallel"})

    placement: Placement = "pfeiffer"
    """One bottleneck a layer, after the feed-forward (`pfeiffer`: chosen by a search over places in arXiv 2005.00247,
    at half the weights), two, after attention and after the feed-forward (`houlsby`), or one beside the feed-forward
    (`parallel`: the best of the places that arXiv 2110.04366 compared)."""
    reduction: int | None = Field(default=None, ge=1)
    """The bottleneck is d_model / reduction wide, at least 1; AdapterHub's choice where it is not given: 16, and 2 for
    parallel."""
    nonlinearity: Nonlinearity | None = None
    """f; AdapterHub's choice where it is not given: `relu`, and `swish` for houlsby."""
    scaling: float = Field(default=4.0, gt=0)
    """s of `parallel` alone (4, the paper's choice and AdapterHub's)."""

    def learning_rate(self, parameters: int) -> float:
        """1e-2 at 5M parameters (measured: on generated/support_desk, 96 examples and two epochs, the house decoder
        reached 4.10, 3.43 and 2.79 nats with 1e-3, 3e-3 and 1e-2), 3e-4 at 7B (the commands of Hu et al. 2023, arXiv
        2304.01933), on a log-log line between; BERT-large's 340M get 1.3e-3, within what Houlsby et al. swept there,
        3e-5 to 3e-3."""
        return rate_between(parameters, (5e6, 1e-2), (7e9, 3e-4))

    @property
    def starts_at_base(self) -> bool:  # type: ignore[override]
        """With `parallel` exactly; with the others nearly."""
        return self.placement == "parallel"

    @property
    def resolved(self) -> tuple[int, Nonlinearity, float]:
        """Reduction, nonlinearity and scaling, with what the placement decides."""
        reduction = self.reduction or _REDUCTIONS[self.placement]
        scaling = self.scaling if self.placement == "parallel" else 1.0
        return reduction, self.nonlinearity or _NONLINEARITIES[self.placement], scaling

    def bottleneck(self, width: int) -> Any:
        """A new bottleneck for a width."""
        from luthier.methods.additive.bottleneck import Bottleneck

        reduction, nonlinearity, scaling = self.resolved
        size = max(1, width // reduction)
        return Bottleneck(width, size, nonlinearity, scaling, from_zero=self.placement == "parallel")

    def insert(self, model: Any, name: str) -> None:
        from luthier.methods.additive.adapter_places import put

        put(model, name, self.placement, self.bottleneck)
