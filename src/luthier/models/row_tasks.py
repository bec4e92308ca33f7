"""Which task of a mixture each row of a batch comes from, for the prompts that differ by it.

It stands beside the forward pass, not among its arguments: peft's wrappers hand on only what they know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_tasks: ContextVar[tuple[str, ...]] = ContextVar("luthier_row_tasks", default=())


@contextmanager
def rows_of_tasks(tasks: Sequence[str]) -> Iterator[None]:
    """Within it, the rows of a forward pass come from these tasks, in order; none given is not known."""
    token = _tasks.set(tuple(tasks))
    try:
        yield
    finally:
        _tasks.reset(token)


def current_tasks() -> tuple[str, ...]:
    """The task of each row, or nothing where they are not known."""
    return _tasks.get()
