"""Rows that cannot be used: named and counted, then refused, or left out where the user says so."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.core.errors import LuthierError
from luthier.core.types import Skipped

NAMED = 5
"""How many bad rows an error names; the count stands beside them."""


class RowError(Exception):
    """What is wrong with one row; it becomes the reason of a `Skipped`."""


def refuse_bad_rows(skipped: Sequence[Skipped], rows: int, task: str) -> None:
    """Raise a `LuthierError` that names the first few of these and counts all; without any, do nothing."""
    if not skipped:
        return
    named = "; ".join(f"{bad.where}: {bad.reason}" for bad in skipped[:NAMED])
    more = f"; and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
    raise LuthierError(
        f"{len(skipped)} of {rows} rows cannot be used: {named}{more}",
        where=f"task {task}",
        mend="mend these rows, or go on without them: --skip-bad-rows",
    )
