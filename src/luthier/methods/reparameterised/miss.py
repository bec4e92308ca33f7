"""MiSS (Kang & Yin 2024, arXiv 2409.15371): an update of each frozen matrix that is one narrow matrix, repeated.

    h = W x + D^T sum_i x_i        x = [x_1 .. x_n] in pieces of r, the last one filled up with zeros; D: (r, d_out)

So the update is D^T side by side n times: all r columns are shared by the pieces. D is zero at first. A matrix of
256 x 256 at rank 16 has 16 * 256 = 4,096 weights to train, as many as LoRA has at rank 8.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears
from luthier.methods.reparameterised.oft import widths_of
from luthier.methods.targets import Targets, target_names


class MiSS(OnLinears):
    """Train one narrow matrix, shared along the input, as the update of every linear layer but the head."""

    name: ClassVar[str] = "miss"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "one shared shard of an update of each linear layer"
    paper: ClassVar[str] = "Kang & Yin 2024, arXiv 2409.15371"

    rank: int = Field(default=16, ge=1)
    """r, the width of a piece (16: as many weights as `lora` has by default; peft's default, 64, is for widths in the
    thousands), at most the width of the narrowest layer."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout of x before the sum (peft's default)."""
    targets: Targets = "all-linear"
    """Which layers: `all-linear`, `attention`, `mlp`, or names of modules."""

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 6M parameters (measured: 24 steps on the house decoder took 36%, 49% and 45% of the held-out loss
        with 1e-3, 3e-3 and 1e-2), 1e-4 at 3B (peft's comparison of methods, Llama 3.2 3B on MetaMathQA), on a log-log
        line between."""
        return rate_between(parameters, (6e6, 3e-3), (3e9, 1e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import MissConfig

        names = target_names(model, self.targets)
        if self.rank > (narrowest := min(widths_of(model, names))):
            raise LuthierError(
                f"rank {self.rank} is more than the narrowest layer is wide, {narrowest}",
                where=f"{self.name}: rank",
                mend=f"take a rank of {narrowest} or less",
            )
        return MissConfig(task_type=task_type(model), r=self.rank, miss_dropout=self.dropout, target_modules=names)
