"""Compacter (Karimi Mahabadi et al. 2021, arXiv 2106.04647): bottleneck adapters of very few weights.

    h <- h + W_up f(W_down h + b_down) + b_up        W = sum_i A_i (x) l_i r_i, i = 1 .. n

    A: (n, n, n), one for all matrices of all layers; l_i: (inputs/n, 1) and r_i: (1, outputs/n) of each matrix alone

A matrix of 768 x 24 has 18,432 weights; as such a sum it has 768 + 24 beside the n^3 = 64 that all share. Where it
stands is told in `adapter.py`: Compacter after each sublayer (`houlsby`), Compacter++ after each layer (`pfeiffer`).
Its numbers are those of AdapterHub's `adapters` 1.3.0 (CompacterConfig, CompacterPlusPlusConfig).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Nonlinearity
from luthier.methods.additive.stacked import StackedMethod
from luthier.methods.method import rate_between
from luthier.models.kinds import Kind


class Compacter(StackedMethod):
    """Train bottlenecks whose matrices are sums of Kronecker products with shared factors."""

    name: ClassVar[str] = "compacter"
    starts_at_base: ClassVar[bool] = True
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.09, "encoder-decoder": 0.07}
    moves: ClassVar[str] = "rank-one factors of a bottleneck in each layer, and n^3 weights that all of them share"
    paper: ClassVar[str] = "Karimi Mahabadi et al. 2021, arXiv 2106.04647"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"placement": "pfeiffer"})

    placement: Literal["houlsby", "pfeiffer"] = "houlsby"
    """After each sublayer (`houlsby`: Compacter, as in AdapterHub), or after each layer alone (`pfeiffer`:
    Compacter++)."""
    reduction: int = Field(default=32, ge=1)
    """The bottleneck is d_model / reduction wide, rounded down to a multiple of n, and at least n (AdapterHub's
    default)."""
    products: int = Field(default=4, ge=1)
    """n, how many Kronecker products are summed; d_model must be a multiple (4, as in the paper)."""
    nonlinearity: Nonlinearity = "gelu"
    """f (AdapterHub's choice)."""

    def learning_rate(self, parameters: int) -> float:
        """3e-2 at 5M parameters (measured: 40 steps on the house decoder, with answers out of four tokens, took 16.9
        nats to 11.1, 4.5, 3.4 and 3.3 with 3e-3, 1e-2, 3e-2 and 1e-1), falling with size as that of `adapter` does,
        which is a third: A starts at 1e-4 and has far to go."""
        return rate_between(parameters, (5e6, 3e-2), (7e9, 1e-3))

    def insert(self, model: Any, name: str) -> None:
        """The shared A is drawn from N(0, 1e-4^2), as in AdapterHub: at first nearly nothing is added.

        Raises:
            LuthierError: d_model is no multiple of n, or the model's layers are of no known shape.
        """
        import torch

        from luthier.methods.additive.adapter_places import put
        from luthier.methods.additive.kronecker import KroneckerBottleneck

        count, width = self.products, model.config.get_text_config(decoder=True).hidden_size
        if width % count:
            raise LuthierError(
                f"the model's width of {width} is no multiple of {count} products",
                where="compacter: products",
                mend="take a divisor of the width, such as 4",
            )
        size = max(1, width // self.reduction // count) * count
        rule = torch.nn.Parameter(torch.empty(count, count, count).normal_(std=1e-4))
        put(model, name, self.placement, lambda width: KroneckerBottleneck(width, size, self.nonlinearity, rule))
