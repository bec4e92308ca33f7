"""Norms and gates in fewer passes over memory, which is what they cost on a CPU.

    norm   y = w n,  n = x r,  r = 1 / sqrt(mean(x^2) + eps)      dx = r (g - n mean(g n)),  g = w dy
    gate   y = silu(a) b,  silu(a) = a s(a)                       da = dy b (s + silu(a) (1 - s)),  db = dy silu(a)

(RMSNorm: Zhang & Sennrich 2019, arXiv 1910.07467; SwiGLU: Shazeer 2020, arXiv 2002.05202.) transformers' own norm goes
over its input some fifteen times, differentiated operation by operation; here the backward pass is written out, in
place. The gate takes some rows at a time, which stay in the processor's cache from one operation to the next, and keeps
nothing but its inputs. In float32 alone; whatever else is asked of such a layer, it does as before. Equal to rounding
(tested).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

_NORMS = ("LlamaRMSNorm", "MistralRMSNorm", "T5LayerNorm")
_GATES = ("LlamaMLP", "MistralMLP")
"""Classes that compute the above, under these names."""
_CACHED = 96 * 1024
"""Numbers of a gate's rows at a time: three such pieces fit into a megabyte of cache (64 to 256 rows of 704 or 1,408
are alike, measured)."""
_classes: dict[type, type] = {}


def quicken(model: Any) -> None:
    """Let the norms and gates of a model compute so, in place; those that are not known here are left as they are."""
    for module in model.modules():
        name = type(module).__name__
        if name in _NORMS:
            module.__class__ = _quick(type(module), _norm)
        elif name in _GATES and module.config.hidden_act == "silu":
            module.__class__ = _quick(type(module), _gate)


def _quick(cls: type, compute: Callable[[Any, Tensor], Tensor]) -> type:
    """The class with another forward pass, for float32 on a CPU."""
    if cls not in _classes:

        def forward(self: Any, x: Tensor) -> Tensor:
            own = {x.dtype, *(weights.dtype for weights in self.parameters(recurse=False))}
            if own == {torch.float32} and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
                return compute(self, x)
            return cls.forward(self, x)  # type: ignore[attr-defined]

        _classes[cls] = type(f"Quick{cls.__name__}", (cls,), {"forward": forward, "__module__": cls.__module__})
    return _classes[cls]


def _norm(layer: Any, x: Tensor) -> Tensor:
    return _Norm.apply(x, layer.weight, layer.variance_epsilon)  # type: ignore[no-untyped-call]


def _gate(layer: Any, x: Tensor) -> Tensor:
    gated: Tensor = layer.down_proj(_Gate.apply(layer.gate_proj(x), layer.up_proj(x)))  # type: ignore[no-untyped-call]
    return gated


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


class _Gate(torch.autograd.Function):
    """Both inputs `(..., d_feed_forward)`."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up)
        output = torch.empty_like(gate)
        for a, b, y in zip(_rows(gate), _rows(up), _rows(output), strict=True):
            torch.mul(silu(a), b, out=y)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        d_gate, d_up = torch.empty_like(gate), torch.empty_like(up)
        over = gradients[0].contiguous()
        for a, b, dy, da, db in zip(*map(_rows, (gate, up, over, d_gate, d_up)), strict=True):
            share = torch.sigmoid(a)
            activated = a * share
            torch.mul(dy, activated, out=db)
            torch.mul(dy, b, out=da)
            da.mul_(share.addcmul_(activated, share, value=-1).add_(activated))
        return d_gate, d_up


def _rows(states: Tensor) -> tuple[Tensor, ...]:
    """Pieces of so many rows as stay in the cache."""
    flat = states.view(-1, states.shape[-1])
    return flat.split(max(1, _CACHED // flat.shape[-1]))
