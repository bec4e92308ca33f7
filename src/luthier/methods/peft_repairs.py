"""What some of peft's types leave to whoever calls them.

Each function takes the model with the type on it, and may be called again on the same model. Needs torch at module
level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_MENDED = "luthier_mended"
_KEYS = ("k_proj", "key", "k")
"""What key projections are called."""


def tell_tasks(model: Any) -> None:
    """Poly mixes its updates by the task of a row, which it wants as an argument of every layer: the one task."""
    from peft.tuners.poly.layer import PolyLayer

    def task(layer: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        hidden = inputs[0]
        named["task_ids"] = torch.zeros(len(hidden), dtype=torch.long, device=hidden.device)
        return inputs, named

    for layer in model.modules():
        if isinstance(layer, PolyLayer) and not hasattr(layer, _MENDED):
            layer.register_forward_pre_hook(task, with_kwargs=True)
            setattr(layer, _MENDED, True)


def freeze_idle_biases(model: Any) -> None:
    """GLoRA: what can do nothing is not trained. D scales a bias, where one is; and C, D and E come to a bias, of which
    the softmax takes nothing from keys, but where positions are turned into them after it."""
    from peft.tuners.glora.layer import GloraLayer

    turned = hasattr(model.config, "rope_parameters")
    for name, layer in model.named_modules():
        if not isinstance(layer, GloraLayer):
            continue
        bias = layer.get_base_layer().bias
        if bias is None or not bool(bias.any()):
            layer.glora_D.requires_grad_(False)
        if name.rpartition(".")[2] in _KEYS and not turned:
            for part in (layer.glora_C, layer.glora_D, layer.glora_E):
                part.requires_grad_(False)


def settle_shadow(model: Any) -> None:
    """Shadow: after the last layer nobody reads the shadow's state, and it reads the base's embeddings: what it has of
    its own for either is not trained. The decoder's key-value cache takes the shadow's along."""
    from peft.tuners.shadow.layers import ShadowLayer

    last = [layer for layer in model.modules() if isinstance(layer, ShadowLayer)][-1]
    last.shadow_update_transform.requires_grad_(False)
    last.shadow_update_gate.requires_grad_(False)
    for name, shadow in model.base_model.shadow_backbone.items():
        if model.base_model._shadow_share_embeddings[name]:
            for module in shadow.modules():
                if isinstance(module, torch.nn.Embedding) and len(module.weight) == model.config.vocab_size:
                    module.requires_grad_(False)
    if not hasattr(model, _MENDED):
        model.register_forward_pre_hook(_with_shadow, with_kwargs=True)
        model.register_forward_hook(_without_shadow)
        setattr(model, _MENDED, True)


def bare_heads(model: Any, *, trained: bool = True) -> None:
    """Put a classifier's head as it was trained, or else the base's own, in the place of peft's wrapper around both,
    which peft does not undo everywhere."""
    from peft.utils.other import ModulesToSaveWrapper

    from luthier.models.upright import put

    base = model.get_base_model()
    for name, wrapped in list(base.named_modules()):
        if isinstance(wrapped, ModulesToSaveWrapper):
            put(base, name, wrapped.modules_to_save[wrapped.active_adapter] if trained else wrapped.original_module)


@contextmanager
def without_prompt(model: Any) -> Iterator[None]:
    """Within it, a model with virtual tokens answers as its base does, with the base's own head.

    peft's own way takes the prompt away, leaves the trained head in place, and fails where a model cannot generate.
    """
    from peft.utils.other import AuxiliaryTrainingWrapper

    heads = [module for module in model.modules() if isinstance(module, AuxiliaryTrainingWrapper)]
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.forward, model._adapters_disabled = model.get_base_model().forward, True
    for head in heads:
        head.enable_adapters(False)
    try:
        yield
    finally:
        del model.forward
        model._adapters_disabled = False
        for head in heads:
            head.enable_adapters(True)
        for parameter, required in before:
            parameter.requires_grad_(required)


def lay_out(model: Any) -> None:
    """Lay the matrices out row by row: where one is a view of its transpose, as of GPT-2's, a type that counts through
    its weights would write what it merges into a copy."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.is_contiguous():
            module.weight.data = module.weight.data.contiguous()


_SHADOW = "luthier_shadow"


def _with_shadow(model: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A cache that has a shadow beside it, as the pair that peft reads."""
    from peft.tuners.shadow.layers import ShadowCache

    cache = named.get("past_key_values")
    if hasattr(cache, _SHADOW):
        named["past_key_values"] = ShadowCache(base=cache, shadow=getattr(cache, _SHADOW))
    return inputs, named


def _without_shadow(model: Any, inputs: Any, output: Any) -> None:
    """The base's own cache, the shadow's beside it; rows are dropped from both."""
    from peft.tuners.shadow.layers import ShadowCache

    pair = getattr(output, "past_key_values", None)
    if not isinstance(pair, ShadowCache):
        return
    cache, shadow = pair.base, pair.shadow
    if not hasattr(cache, _SHADOW):
        setattr(cache, _SHADOW, shadow)
        select = cache.batch_select_indices

        def select_both(rows: torch.Tensor) -> None:
            select(rows)
            shadow.batch_select_indices(rows)

        cache.batch_select_indices = select_both
    output.past_key_values = cache
