"""P-tuning v2 (Liu et al. 2021, arXiv 2110.07602): deep prompts, of every layer, trained as they are.

    head_i = Attention(q_i, [P_K,i; K_i], [P_V,i; V_i])        P trained, the model frozen, a head on top of encoders

Prefix tuning made for understanding: no MLP in between (the paper found it to help on some tasks and harm on others),
and on an encoder a trained head instead of words. peft has it as prefix tuning without projection. CLS, or each word,
is read where it stands: `layer_prefix.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from luthier.methods.soft_prompts.layer_prefix import LayerPrefix, bare_rate, prefix_config
from luthier.models.kinds import Kind


class PTuningV2(LayerPrefix):
    """Train keys and values that stand before every layer's own, as they are."""

    name: ClassVar[str] = "p_tuning_v2"
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.13, "encoder-decoder": 0.08}
    moves: ClassVar[str] = "keys and values before every layer's"
    paper: ClassVar[str] = "Liu et al. 2021, arXiv 2110.07602"

    def learning_rate(self, parameters: int) -> float:
        """0.5 at 5M parameters (measured: in 24 steps the loss on held-out lists of names fell by 28% on house/decoder,
        by 9% with 0.1 and less than 1% with 0.01, and by 18% on house/seq2seq), 1e-2 at 340M (the authors' scripts for
        BERT-large), on a log-log line between."""
        return bare_rate(parameters)

    def encoder_learning_rate(self, parameters: int) -> float:
        """1e-2, as the authors train BERT-large (5e-3 to 3e-2, by task) for up to 100 epochs."""
        return 1e-2

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        return prefix_config(model, self.virtual_tokens, projection=False)
