"""LoKr (LyCORIS: Yeh et al. 2023, arXiv 2309.14859; KronA: Edalati et al. 2022, arXiv 2212.10650).

    h = W x + (alpha / r) (C (x) (B A)) x        (x) Kronecker's product; C: (f_out, f_in), zero at first

    B A: (d_out / f_out, d_in / f_in); one full matrix where r is at least half of its longer side

A 64 x 64 matrix cut at 8 x 8 gains 8 * 8 + 8 * 8 = 128 weights.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears
from luthier.methods.targets import Targets, target_names


class LoKr(OnLinears):
    """Train a Kronecker product as the update of every linear layer."""

    name: ClassVar[str] = "lokr"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "a Kronecker product as the update of each linear layer"
    paper: ClassVar[str] = "Yeh et al. 2023, arXiv 2309.14859"

    rank: int = Field(default=8, ge=1)
    """r, the rank of the larger factor (peft's default)."""
    alpha: float | None = Field(default=None, gt=0)
    """The update is scaled by alpha / rank; the rank where it is not given, which is peft's default for rank 8."""
    factor: int | None = Field(default=None, ge=2)
    """The longest side of the smaller factor C, where it divides a matrix's own; not given, both factors are as nearly
    of a size as they can be (peft's default, and the fewest weights). LyCORIS tried 4 to 16: the smaller, the more is
    trained."""
    targets: Targets = "all-linear"
    """Which matrices: `all-linear` (QLoRA, arXiv 2305.14314, found all of them needed), `attention`, `mlp`, or one name
    or several."""

    def learning_rate(self, parameters: int) -> float:
        """3e-2 at 6M parameters (24 steps of 4 on house/decoder and generated/support_desk: validation loss 2.98, with
        1e-2 3.81), 2e-3 at 7B, on a log-log line between: ten times LoRA's, as measured at the small end alone."""
        return rate_between(parameters, (6e6, 3e-2), (7e9, 2e-3))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import LoKrConfig

        return LoKrConfig(
            task_type=task_type(model),
            r=self.rank,
            alpha=self.alpha or self.rank,
            decompose_factor=self.factor or -1,
            target_modules=target_names(model, self.targets),
        )
