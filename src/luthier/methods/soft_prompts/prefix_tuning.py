"""Prefix tuning (Li & Liang 2021, arXiv 2101.00190): trained keys and values before those of every layer.

    head_i = Attention(q_i, [P_K,i; K_i], [P_V,i; V_i])        [P_K; P_V] = MLP(E)        the model frozen

    E: (virtual_tokens, width); MLP: width -> hidden -> 2 * layers * width, tanh between; width: of a layer's keys

The paper found the prefix itself unstable to train, and trains the E and the MLP that make it; only the prefix that
comes of them is saved. How encoder-decoders and encoders have it: `layer_prefix.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from luthier.methods.method import rate_between
from luthier.methods.soft_prompts.layer_prefix import LayerPrefix, bare_rate, prefix_config
from luthier.models.kinds import Kind


class PrefixTuning(LayerPrefix):
    """Train keys and values that stand before every layer's own, through an MLP that makes them."""

    name: ClassVar[str] = "prefix_tuning"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"projection": False})
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.1, "encoder-decoder": 0.08}
    moves: ClassVar[str] = "keys and values before every layer's, made by an MLP"
    paper: ClassVar[str] = "Li & Liang 2021, arXiv 2101.00190"

    virtual_tokens: int = Field(default=20, ge=1)
    """How many keys and values each layer is given (20, as other soft prompts here; the paper takes 10 for texts from
    tables and 200 for summaries)."""
    projection: bool = True
    """Whether an MLP makes the prefix in training (the paper's way); without it the keys and values are trained as they
    are."""
    hidden: int | None = Field(default=None, ge=1)
    """The MLP's inner width; that of a layer's keys where it is not given (peft's default; the paper takes 512 on GPT-2
    and 800 on BART)."""

    def learning_rate(self, parameters: int) -> float:
        """1e-2 at 5M parameters (measured: in 24 steps the loss on held-out lists of names fell by 23% on
        house/decoder, by 10% with 3e-3, and by 19% on house/seq2seq), 5e-5 at 345M (the paper's on GPT-2 medium), on a
        log-log line between. Without projection as in P-tuning v2, which is the same then."""
        return rate_between(parameters, (5e6, 1e-2), (345e6, 5e-5)) if self.projection else bare_rate(parameters)

    def encoder_learning_rate(self, parameters: int) -> float:
        """As P-tuning v2's without projection; with it the decoder's."""
        return self.learning_rate(parameters) if self.projection else 1e-2

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        return prefix_config(model, self.virtual_tokens, projection=self.projection, hidden=self.hidden)
