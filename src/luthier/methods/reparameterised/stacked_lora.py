"""LoRA adapters of several arms over one pass of the base: row k of a batch is computed with arm k's.

    y_k = W x_k + s_k B_k A_k x_k        x: (arm, token, d_in); A: (arm, r, d_in), B^T: (arm, r, d_out), r the largest

Small models on a GPU spend their time starting kernels: here their number does not grow with that of the arms, neither
in the layers nor in the optimizer, for all weights of all arms stand in one matrix, a row an arm:

    weights: (arm, P)        A and B^T of the first matrix, then of the second, ...; the layers hold views of it

An arm of a lower rank has zeros beyond its own. These stay zeros: the gradient of a row of A beyond the rank has the
same row of B^T, a zero, for a factor, and the other way round.

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from luthier.methods.method import DEFAULT
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.upright import put


class StackedLinear(nn.Module):
    """A frozen linear layer, and beside it an update for each arm.

    Args:
        base: the layer; torch's `Linear` or GPT-2's `Conv1D`.
    """

    down: nn.Parameter
    up: nn.Parameter
    scales: Tensor

    def __init__(self, base: Any):
        super().__init__()
        self.base = base

    def hold(self, down: Tensor, up: Tensor, scales: Tensor) -> None:
        """Compute with these from now on: A `(arm, r, d_in)`, B^T `(arm, r, d_out)`, s `(arm, 1, 1)`."""
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)
        self.scales = scales

    def forward(self, hidden: Tensor) -> Tensor:
        """`(arm * row, position, d_in)` to `(arm * row, position, d_out)`; the rows of an arm stand together."""
        output: Tensor = self.base(hidden)
        arms = len(self.scales)
        tokens = hidden.reshape(arms, -1, hidden.shape[-1])
        if not torch.is_autocast_enabled(hidden.device.type):
            tokens = tokens.to(self.down.dtype)  # as peft does: a narrower base keeps its adapters in float32
        inner = torch.bmm(tokens, self.down.transpose(1, 2))
        inner = (inner * self.scales).to(inner.dtype)
        beside = output.reshape(arms, -1, output.shape[-1]).to(inner.dtype)
        return torch.baddbmm(beside, inner, self.up).to(output.dtype).view_as(output)


@dataclass(frozen=True)
class _Place:
    """Where a layer's A and B^T stand in a row of the matrix: A from `start` to `middle`, B^T from there to `end`."""

    target: str
    rank: int
    d_in: int
    d_out: int
    start: int

    @property
    def middle(self) -> int:
        return self.start + self.rank * self.d_in

    @property
    def end(self) -> int:
        return self.middle + self.rank * self.d_out


class StackedLoRA:
    """The adapters of several arms on one base.

    Args:
        base: a shell (`models/shells.py`) of the base, on the device where it computes; its layers are replaced.
        adapted: of every arm, another shell of that base with the arm's method attached. All have the same targets, no
            dropout, and A and B alone.
        methods: the arms' methods.

    Attributes:
        model: the base with the stack on it; a batch of the arms' rows, arm by arm, goes through.
        weights: `(arm, P)`, float32, what the layers compute with.
        gradients: `(arm, P)`, where a backward pass leaves its gradients; to be zeroed before the next.
    """

    def __init__(self, base: Any, adapted: Sequence[Any], methods: Sequence[LoRA]):
        self.model = base
        device = next(base.parameters()).device
        largest = max(method.rank for method in methods)
        self._places: list[_Place] = []
        for name, weight in _factors(adapted[0]).items():
            if "lora_A" in name:
                start = self._places[-1].end if self._places else 0
                target = name.removeprefix("base_model.model.").partition(".lora_A")[0]
                d_out = _factors(adapted[0])[name.replace("lora_A", "lora_B")].shape[0]
                self._places.append(_Place(target, largest, weight.shape[1], d_out, start))
        self._layers = [StackedLinear(base.get_submodule(place.target)) for place in self._places]
        for place, layer in zip(self._places, self._layers, strict=True):
            put(base, place.target, layer)
        base.requires_grad_(False)
        scales = torch.tensor([method.scaling for method in methods], device=device).view(-1, 1, 1)
        self._hold(torch.stack([self.packed(_factors(model)) for model in adapted]).to(device), scales)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all arms but these."""
        chosen = list(rows)
        self._hold(self.weights[chosen], self._scales[chosen])

    def packed(self, values: Mapping[str, Tensor]) -> Tensor:
        """A tensor for every A and B of an arm, by the names of its parameters, as a row of the matrix, `(P,)`."""
        row = next(iter(values.values())).new_zeros(self._places[-1].end, dtype=torch.float32)
        for place in self._places:
            a, b = (values[_name(place.target, part)].detach() for part in "AB")
            down, up = self._parts(place, row[None])
            down[0, : len(a)] = a
            up[0, : len(a)] = b.T
        return row

    def unpacked(self, row: Tensor, rank: int) -> dict[str, Tensor]:
        """The other way round, for an arm of that rank; on the CPU."""
        values = {}
        row = row.detach().cpu()
        for place in self._places:
            down, up = self._parts(place, row[None])
            values[_name(place.target, "A")] = down[0, :rank].clone()
            values[_name(place.target, "B")] = up[0, :rank].T.contiguous()
        return values

    def _hold(self, weights: Tensor, scales: Tensor) -> None:
        """Make the layers' parameters views of this matrix, and their gradients of another."""
        self.weights, self.gradients, self._scales = weights, torch.zeros_like(weights), scales
        for place, layer in zip(self._places, self._layers, strict=True):
            layer.hold(*self._parts(place, weights), scales)
            # A backward pass adds to a gradient that is there, so that all of them arrive in one matrix.
            layer.down.grad, layer.up.grad = self._parts(place, self.gradients)

    def _parts(self, place: _Place, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Views of a layer's A and B^T in `(arm, P)`."""
        down, up = rows[:, place.start : place.middle], rows[:, place.middle : place.end]
        return down.unflatten(1, (place.rank, place.d_in)), up.unflatten(1, (place.rank, place.d_out))


def _factors(model: Any) -> dict[str, Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _name(target: str, part: str) -> str:
    return f"base_model.model.{target}.lora_{part}.{DEFAULT}.weight"
