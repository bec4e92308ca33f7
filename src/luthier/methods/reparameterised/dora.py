"""DoRA (Liu et al. 2024, arXiv 2402.09353): LoRA on the direction of each matrix, and its lengths trained apart.

    h = m (W + s B A) x / ||W + s B A||        m: (d_out), the length of each row; ||W|| at first

The gradient takes the norm below for a constant, as the paper does. A 512 x 64 matrix at rank 8 has 512 weights more
than with LoRA: 8 * (512 + 64) + 512 = 5,120.
"""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.methods.method import rate_between
from luthier.methods.reparameterised.lora import LowRank


class DoRA(LowRank):
    """Train a low-rank update of every linear layer's direction, and its lengths."""

    name: ClassVar[str] = "dora"
    moves: ClassVar[str] = "a rank-r update of each linear layer's direction, and its lengths"
    paper: ClassVar[str] = "Liu et al. 2024, arXiv 2402.09353"

    def learning_rate(self, parameters: int) -> float:
        """LoRA's: 3e-3 at 6M parameters (40 steps of 4 on house/decoder and generated/support_desk: validation loss
        2.67, with 1e-3 3.59; LoRA with the same rate 2.69), 2e-4 at 7B (the paper's for LLaMA), on a log-log line
        between."""
        return rate_between(parameters, (6e6, 3e-3), (7e9, 2e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        config = super().peft_config(model, tokenizer)
        config.use_dora = True
        return config
