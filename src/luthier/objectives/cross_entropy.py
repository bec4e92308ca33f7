"""The summed cross-entropy of a batch, without ever holding all logits of a large vocabulary.

    L = - sum_t log softmax(W h_t)[x_t]

With 262,000 words a thousand positions have a gigabyte of logits, and the loss and its gradient take as much again,
twice. From `MOST_LOGITS` on, the model stops in front of its head, and head and loss go through the positions in parts,
whose logits are computed again in the backward pass (Chen et al. 2016, arXiv 1604.06174): the same sum, for one more
product of the head.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch
from luthier.models.forward import in_front_of_head, inference, scored_logits

if TYPE_CHECKING:
    import torch

MOST_LOGITS = 2**27
"""Logits at once: half a gigabyte in fp32."""
_AFTERWARDS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
"""Keys of configs that say what is done to logits after the head."""
_LAST = "luthier_head_is_last"
"""The attribute that keeps whether a model gives its head's output as it is."""


def summed_cross_entropy(model: Any, batch: Batch) -> torch.Tensor:
    """The loss of all targets of the batch together, in nats.

    Args:
        model: a transformers model, plain or within peft and Fabric.
        batch: what it reads, and the tokens (or classes) that its logits should foretell.
    """
    from torch.nn.functional import cross_entropy
    from torch.utils.checkpoint import checkpoint

    head: Any = None if _is_compiled(model) else model.get_output_embeddings()
    rows = MOST_LOGITS // head.weight.shape[0] if head is not None else len(batch.targets)
    if len(batch.targets) <= rows or not _head_is_last(model, head, batch):
        return cross_entropy(scored_logits(model, batch), batch.targets, reduction="sum")

    def of_some(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(head(hidden).float(), targets, reduction="sum")

    hidden, precision = in_front_of_head(model, head, batch)
    parts = zip(hidden.split(max(1, rows)), batch.targets.split(max(1, rows)), strict=True)
    with precision:
        losses: list[torch.Tensor] = [checkpoint(of_some, *part, use_reentrant=False) for part in parts]
    return sum(losses[1:], losses[0])


def _head_is_last(model: Any, head: Any, batch: Batch) -> bool:
    """Whether the model's logits are what its head gives: Gemma 2 caps them, Granite scales them.

    The config says so of those that are known. Others are tried once, on two positions; but in a plan there are no
    numbers to try.
    """
    import torch
    from torch._subclasses.fake_tensor import is_fake

    config = model.config.get_text_config(decoder=True)
    if any(getattr(config, name, None) for name in _AFTERWARDS):
        return False
    if is_fake(head.weight):
        return True
    known: bool | None = head.__dict__.get(_LAST)
    if known is None:
        first = torch.arange(2, device=batch.targets.device) if batch.scored is None else batch.scored[:2]
        few = replace(batch, scored=first, targets=batch.targets[:2])
        with inference(model):
            logits = scored_logits(model, few)
            hidden, precision = in_front_of_head(model, head, few)
            with precision:
                known = torch.allclose(head(hidden).float(), logits, rtol=1e-3, atol=1e-4)
        head.__dict__[_LAST] = known
    return known


def _is_compiled(model: Any) -> bool:
    """Whether its forward pass is compiled, head and all."""
    return any(hasattr(one, "_orig_mod") for one in (model, getattr(model, "_forward_module", None)))
