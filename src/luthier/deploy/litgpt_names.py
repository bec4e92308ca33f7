"""What litgpt 0.5 calls the modules of a model, and how it describes one: its `model_config.yaml`.

    litgpt                        Llama, Mistral, Gemma, Qwen2              GPT-NeoX
    transformer.h.0.attn.qkv      q_proj, k_proj, v_proj, one on another    query_key_value, head by head
    transformer.h.0.mlp.fc_1      gate_proj                                 dense_h_to_4h (litgpt: mlp.fc)

litgpt's qkv has all rows of the queries, then those of the keys, then those of the values. GPT-NeoX's own matrix has
query, key and value of the first head, then those of the second, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError

if TYPE_CHECKING:
    import torch

_BLOCK = "transformer.h.{}."
_LLAMA = {
    "transformer.wte": ("model.embed_tokens",),
    f"{_BLOCK}norm_1": ("model.layers.{}.input_layernorm",),
    f"{_BLOCK}attn.qkv": tuple(f"model.layers.{{}}.self_attn.{part}_proj" for part in "qkv"),
    f"{_BLOCK}attn.proj": ("model.layers.{}.self_attn.o_proj",),
    f"{_BLOCK}norm_2": ("model.layers.{}.post_attention_layernorm",),
    f"{_BLOCK}mlp.fc_1": ("model.layers.{}.mlp.gate_proj",),
    f"{_BLOCK}mlp.fc_2": ("model.layers.{}.mlp.up_proj",),
    f"{_BLOCK}mlp.proj": ("model.layers.{}.mlp.down_proj",),
    "transformer.ln_f": ("model.norm",),
    "lm_head": ("lm_head",),
}
_NEOX = {
    "transformer.wte": ("gpt_neox.embed_in",),
    f"{_BLOCK}norm_1": ("gpt_neox.layers.{}.input_layernorm",),
    f"{_BLOCK}attn.qkv": ("gpt_neox.layers.{}.attention.query_key_value",),
    f"{_BLOCK}attn.proj": ("gpt_neox.layers.{}.attention.dense",),
    f"{_BLOCK}norm_2": ("gpt_neox.layers.{}.post_attention_layernorm",),
    f"{_BLOCK}mlp.fc": ("gpt_neox.layers.{}.mlp.dense_h_to_4h",),
    f"{_BLOCK}mlp.proj": ("gpt_neox.layers.{}.mlp.dense_4h_to_h",),
    "transformer.ln_f": ("gpt_neox.final_layer_norm",),
    "lm_head": ("lm_head",),
}
_NAMES = {"llama": "Llama", "mistral": "Mistral", "gemma": "Gemma", "qwen2": "Qwen2.5", "gpt_neox": "pythia"}
"""By model type, what litgpt knows the family by: it reads the norm of Gemma out of the name."""
_GELU = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
"""The activation -> what litgpt calls its approximation."""


class LitGPTNames:
    """The modules of one model under both names.

    Args:
        config: of the transformers model.

    Attributes:
        modules: litgpt's name -> those of transformers that it stands for; three where it has them in one matrix.
        rows: how many of its rows are queries', keys' and values'.

    Raises:
        LuthierError: a model of a type that is not known here.
    """

    def __init__(self, config: Any):
        if config.model_type not in _NAMES:
            raise _cannot(f"models of type {config.model_type} are not known here")
        self._heads = config.num_attention_heads
        groups = getattr(config, "num_key_value_heads", None) or self._heads
        size = head_size(config)
        self.rows = (self._heads * size, groups * size, groups * size)
        self._fused = config.model_type == "gpt_neox"
        table = _NEOX if self._fused else _LLAMA
        self.modules: dict[str, tuple[str, ...]] = {}
        for name, meant in table.items():
            for layer in range(config.num_hidden_layers) if name.startswith(_BLOCK) else (0,):
                self.modules[name.format(layer)] = tuple(one.format(layer) for one in meant)

    def from_litgpt(self, name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        """A weight or bias of litgpt's as what it is to transformers, by name.

        Raises:
            LuthierError: there is no such module.
        """
        module, _, leaf = name.rpartition(".")
        if module not in self.modules:
            raise _cannot(f"{name} is no weight of such a model in litgpt 0.5")
        meant = self.modules[module]
        if module.endswith(".qkv") and len(tensor) == sum(self.rows):
            parts = tensor.split(self.rows)
            if self._fused:
                parts = (_head_by_head(parts, self._heads),)
        else:
            parts = (tensor,) * len(meant)
        return {f"{one}.{leaf}": part for one, part in zip(meant, parts, strict=True)}

    def to_litgpt(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights of a transformers model under litgpt's names.

        Raises:
            LuthierError: some have no place there.
        """
        import torch

        made: dict[str, torch.Tensor] = {}
        used: set[str] = set()
        for module, meant in self.modules.items():
            for leaf in ("weight", "bias"):
                names = [f"{one}.{leaf}" for one in meant]
                if names[0] not in weights:
                    continue
                used.update(names)
                parts = [weights[name] for name in names]
                if self._fused and module.endswith(".qkv"):
                    parts = _by_kind(parts[0], self._heads)
                made[f"{module}.{leaf}"] = torch.cat(parts).contiguous() if len(parts) > 1 else parts[0].clone()
        if odd := sorted(set(weights) - used):
            raise _cannot(f"litgpt has no place for {odd[0]}")
        return made


def litgpt_config(config: Any) -> dict[str, Any]:
    """What `model_config.yaml` says of such a model; litgpt has defaults for the rest.

    Raises:
        LuthierError: it has something that litgpt's model of this family cannot have.
    """
    if config.model_type not in _NAMES:
        raise _cannot(f"models of type {config.model_type} are not known here")
    kind, neox = config.model_type, config.model_type == "gpt_neox"
    activation = config.hidden_act
    if activation not in (_GELU if kind in ("gemma", "gpt_neox") else ("silu",)):
        raise _cannot(f"litgpt has no {activation} in its {_NAMES[kind]}")
    bias = bool(getattr(config, "attention_bias", False)) or bool(getattr(config, "mlp_bias", False))
    if bias != neox:
        raise _cannot(f"litgpt has no {_NAMES[kind]} {'with' if bias else 'without'} biases in its layers")
    if getattr(config, "use_sliding_window", False):
        raise _cannot("litgpt has no Qwen2 with a sliding window")
    rope = config.rope_parameters
    described: dict[str, Any] = {
        "name": _NAMES[kind],
        "block_size": config.max_position_embeddings,
        "vocab_size": config.vocab_size,
        "padded_vocab_size": config.vocab_size,
        "n_layer": config.num_hidden_layers,
        "n_embd": config.hidden_size,
        "n_head": config.num_attention_heads,
        "head_size": head_size(config),
        "n_query_groups": getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "bias": neox,
        "attn_bias": kind == "qwen2",
        "parallel_residual": neox and config.use_parallel_residual,
        "norm_class_name": "LayerNorm" if neox else "RMSNorm",
        "norm_eps": config.layer_norm_eps if neox else config.rms_norm_eps,
        "mlp_class_name": {"gemma": "GemmaMLP", "gpt_neox": "GptNeoxMLP"}.get(kind, "LLaMAMLP"),
        "gelu_approximate": _GELU.get(activation, "none"),
        "scale_embeddings": kind == "gemma",
        "rope_base": int(rope["rope_theta"]),
        "rotary_percentage": float(rope.get("partial_rotary_factor") or 1.0),
    }
    if adjusted := _rope_adjustments(rope):
        described["rope_adjustments"] = adjusted
    window = getattr(config, "sliding_window", None) if kind == "mistral" else None
    if window and window < config.max_position_embeddings:
        described["sliding_window_size"] = window
    return described


def head_size(config: Any) -> int:
    """The width of one attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _rope_adjustments(rope: Mapping[str, Any]) -> dict[str, float] | None:
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return None
    if kind == "linear":
        return {"factor": rope["factor"]}
    if kind == "llama3":
        return {
            "factor": rope["factor"],
            "low_freq_factor": rope["low_freq_factor"],
            "high_freq_factor": rope["high_freq_factor"],
            "original_max_seq_len": rope["original_max_position_embeddings"],
        }
    raise _cannot(f"rotary positions of kind {kind} are not known here")


def _by_kind(fused: torch.Tensor, heads: int) -> list[torch.Tensor]:
    """`(heads * 3 * head_size, ...)`, head by head -> the queries, the keys, the values."""
    split = fused.unflatten(0, (heads, 3, -1))
    return [split[:, kind].flatten(0, 1) for kind in range(3)]


def _head_by_head(parts: tuple[torch.Tensor, ...], heads: int) -> torch.Tensor:
    """The reverse of `_by_kind`."""
    import torch

    return torch.stack([part.unflatten(0, (heads, -1)) for part in parts], dim=1).flatten(0, 2).contiguous()


def _cannot(what: str) -> LuthierError:
    known = ", ".join(sorted(_NAMES))
    return LuthierError(what, where="litgpt", mend=f"plain models of these types can be converted: {known}")
