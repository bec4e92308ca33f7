"""LLaMA-Adapter (Zhang et al. 2023, arXiv 2303.16199): trained prompts within the attention of the upper layers, gated.

    attention(x) + g W_o softmax(Q K_P^T / sqrt(d)) V_P        K_P = W_k P, V_P = W_v P, P: (K, d_model) trained

g, one number a layer, is zero at first, so that the model starts as its base, and P has no gradient before g has moved.
The prompts have a softmax of their own: they take nothing from the attention to the text, stand nowhere in the context,
and each position is adapted for itself. A layer of width 256 with 10 prompts has 10 * 256 + 1 weights to train.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import MethodClass, PeftMethod, rate_between, task_type
from luthier.models.kinds import Kind

_FAMILIES = ("gpt2", "llama", "mistral")
"""Those that peft recomputes the queries of."""


class LlamaAdapter(PeftMethod):
    """Train gated prompts within the attention of the upper layers."""

    name: ClassVar[str] = "llama_adapter"
    belongs_to: ClassVar[MethodClass] = "additive"
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.1}
    moves: ClassVar[str] = "gated prompts within the attention of the upper layers"
    paper: ClassVar[str] = "Zhang et al. 2023, arXiv 2303.16199"

    prompts: int = Field(default=10, ge=1)
    """K, how many prompts a layer has (the paper's)."""
    layers: int = Field(default=30, ge=1)
    """L, how many layers have them, from the top (the paper's, of LLaMA-7B's 32); all of them in a model with fewer."""

    def refusal(self, kind: Kind, family: str) -> str | None:
        if family in _FAMILIES:
            return None
        return f"peft has its attention for {', '.join(_FAMILIES)} alone, and not for {family}"

    def learning_rate(self, parameters: int) -> float:
        """0.1 at 6M parameters (measured: 24 steps on the house decoder took 2%, 9% and 24% of the held-out loss with
        0.01, 0.03 and 0.1), 5e-3 at 3B (peft's comparison of methods, Llama 3.2 3B on MetaMathQA), on a log-log line
        between."""
        return rate_between(parameters, (6e6, 1e-1), (3e9, 5e-3))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import AdaptionPromptConfig

        depth = model.config.get_text_config(decoder=True).num_hidden_layers
        return AdaptionPromptConfig(
            task_type=task_type(model), adapter_len=self.prompts, adapter_layers=min(self.layers, depth)
        )
