"""The attention of AdapterFusion over the updates of several adapters at one place.

    update(h) = sum_i a_i V u_i        u_i = update_i(h), a = softmax_i((W_q h + b_q) . (W_k u_i))

AdapterHub's keys have a bias, which adds the same to every score: the softmax does not see it, and it is not here.

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from luthier.methods.additive.bottleneck import Affine


class AdapterAttention(nn.Module):
    """Several adapters and the attention over them.

    W_q and W_k are drawn from N(0, 0.02^2); V is the identity with 1e-6 beside the diagonal, as in AdapterHub.

    Args:
        width: d_model.
        adapters: modules with `update(hidden)`, frozen.
        described: their settings, as they are saved beside the weights.
    """

    def __init__(self, width: int, adapters: list[Any], described: list[dict[str, Any]]):
        super().__init__()
        self.described = described
        self.adapters: Any = nn.ModuleList(adapters)
        self.query = Affine(width, width)
        self.key = nn.Parameter(torch.empty(width, width))
        self.value = nn.Parameter(torch.full((width, width), 1e-6).fill_diagonal_(1.0))
        nn.init.normal_(self.query.weight, std=0.02)
        nn.init.normal_(self.key, std=0.02)

    def update(self, hidden: torch.Tensor) -> torch.Tensor:
        """What is added to `hidden`, `(..., width)`, in its type."""
        inner = hidden.to(self.key.dtype)
        updates = torch.stack([adapter.update(inner) for adapter in self.adapters], dim=-2)  # (..., adapter, width)
        scores = (functional.linear(updates, self.key) * self.query(inner).unsqueeze(-2)).sum(-1)
        shares = scores.softmax(dim=-1).unsqueeze(-1)
        mixed: torch.Tensor = (functional.linear(updates, self.value) * shares).sum(-2)
        return mixed.to(hidden.dtype)

    def attention(self) -> list[nn.Parameter]:
        """What is trained: all but the adapters."""
        return [*self.query.parameters(), self.key, self.value]

    def strain(self) -> torch.Tensor:
        """||V - I||^2, the squared Frobenius norm."""
        identity = torch.eye(len(self.value), device=self.value.device, dtype=self.value.dtype)
        return (self.value - identity).square().sum()
