"""Attention of one sequence, by whichever of two ways is quicker where it runs.

    softmax(s Q K^T + M) V        M: minus infinity where a query may not look

Fused is torch's scaled_dot_product_attention. Written out it is two products and a softmax, which on some processors is
quicker for short sequences (bf16 on AVX-512: 2.2-2.6x at 128 to 400 positions; float32 on AVX2: never). Equal to
rounding (tested); `models/kernels.py` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_KEPT = 65_536
"""Numbers of a mask up to which it is kept: 512 of them take 128 MiB at most."""
_written_out_to = 0


def choose_way(written_out_to: int) -> None:
    """From now on, in this process, sequences of up to so many positions are written out on a CPU."""
    global _written_out_to
    _written_out_to = written_out_to


@contextmanager
def way_up_to(written_out_to: int) -> Iterator[None]:
    """The same within a block."""
    before = _written_out_to
    choose_way(written_out_to)
    try:
        yield
    finally:
        choose_way(before)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    causal: bool,
    window: int | None = None,
    bias: torch.Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
) -> torch.Tensor:
    """Attention of the queries over the keys; `(row, head, query, head_dim)`.

    Where there are more keys than queries and it is causal, the surplus stands in front of all queries (a prefix).

    Args:
        query: `(row, head, query, head_dim)`.
        key, value: `(row, head, key, head_dim)`, as many heads as the query has.
        causal: whether a query sees only keys up to its own place.
        window: and of those only so many, itself included; None for all.
        bias: `(row or 1, head, query, key)`, added to the scores before the softmax (T5's relative positions).
        dropout: of the probabilities.
        scale: s; None for 1 / sqrt(head_dim).
    """
    from torch.nn.functional import scaled_dot_product_attention

    queries, keys = query.shape[-2], key.shape[-2]
    before = keys - queries
    limited = causal and window is not None and keys > window
    if queries == 1 and not limited:
        causal = False  # the last one sees all there is
    if query.device.type == "cpu" and queries <= _written_out_to:
        return _written_out(query, key, value, causal, window if limited else None, bias, dropout, scale)
    if not limited and (not causal or before == 0) and bias is None:
        return scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale, is_causal=causal)
    mask = bias
    if causal:
        window = window if limited else None
        if bias is None and queries * keys <= _KEPT:
            mask = _kept_mask(queries, keys, window, query.dtype, query.device)
        else:
            mask = _masked(queries, keys, window, query.dtype, query.device, bias)
    return scaled_dot_product_attention(query, key, value, mask, dropout_p=dropout, scale=scale)


def _written_out(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    causal: bool,
    window: int | None,
    bias: torch.Tensor | None,
    dropout: float,
    scale: float | None,
) -> torch.Tensor:
    import torch

    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scale is None else scale), key.transpose(-1, -2))
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = scores.masked_fill(_hidden(query.shape[-2], key.shape[-2], window, query.device), float("-inf"))
    probabilities = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    if dropout:
        probabilities = torch.nn.functional.dropout(probabilities, dropout)
    return torch.matmul(probabilities, value)


@lru_cache(maxsize=512)
def _kept_mask(queries: int, keys: int, window: int | None, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Every layer asks for the same masks; made as no inference tensor, so that training may use them too."""
    import torch

    with torch.inference_mode(False):
        return _masked(queries, keys, window, dtype, device, None)


def _masked(
    queries: int,
    keys: int,
    window: int | None,
    dtype: torch.dtype,
    device: torch.device,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    """The bias, or zeros, and minus infinity where the query may not look."""
    import torch

    blank = torch.zeros((), dtype=dtype, device=device) if bias is None else bias
    return blank.masked_fill(_hidden(queries, keys, window, device), float("-inf"))


def _hidden(queries: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor:
    """`(query, key)`, true where the query may not look."""
    import torch

    places = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)[None]
    return (places < 0) if window is None else (places < 0) | (places >= window)
