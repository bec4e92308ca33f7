"""LoRA's layer with one large matrix product in place of one large and two thin ones.

    plain   y = W x + s B (A x)
    fused   y = (W + s B A) x         dx = (W + s B A)^T dy
                                      dA = s (B^T dy) x^T      dB = s dy (A x)^T

The sum W + s B A costs as much as r tokens do, so it is made anew for each batch, in both directions, and kept nowhere.
Thin products run far below the processor's peak, and the plain form keeps A x and two more outputs for the backward
pass. Same gradients to rounding (tested). Only in float32: added to a narrower W, small updates would be rounded away.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor
from transformers.pytorch_utils import Conv1D

FEWEST_TOKENS = 128
"""Below it the sum costs more than it saves (measured, docs/log.md)."""


def fuse(model: Any) -> Any:
    """Let peft's LoRA layers of this model compute as above wherever they can; in place, and given back."""
    for module in model.modules():
        if type(module) is Linear:
            module.__class__ = FusedLinear
    return model


class FusedLinear(Linear):
    """peft's layer; whatever it does beside the plain update of one adapter, it does as peft does."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        name = self._alone(x) if not args and not kwargs else None
        if name is None:
            return super().forward(x, *args, **kwargs)
        base = self.get_base_layer()
        a, b = self.lora_A[name].weight, self.lora_B[name].weight
        # A Conv1D holds its matrix the other way round.
        weight = base.weight.T if isinstance(base, Conv1D) else base.weight
        output: Tensor = _Fused.apply(x, weight, base.bias, a, b, self.scaling[name])  # type: ignore[no-untyped-call]
        return output

    def _alone(self, x: Tensor) -> str | None:
        """The one adapter to compute with; None where peft's own way is needed, or quicker."""
        if self.disable_adapters or self.merged or x.numel() < FEWEST_TOKENS * x.shape[-1]:
            return None
        names = [name for name in self.active_adapters if name in self.lora_A]
        base = self.get_base_layer()
        if len(names) != 1 or type(base) not in (torch.nn.Linear, Conv1D):
            return None
        name = names[0]
        if any(_hooked(part) for part in (base, self.lora_A[name], self.lora_B[name])):
            return None
        dropout = self.lora_dropout[name]
        plain = name not in self.lora_variant and not self.lora_bias[name] and not _trained(base)
        still = isinstance(dropout, torch.nn.Identity) or not dropout.training
        narrow = {x.dtype, base.weight.dtype, self.lora_A[name].weight.dtype} != {torch.float32}
        if not plain or not still or narrow or torch.is_autocast_enabled(x.device.type):
            return None
        return name


def _trained(layer: torch.nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in layer.parameters())


def _hooked(layer: torch.nn.Module) -> bool:
    """Whether somebody wants to see it called."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


class _Fused(torch.autograd.Function):
    """x `(..., d_in)`, weight `(d_out, d_in)`, bias `(d_out,)` or None, a `(r, d_in)`, b `(d_out, r)`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x, weight, a, b)
        ctx.scale = scale
        return torch.nn.functional.linear(x, torch.addmm(weight, b, a, alpha=scale), bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b = ctx.saved_tensors
        over = gradients[0].reshape(-1, weight.shape[0])
        rows = x.reshape(-1, weight.shape[1])
        dx = da = db = None
        if ctx.needs_input_grad[0]:
            dx = (over @ torch.addmm(weight, b, a, alpha=ctx.scale)).view_as(x)
        # The thin products lie down, rank by tokens: the other way round they take up to nine times as long.
        if ctx.needs_input_grad[3]:
            da = (b.T @ over.T).mul_(ctx.scale) @ rows
        if ctx.needs_input_grad[4]:
            db = ((a @ rows.T).mul_(ctx.scale) @ over).T
        return dx, None, None, da, db, None
