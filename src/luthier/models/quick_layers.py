"""Root-mean-square norms in half of the passes over memory.

    y = w n,  n = x r,  r = 1 / sqrt(mean(x^2) + eps)        dx = r (g - n mean(g n)),  g = w dy

(Zhang & Sennrich 2019, arXiv 1910.07467.) On a CPU a norm costs what it reads and writes. transformers' own goes over
its input some fifteen times, differentiated operation by operation; here the backward pass is written out, in place. In
float32 alone; whatever else is asked of such a layer, it does as before. Equal to rounding (tested).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_EPSILON = {"LlamaRMSNorm": "variance_epsilon", "MistralRMSNorm": "variance_epsilon", "T5LayerNorm": "variance_epsilon"}
"""What the number is called in each class that computes the above."""
_classes: dict[type, type] = {}


def quicken_norms(model: Any) -> None:
    """Let the norms of a model compute so, in place; those that are not known here are left as they are."""
    for module in model.modules():
        if type(module).__name__ in _EPSILON:
            module.__class__ = _quick(type(module))


def _quick(cls: type) -> type:
    """The class with the forward pass below in place of its own."""
    if cls not in _classes:
        epsilon = _EPSILON[cls.__name__]

        def forward(self: Any, hidden_states: Tensor) -> Tensor:
            plain = hidden_states.dtype == self.weight.dtype == torch.float32
            if not plain or hidden_states.device.type != "cpu":
                return cls.forward(self, hidden_states)  # type: ignore[attr-defined]
            return _Norm.apply(hidden_states, self.weight, getattr(self, epsilon))  # type: ignore[no-untyped-call]

        _classes[cls] = type(f"Quick{cls.__name__}", (cls,), {"forward": forward})
    return _classes[cls]


class _Norm(torch.autograd.Function):
    """x `(..., d_model)`, weight `(d_model,)`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        mean = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().mul_(1 / x.shape[-1])
        scale = mean.add_(epsilon).rsqrt_()
        normed = x * scale
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normed, scale, weight = ctx.saved_tensors
        (over,) = gradients
        dx = dw = None
        if ctx.needs_input_grad[1]:
            dw = (over * normed).reshape(-1, weight.shape[0]).sum(0)
        if ctx.needs_input_grad[0]:
            inner = over * weight
            mean = torch.linalg.vecdot(inner, normed).unsqueeze(-1).mul_(1 / weight.shape[0])
            dx = inner.addcmul_(normed, mean, value=-1).mul_(scale)
        return dx, dw, None
