"""How far a model's weights have moved from its base's, layer by layer.

    ||W' - W|| / ||W||        the Frobenius norm over all weights of a layer together, norms and biases included

The embeddings, the head where it has weights of its own, and what stands outside of the layers (the last norm) are told
apart. What a method adds beside the base's weights (adapters between the layers, soft prompts) moves none of them: it
shows in what the model answers alone (`models/divergence.py`).
"""

from __future__ import annotations

import math
import re
from typing import Any

from luthier.models.anatomy import anatomy_of

EMBEDDINGS, HEAD, REST = "embeddings", "head", "rest"
_PREFIXES = ("base_model.", "base_model.model.")
_WITHIN = re.compile(r"\.(base_layer|original_module)(?=\.)|(?<=attn)\.model(?=\.)")


def weight_distances(base: Any, tuned: Any) -> dict[str, float] | None:
    """Of every layer (`1`, `2`, ..., or `encoder 1`, ..., `decoder 1`, ...) and of what is outside of them, in the
    model's order.

    Args:
        base: a plain transformers model.
        tuned: the same model after training: plain, or with modules beside its weights.

    Returns:
        None where it cannot be told: the base's weights are not all found in `tuned`, or are not kept as numbers of
        their own (quantised).
    """
    import torch

    groups = _groups(base)
    after = _by_plain_name(tuned)
    moved, whole = dict.fromkeys(groups.values(), 0.0), dict.fromkeys(groups.values(), 0.0)
    for name, parameter in base.named_parameters():
        other = after.get(name)
        if other is None or other.shape != parameter.shape or not other.is_floating_point():
            return None
        with torch.no_grad():
            before = parameter.to(other.device, torch.float32)
            moved[groups[name]] += float((other.float() - before).square().sum(dtype=torch.float64))
            whole[groups[name]] += float(before.square().sum(dtype=torch.float64))
    return {group: math.sqrt(moved[group] / whole[group]) if whole[group] else 0.0 for group in _in_order(moved)}


def _groups(model: Any) -> dict[str, str]:
    """The group of every parameter, by name."""
    import torch

    anatomy = anatomy_of(model)
    stacks = anatomy.stacks
    kinds = ("",) if len(stacks) == 1 else ("encoder ", "decoder ")
    layers = {
        f"{layer}.": f"{kind}{number}"
        for kind, stack in zip(kinds, stacks, strict=True)
        for number, layer in enumerate(stack, start=1)
    }
    modules = dict(model.named_modules())
    head = model.get_output_embeddings()
    found = {}
    for name, _ in model.named_parameters():
        owner = modules[name.rpartition(".")[0]]
        within = next((group for prefix, group in layers.items() if name.startswith(prefix)), None)
        embedding = EMBEDDINGS if isinstance(owner, torch.nn.Embedding) else None
        found[name] = within or embedding or (HEAD if owner is head else REST)
    return found


def _in_order(groups: dict[str, float]) -> list[str]:
    """The embeddings first, then the layers, the head and the rest last."""
    last = (HEAD, REST)
    return sorted(groups, key=lambda group: (group != EMBEDDINGS, last.index(group) + 1 if group in last else 0))


def _by_plain_name(model: Any) -> dict[str, Any]:
    """The parameters by their names in the plain model, whatever peft has put around it: a shorter prefix where it adds
    a prompt, a longer one where it replaces layers."""
    found = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        within = _WITHIN.sub("", name)
        for bare in (within, *(within.removeprefix(prefix) for prefix in _PREFIXES)):
            found[bare] = parameter
    return found
