"""Prefixes in every layer: keys and values that attention finds before those of the row.

    head_i = Attention(q_i, [P_K,i; K_i], [P_V,i; V_i])        P_K, P_V: (virtual_tokens, head_dim), for each head i

They stand in the key-value cache when a row begins: there are as many as key-value heads (fewer than query heads where
these share them), and they take up positions, so that a row's first token stands behind them. Of an encoder-decoder,
peft puts them before the decoder's self-attention alone; the paper's BART has them in the encoder and before
cross-attention too. Encoders take them as decoders do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.methods.method import DEFAULT, rate_between, task_type
from luthier.methods.soft_prompts.soft_prompt import SoftPrompt
from luthier.models.encoder_decoder import has_encoder


class LayerPrefix(SoftPrompt):
    """Base of the methods that train keys and values before those of every layer."""

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """As every peft method, and refused where the attention is of another shape: peft would fail in the first
        forward pass."""
        saved = read_object(folder / "adapter_config.json")
        if saved is not None:
            shape = attention_shape(model.get_base_model() if hasattr(model, "get_base_model") else model)
            trained_on = {key: saved.get(key) for key in shape}
            if trained_on != shape:
                raise LuthierError(
                    f"this prefix was trained on another attention: {_described(trained_on)}, not {_described(shape)}",
                    where=str(folder),
                    mend="load it onto the base that it was trained on",
                )
        return super().load(model, folder, name)

    def _width(self, config: Any) -> int:
        return int(2 * config.num_layers * config.token_dim)


def prefix_config(model: Any, virtual_tokens: int, *, projection: bool, hidden: int | None = None) -> Any:
    """peft's configuration of a prefix.

    Args:
        model: a plain transformers model.
        virtual_tokens: how many keys and values each layer is given.
        projection: whether an MLP makes them.
        hidden: the MLP's inner width; that of a layer's keys where None.
    """
    from peft import PrefixTuningConfig

    return PrefixTuningConfig(
        task_type=task_type(model),
        num_virtual_tokens=virtual_tokens,
        prefix_projection=projection,
        encoder_hidden_size=hidden,
        **attention_shape(model),
    )


def attention_shape(model: Any) -> dict[str, int]:
    """What peft has to know of the attention that a prefix stands in: of the decoder, where there are two.

    peft reads the first sizes that it finds, the encoder's, and takes the heads to be as wide together as the model.
    """
    config = (model.get_decoder() if has_encoder(model) else model).config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
    size = size or config.hidden_size // config.num_attention_heads
    return {"num_layers": config.num_hidden_layers, "num_attention_heads": heads, "token_dim": heads * size}


def bare_rate(parameters: int) -> float:
    """The rate of a prefix that no MLP makes; where it is from stands in `p_tuning_v2.py`."""
    return rate_between(parameters, (5e6, 0.5), (340e6, 1e-2))


def _described(shape: dict[str, Any]) -> str:
    heads, layers, width = shape["num_attention_heads"], shape["num_layers"], shape["token_dim"]
    return f"{layers} layers of {heads} key-value heads, {width} wide together"
