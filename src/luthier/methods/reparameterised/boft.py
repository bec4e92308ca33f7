"""BOFT (Liu et al. 2023, arXiv 2311.06243): rotate what goes into each frozen matrix by a product of sparse rotations.

    h = s * (W R x)        R = B_m ... B_1, B_i = P_i diag(R_i1 .. R_in) P_i^T, each R_ij orthogonal and I at first

The permutations P_i bring other inputs together in each factor, as in a fast Fourier transform, so that small blocks
reach every pair of inputs after enough factors; with one factor it is OFT. s, a scale of each output, begins at 1. A
matrix of 256 x 256 with two factors of blocks of 8 has 2 * 256 * 8 + 256 = 4,352 weights to train: all of each block,
as peft has it, of which only the skew-symmetric part counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import DEFAULT, MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears
from luthier.methods.reparameterised.oft import fitting_block, widths_of
from luthier.methods.targets import Targets, target_names


class BOFT(OnLinears):
    """Train a butterfly of rotations of the input of every linear layer but the head, and a scale of its output."""

    name: ClassVar[str] = "boft"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "a product of sparse rotations before each linear layer, and a scale after it"
    paper: ClassVar[str] = "Liu et al. 2023, arXiv 2311.06243"

    block_size: int = Field(default=8, ge=2)
    """b, the width of a block (8, as in the paper's experiments on language); where it does not fit the width of every
    layer that is rotated, the largest smaller one that does."""
    factors: int = Field(default=2, ge=1)
    """m, how many sparse rotations are multiplied (2, as in the paper's experiments on language)."""
    targets: Targets = "all-linear"
    """Which layers: `all-linear`, `attention`, `mlp`, or names of modules."""

    def learning_rate(self, parameters: int) -> float:
        """1e-2 at 6M parameters (measured: 24 steps on the house decoder took 45% and 50% of the held-out loss with
        3e-3 and 1e-2; OFT diverges there with 3e-2), 1e-4 at 3B (peft's comparison of methods, Llama 3.2 3B on
        MetaMathQA), on a log-log line between."""
        return rate_between(parameters, (6e6, 1e-2), (3e9, 1e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import BOFTConfig

        names = target_names(model, self.targets)
        times = 2 ** (self.factors - 1)
        return BOFTConfig(
            task_type=task_type(model),
            boft_block_size=fitting_block(widths_of(model, names), self.block_size, where=self.name, times=times),
            boft_n_butterfly_factor=self.factors,
            target_modules=names,
        )

    def attach(self, model: Any, tokenizer: Any) -> Any:
        _use_torch()
        return super().attach(model, tokenizer)

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        _use_torch()
        return super().load(model, folder, name)


class _BlockDiagonal:
    """What peft's CUDA extension computes, in torch: blocks `(factor, n, b, b)` <-> matrices `(factor, n b, n b)`."""

    @staticmethod
    def forward(blocks: Any) -> tuple[Any]:
        """The block-diagonal matrices."""
        import torch

        return (torch.stack([torch.block_diag(*factor) for factor in blocks]),)

    @staticmethod
    def backward(gradient: Any, blocks: Any) -> tuple[Any]:
        """The gradient of the blocks: what stands on the matrices' diagonals."""
        factors, count, size, _ = blocks.shape
        tiles = gradient.reshape(factors, count, size, count, size)
        return (tiles.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2).contiguous(),)


def _use_torch() -> None:
    """Give peft the product of blocks in torch, in place of the extension.

    peft would compile that at the first layer, and without it train a single factor whatever was asked for.
    """
    from peft.tuners.boft import layer

    layer._FBD_CUDA = _BlockDiagonal
