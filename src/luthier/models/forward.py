"""One forward pass of a batch, with logits only where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from luthier.models.batch import Batch
from luthier.models.flat import first_position, flat_row, is_flat
from luthier.models.flat_prompts import prompt_before_each
from luthier.models.labelled import LabelledBatch, head_logits
from luthier.models.last_layer import last_layer_only_at
from luthier.models.lower_layers import from_lowest_trained, replaced
from luthier.models.row_tasks import rows_of_tasks

if TYPE_CHECKING:
    import torch


def scored_logits(model: Any, batch: Batch) -> torch.Tensor:
    """The logits at the scored positions, fp32, `(n, vocabulary)`; all positions where `batch.scored` is None. Of a
    batch with labels, the logits of the model's head.

    Raises:
        RuntimeError: a flat batch for a model that would attend across its sequences: one that was not switched by
            `use_flat_attention`, or one with gradient checkpointing, whose second forward pass runs after this one.
    """
    with _ready(model, batch):
        return _logits(model, batch)


def in_front_of_head(model: Any, head: Any, batch: Batch) -> tuple[torch.Tensor, AbstractContextManager[Any]]:
    """What the head would read at the scored positions, `(n, d_model)`, and the precision that it would compute in:
    Fabric sets it within the model's forward pass alone. Neither the head nor what comes after it is computed.

    Args:
        model: as for `scored_logits`.
        head: its output embedding.
        batch: what it reads.
    """
    import torch

    given: list[tuple[torch.Tensor, AbstractContextManager[Any]]] = []

    def arrive(_: Any, hidden: torch.Tensor) -> None:
        kind = hidden.device.type
        on, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        given.append((hidden.reshape(-1, hidden.shape[-1]), torch.autocast(kind, dtype=dtype, enabled=on)))
        raise _ArrivedError

    # Passes that find out what can be kept go through the whole model, so they come first.
    with _ready(model, batch), replaced([head], arrive), suppress(_ArrivedError):
        _logits(model, batch)
    return given[0]


class _ArrivedError(Exception):
    """The forward pass has come to the head."""


@contextmanager
def _ready(model: Any, batch: Batch) -> Iterator[None]:
    if batch.lengths:
        _refuse_leaks(model)
    with from_lowest_trained(model, batch, _logits):
        yield


def _logits(model: Any, batch: Batch) -> torch.Tensor:
    with rows_of_tasks(batch.tasks):
        if isinstance(batch, LabelledBatch):
            return head_logits(model, batch)
        with prompt_before_each(model, batch) as row:
            return _output_logits(model, row)


def _output_logits(model: Any, batch: Batch) -> torch.Tensor:
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
    if batch.attention_mask is not None:
        inputs["attention_mask"] = batch.attention_mask
    if batch.position_ids is not None:
        inputs["position_ids"] = batch.position_ids + first_position(model)
    width = sum(batch.lengths) or batch.input_ids.shape[1]  # of a flat row with virtual tokens, if it has some
    if batch.decoder_input_ids is not None:
        inputs["decoder_input_ids"] = batch.decoder_input_ids
        inputs["decoder_attention_mask"] = batch.decoder_attention_mask
        width = batch.decoder_input_ids.shape[1]
    with flat_row(batch.lengths, batch.decoder_lengths) if batch.lengths else nullcontext():
        if batch.scored is None:
            logits: torch.Tensor = model(**inputs).logits
            return logits.reshape(-1, logits.shape[-1]).float()
        with logits_only_at(model, batch.scored, width):
            logits = model(**inputs).logits
    return logits.float()


@contextmanager
def logits_only_at(model: Any, positions: torch.Tensor, width: int) -> Iterator[None]:
    """Within it, the model's logits are `(n, vocabulary)`: those of `positions` in the flattened `(row * width)`.

    The hidden states are selected in front of the output embedding, which works for every architecture that has one
    and for soft prompts too: virtual tokens only lengthen the row on its left.
    """

    def select(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = args[0][:, -width:, :]
        return (hidden.reshape(-1, hidden.shape[-1])[positions], *args[1:])

    hook = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        with last_layer_only_at(model, positions, width):
            yield
    finally:
        hook.remove()


@contextmanager
def inference(model: Any) -> Iterator[None]:
    """No gradients and no dropout within it; afterwards every module is in the mode that it was in."""
    import torch

    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def _refuse_leaks(model: Any) -> None:
    import torch

    if not is_flat(model):
        raise RuntimeError("a flat batch needs a model that use_flat_attention has switched")
    if torch.is_grad_enabled() and model.training and getattr(model, "is_activation_checkpointing", False):
        raise RuntimeError("gradient checkpointing needs padded batches")
