"""Rows that are made when they are first asked for, and kept: by this run, and by the next one that wants the same.

A training takes its first step while most of its rows are still text; a process that trains several arms on one task
tokenises it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

RowT = TypeVar("RowT", covariant=True)

MOST_KEPT = 4
"""Sequences of rows that a process keeps: the training and the validation set of two tasks."""

_KEPT: dict[str, OnDemand[object]] = {}


class OnDemand(Sequence[RowT], Generic[RowT]):
    """A sequence whose rows are made one by one.

    Args:
        make: gives the row at a place; called once for each.
        count: how many there are.
    """

    def __init__(self, make: Callable[[int], RowT], count: int):
        self._make = make
        self._rows: list[RowT | None] = [None] * count

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> RowT: ...
    @overload
    def __getitem__(self, place: slice) -> list[RowT]: ...
    def __getitem__(self, place: int | slice) -> RowT | list[RowT]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        row = self._rows[place]
        if row is None:
            row = self._rows[place] = self._make(range(len(self))[place])
        return row


def kept(key: str, rows: Callable[[], OnDemand[RowT]]) -> OnDemand[RowT]:
    """The rows of that key as this process knows them, or else those that are given now.

    Args:
        key: the digest of all that they depend on.
        rows: what to keep under it; the oldest of more than `MOST_KEPT` go.
    """
    if key not in _KEPT:
        while len(_KEPT) >= MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = rows()
    return _KEPT[key]  # type: ignore[return-value]
