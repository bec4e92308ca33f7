"""LoRA (Hu et al. 2021, arXiv 2106.09685): a low-rank update beside each frozen matrix.

    h = W x + (alpha / r) B A x        A: (r, d_in) drawn at random, B: (d_out, r) zero at first, W frozen

A 512 x 64 matrix has 32,768 weights; at rank 8 its update has 8 * (512 + 64) = 4,608.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import MethodClass, PeftMethod, rate_between, task_type


class LoRA(PeftMethod):
    """Train a low-rank update of every linear layer but the head."""

    name: ClassVar[str] = "lora"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "a rank-r update of each linear layer"
    paper: ClassVar[str] = "Hu et al. 2021, arXiv 2106.09685"

    rank: int = Field(default=8, ge=1)
    """r, the rank of each update (peft's default)."""
    alpha: float | None = Field(default=None, gt=0)
    """The update is scaled by alpha / rank; twice the rank where it is not given (the scale 2 that practice settled on,
    so that a rank can be changed without a new learning rate)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before A (0, as in QLoRA's larger models, arXiv 2305.14314)."""
    targets: str | tuple[str, ...] = "all-linear"
    """Which layers: `all-linear` (QLoRA found that all of them are needed to match full fine-tuning), or one name or
    several, such as `q_proj`."""

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 6M parameters (measured, docs/log.md), 2e-4 at 7B (QLoRA, arXiv 2305.14314, Table 9), on a log-log
        line between."""
        return rate_between(parameters, (6e6, 3e-3), (7e9, 2e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import LoraConfig

        # peft reads a single word as a regular expression over whole paths; here it is a name, as in a list.
        named = [self.targets] if isinstance(self.targets, str) else list(self.targets)
        return LoraConfig(
            task_type=task_type(model),
            r=self.rank,
            lora_alpha=self.alpha or 2 * self.rank,
            lora_dropout=self.dropout,
            target_modules="all-linear" if named == ["all-linear"] else named,
        )
