"""The summed cross-entropy of a batch, without ever holding all logits of a large vocabulary.

    L = - sum_t log softmax(W h_t)[x_t]

With 262,000 words a thousand positions have a gigabyte of logits, and the loss and its gradient take as much again,
twice. From `MOST_LOGITS` on, the model stops in front of its head, and head and loss go through the positions in parts,
whose logits are computed again in the backward pass (Chen et al. 2016, arXiv 1604.06174): the same sum, for one more
product of the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch
from luthier.models.forward import inference, scored_logits

if TYPE_CHECKING:
    import torch

MOST_LOGITS = 2**27
"""Logits at once: half a gigabyte in fp32."""
_AFTERWARDS = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""What configs call that which happens to logits after the head."""
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

    head = model.get_output_embeddings()
    rows = MOST_LOGITS // head.weight.shape[0] if head is not None else len(batch.targets)
    if len(batch.targets) <= rows or batch.scored is None or not _head_is_last(model, head, batch):
        return cross_entropy(scored_logits(model, batch), batch.targets, reduction="sum")

    def of_some(hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(head(hidden).float(), targets, reduction="sum")

    hidden, precision = _in_front_of(head, model, batch)
    parts = zip(hidden.split(max(1, rows)), batch.targets.split(max(1, rows)), strict=True)
    with precision:
        losses: list[torch.Tensor] = [checkpoint(of_some, *part, use_reentrant=False) for part in parts]
    return sum(losses[1:], losses[0])


def _in_front_of(head: Any, model: Any, batch: Batch) -> tuple[torch.Tensor, AbstractContextManager[Any]]:
    """What the head would read at the scored positions, `(n, d_model)`, and the precision that it would compute in:
    Fabric sets it within the model's forward pass alone."""
    import torch

    given: list[tuple[torch.Tensor, AbstractContextManager[Any]]] = []

    def keep(hidden: torch.Tensor) -> torch.Tensor:
        kind = hidden.device.type
        on, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        given.append((hidden, torch.autocast(kind, dtype=dtype, enabled=on)))
        return hidden

    with _in_place_of_its_forward(head, keep):
        scored_logits(model, batch)
    return given[-1]


@contextmanager
def _in_place_of_its_forward(module: Any, forward: Any) -> Iterator[None]:
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _head_is_last(model: Any, head: Any, batch: Batch) -> bool:
    """Whether the model's logits are what its head gives: Gemma 2 caps them, Granite scales them. Tried once, on two
    positions; read from the config where there is nothing to try, in a plan."""
    import torch
    from torch._subclasses.fake_tensor import is_fake

    if is_fake(head.weight):
        return not any(getattr(model.config, name, None) for name in _AFTERWARDS)
    known: bool | None = head.__dict__.get(_LAST)
    if known is None:
        assert batch.scored is not None
        few = replace(batch, scored=batch.scored[:2], targets=batch.targets[:2])
        with inference(model):
            logits = scored_logits(model, few)
            hidden, precision = _in_front_of(head, model, few)
            with precision:
                known = torch.allclose(head(hidden).float(), logits, rtol=1e-3, atol=1e-4)
        head.__dict__[_LAST] = known
    return known
