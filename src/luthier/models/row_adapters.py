"""Which adapter answers each row of the batch that is in the model right now.

    with answered_by(model, ["law", "__base__", "law"]):
        model(input_ids=...)                # three rows; the second one is answered by the base

peft's layers are told by peft's own hooks; the layers of methods that are ours ask `current_rows()`. The list itself is
the truth: as rows leave the batch, their names are dropped from it in place, and nothing else is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

BASE = "__base__"
"""The name of no adapter at all; peft's."""

_rows: ContextVar[list[str] | None] = ContextVar("luthier_rows", default=None)


def current_rows() -> list[str] | None:
    """The name of each row's adapter, in the order of the rows; None outside of `answered_by`."""
    return _rows.get()


@contextmanager
def answered_by(model: Any, names: list[str]) -> Iterator[None]:
    """Within it, every row of a batch is computed with its own adapter.

    The model is in evaluation mode, and none of its adapters is merged or disabled.

    Args:
        model: with the adapters loaded, plain or within peft.
        names: one a row, `BASE` for none; kept, not copied.

    Raises:
        RuntimeError: the adapters within peft cannot be told apart by rows (`mixes_rows`).
        ValueError: peft has no adapter of that name, or the model is in training mode.
    """
    hooks = _hooks(model, names)
    hooks.__enter__()
    token = _rows.set(names)  # after all that may be refused: a name that is left set would answer for every model
    try:
        yield
    finally:
        _rows.reset(token)
        # Told of no error: peft takes its hooks away only where none is raised at its `yield`.
        hooks.__exit__(None, None, None)


def mixes_rows(model: Any) -> bool:
    """Whether peft can mix this model's adapters in one batch; True of a model that is not within peft.

    Of its tuners, LoRA (not DoRA), RoAd and GLoRA can. Others take the names and let the active adapter answer every
    row, without a word. Of a head, a copy of which each adapter has, peft mixes single linear layers alone.
    """
    if not hasattr(model, "peft_config"):
        return True
    if not hasattr(model.base_model, "_enable_peft_forward_hooks"):
        return False
    if any(getattr(config, "use_dora", False) for config in model.peft_config.values()):
        return False
    from peft.utils.other import AuxiliaryTrainingWrapper
    from torch import nn

    heads = (module for module in model.modules() if isinstance(module, AuxiliaryTrainingWrapper))
    return all(isinstance(head.original_module, nn.Linear) for head in heads)


def _hooks(model: Any, names: list[str]) -> AbstractContextManager[Any]:
    if not hasattr(model, "peft_config"):
        return nullcontext()
    if not mixes_rows(model):
        raise RuntimeError("peft would answer every row by the active adapter: switch between them batch by batch")
    hooks: AbstractContextManager[Any] = model.base_model._enable_peft_forward_hooks(adapter_names=names)
    return hooks
