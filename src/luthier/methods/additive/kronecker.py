"""A bottleneck whose matrices are sums of Kronecker products.

    W = sum_i A_i (x) B_i,  B_i = l_i r_i        A: (n, n, n), l: (n, inputs/n, 1), r: (n, 1, outputs/n)

It multiplies from the right: x W + b, as AdapterHub stores it.

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

import torch
from torch import nn

from luthier.methods.additive.adapter import Nonlinearity
from luthier.methods.additive.bottleneck import FUNCTIONS


class KroneckerSum(nn.Module):
    """One such matrix with its bias. The n rank-one B_i are drawn as Xavier's normal matrices; the bias is zero.

    Args:
        inputs, outputs: the widths, multiples of n.
        rule: A, which all of these share.
    """

    def __init__(self, inputs: int, outputs: int, rule: nn.Parameter):
        super().__init__()
        count = len(rule)
        self.rule = rule
        self.left = nn.Parameter(torch.empty(count, inputs // count, 1))
        self.right = nn.Parameter(torch.empty(count, 1, outputs // count))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for one in (*self.left, *self.right):
            nn.init.xavier_normal_(one.data)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`(..., inputs)` to `(..., outputs)`, without making W: A_i mixes the n blocks of x B_i."""
        blocks = hidden.unflatten(-1, (len(self.rule), -1))  # (..., a, inputs/n), a the row of A_i
        inner = torch.einsum("...af,ifr->...iar", blocks, self.left)
        found = torch.einsum("...iar,iab,irg->...bg", inner, self.rule, self.right)
        return found.flatten(-2) + self.bias


class KroneckerBottleneck(nn.Module):
    """W_up f(W_down h + b_down) + b_up with two such matrices.

    Args:
        width: d_model.
        size: of the bottleneck.
        nonlinearity: f.
        rule: A, shared by both matrices and by all layers.
    """

    def __init__(self, width: int, size: int, nonlinearity: Nonlinearity, rule: nn.Parameter):
        super().__init__()
        self.down, self.up = KroneckerSum(width, size, rule), KroneckerSum(size, width, rule)
        self.nonlinearity = nonlinearity

    def update(self, hidden: torch.Tensor) -> torch.Tensor:
        """What is added to `hidden`, `(..., width)`, in its type."""
        update: torch.Tensor = self.up(FUNCTIONS[self.nonlinearity](self.down(hidden.to(self.down.bias.dtype))))
        return update.to(hidden.dtype)
