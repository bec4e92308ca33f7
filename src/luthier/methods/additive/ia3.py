"""IA3 (Liu et al. 2022, arXiv 2205.05638): rescale keys, values, and the inner activations of the feed-forward.

    softmax(Q (l_k * K)^T / sqrt(d)) (l_v * V)      W_out (l_ff * f(W_in x))      l_k, l_v, l_ff: vectors, 1 at first

They are the outputs of the key and value matrices, of cross-attention too, and the inputs of the feed-forward's last
one. Where one matrix gives queries, keys and values at once (GPT-2, BLOOM), all three are rescaled, as in peft. A layer
of width 64 with 128 inside has 64 + 64 + 128 = 256 weights to train.

peft's own table of layers is another in places: it rescales queries in place of keys (BART, Gemma), and what goes into
the attention's output matrix too (BERT, RoBERTa). Here it is the paper's three in every model.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from luthier.core.errors import LuthierError
from luthier.methods.method import MethodClass, rate_between, task_type
from luthier.methods.on_linears import OnLinears

_KEYS_AND_VALUES = re.compile(r"(k|v|k_proj|v_proj|key|value|c_attn|query_key_value)")


class IA3(OnLinears):
    """Train vectors that rescale keys, values and the inner activations of the feed-forward."""

    name: ClassVar[str] = "ia3"
    belongs_to: ClassVar[MethodClass] = "additive"
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "scales of keys, values and the feed-forward's inner activations"
    paper: ClassVar[str] = "Liu et al. 2022, arXiv 2205.05638"

    def learning_rate(self, parameters: int) -> float:
        """0.1 at 6M parameters (measured: 24 steps on the house decoder took 15%, 31% and 48% of the held-out loss with
        0.01, 0.03 and 0.1), 3e-3 at 11B (the paper's), on a log-log line between."""
        return rate_between(parameters, (6e6, 1e-1), (11e9, 3e-3))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import IA3Config

        scaled, feed_forward = _rescaled(model)
        return IA3Config(
            task_type=task_type(model),
            target_modules=[*scaled, *feed_forward],
            feedforward_modules=feed_forward,
        )


def _rescaled(model: Any) -> tuple[list[str], list[str]]:
    """The matrices whose outputs are rescaled, and those whose inputs are: the last of each layer's feed-forward.

    Raises:
        LuthierError: the model has none of a known name.
    """
    from luthier.models.anatomy import anatomy_of

    anatomy = anatomy_of(model)
    scaled = [name for name in anatomy.of_role("attention") if _KEYS_AND_VALUES.fullmatch(name.rpartition(".")[2])]
    last = {_layer(name, anatomy.layers): name for name in anatomy.of_role("mlp")}
    if not scaled or not last:
        raise LuthierError(
            f"{type(model).__name__} has no key and value matrices, or no feed-forward, of a known name",
            where="ia3",
            mend="take another method, such as lora",
        )
    return scaled, list(last.values())


def _layer(name: str, layers: tuple[str, ...]) -> str:
    return next(layer for layer in layers if name.startswith(f"{layer}."))
