"""LoHa (FedPara: Hyeon-Woo et al. 2021, arXiv 2108.06098; for adapting: LyCORIS, Yeh et al. 2023, arXiv 2309.14859).

    h = W x + (alpha / r) ((B_1 A_1) * (B_2 A_2)) x        * entry by entry, A: (r, d_in), B: (d_out, r)

The product of two matrices of rank r can have rank r^2. A_2 is zero at first, the others are drawn at random. A
512 x 64 matrix at rank 8 gains 2 * 8 * (512 + 64) = 9,216 weights.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears
from luthier.methods.targets import Targets, target_names


class LoHa(OnLinears):
    """Train the entrywise product of two low-rank updates of every linear layer."""

    name: ClassVar[str] = "loha"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "the entrywise product of two low-rank updates of each linear layer"
    paper: ClassVar[str] = "Hyeon-Woo et al. 2021, arXiv 2108.06098"

    rank: int = Field(default=8, ge=1)
    """r, the rank of each factor (peft's default)."""
    alpha: float | None = Field(default=None, gt=0)
    """The update is scaled by alpha / rank; the rank where it is not given, which is peft's default for rank 8."""
    targets: Targets = "all-linear"
    """Which matrices: `all-linear` (QLoRA, arXiv 2305.14314, found all of them needed), `attention`, `mlp`, or one name
    or several."""

    def learning_rate(self, parameters: int) -> float:
        """3e-2 at 6M parameters (24 steps of 4 on house/decoder and generated/support_desk: validation loss 2.37, with
        1e-2 3.60), 2e-3 at 7B, on a log-log line between: ten times LoRA's, as measured at the small end alone. The
        product of four small factors moves slowly."""
        return rate_between(parameters, (6e6, 3e-2), (7e9, 2e-3))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import LoHaConfig

        return LoHaConfig(
            task_type=task_type(model),
            r=self.rank,
            alpha=self.alpha or self.rank,
            target_modules=target_names(model, self.targets),
        )
