"""OFT (Qiu et al. 2023, arXiv 2306.07280): rotate what goes into each frozen matrix.

    h = W R x        R = diag(R_1 .. R_n), R_i = (I + Q_i)^-1 (I - Q_i), Q_i skew-symmetric, zero at first: R = I

Each R_i is orthogonal (Cayley's transform), so that lengths, and the angles between the rows of W, stay as they were.
A matrix of d_in = 256 in blocks of 32 has 8 * 32 * 31 / 2 = 3,968 weights to train. The inverse is computed exactly, as
in the paper; peft's own default is a truncated series (OFTv2, arXiv 2506.19847), which is orthogonal near R = I alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears
from luthier.methods.targets import Targets, target_names


class OFT(OnLinears):
    """Train a block-diagonal rotation of the input of every linear layer but the head."""

    name: ClassVar[str] = "oft"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "a block-diagonal rotation before each linear layer"
    paper: ClassVar[str] = "Qiu et al. 2023, arXiv 2306.07280"

    block_size: int = Field(default=32, ge=2)
    """Width of a block (peft's default); where it does not divide the width of every layer that is rotated, the largest
    smaller one that does."""
    targets: Targets = "all-linear"
    """Which layers: `all-linear`, `attention`, `mlp`, or names of modules."""

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 6M parameters (measured: 24 steps on the house decoder took 50%, 40% and less than nothing of the
        held-out loss with 3e-3, 1e-2 and 3e-2), 1e-4 at 3B (peft's comparison of methods, Llama 3.2 3B on MetaMathQA),
        on a log-log line between."""
        return rate_between(parameters, (6e6, 3e-3), (3e9, 1e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import OFTConfig

        names = target_names(model, self.targets)
        return OFTConfig(
            task_type=task_type(model),
            oft_block_size=fitting_block(widths_of(model, names), self.block_size, where=self.name),
            use_cayley_neumann=False,
            target_modules=names,
        )


def widths_of(model: Any, names: Sequence[str]) -> list[int]:
    """How wide the inputs of these linear layers are."""
    return [model.get_submodule(name).in_features for name in names]


def fitting_block(widths: Sequence[int], wanted: int, *, where: str, times: int = 1) -> int:
    """The largest block size up to `wanted` that divides every width.

    Args:
        widths: of the layers' inputs.
        wanted: the size that was asked for.
        where: what an error names.
        times: a block times this must divide the widths too, and be even where this is more than 1.

    Raises:
        LuthierError: none from 2 on does.
    """
    common = math.gcd(*widths)
    for size in range(min(wanted, common), 1, -1):
        if common % (size * times) == 0 and (times == 1 or size % 2 == 0):
            return size
    raise LuthierError(
        f"no block size from 2 to {wanted} fits widths of {', '.join(map(str, sorted(set(widths))))}",
        where=f"{where}: block_size",
        mend="rotate fewer layers (`targets`), or take another method" + ("" if times == 1 else ", or fewer factors"),
    )
