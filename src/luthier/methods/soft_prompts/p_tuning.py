"""P-tuning (Liu et al. 2021, arXiv 2103.10385): virtual tokens before the input, made by a small encoder.

    y ~ p(y | [P; E(x)])        P = MLP(Z), or P = MLP(LSTM(Z))        Z: (virtual_tokens, d_model)

Z and the encoder are trained, the embedding E and the model frozen. The LSTM runs over the virtual tokens in both
directions, so that each knows the others. Only P is saved: the encoder has no use after the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.methods.method import rate_between, task_type
from luthier.methods.soft_prompts.soft_prompt import SoftPrompt
from luthier.models.kinds import Kind


class PTuning(SoftPrompt):
    """Train virtual tokens that stand before every input, through a small encoder that makes them."""

    name: ClassVar[str] = "p_tuning"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"encoder": "lstm"})
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.025, "encoder-decoder": 0.012}
    moves: ClassVar[str] = "virtual tokens before the input, made by an MLP or an LSTM"
    paper: ClassVar[str] = "Liu et al. 2021, arXiv 2103.10385"

    encoder: Literal["mlp", "lstm"] = "mlp"
    """What makes the virtual tokens: an MLP of three layers (peft's default), or an LSTM of two layers in both
    directions with an MLP of two on top (the paper's)."""
    hidden: int | None = Field(default=None, ge=1)
    """The encoder's inner width; where it is not given d_model for the MLP (peft's default), and half of it for each of
    the LSTM's directions (as in the authors' code)."""

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 5M parameters (measured on house/decoder: in 24 steps the loss on held-out lists of names fell by 6%
        with 1e-3 and with 1e-2 alike, by 7% with the LSTM at 1e-2; on house/seq2seq by 4%), 1e-4 at 223M (the authors'
        scripts for ALBERT-xxlarge), on a log-log line between."""
        return rate_between(parameters, (5e6, 3e-3), (223e6, 1e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import PromptEncoderConfig

        width = model.config.get_text_config(decoder=True).hidden_size
        return PromptEncoderConfig(
            task_type=task_type(model),
            num_transformer_submodules=1,  # as in prompt tuning
            num_virtual_tokens=self.virtual_tokens,
            encoder_reparameterization_type=self.encoder.upper(),
            encoder_hidden_size=self.hidden or (width if self.encoder == "mlp" else max(1, width // 2)),
        )
