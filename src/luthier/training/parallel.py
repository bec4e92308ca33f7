"""Several processes on one training step: each takes its share of the micro-batches, and gradients are summed.

The loop's loss is a sum over the step's units divided by all of them, so the sum of the processes' gradients *is* the
step's gradient, however ragged the shares: there is no average to correct. Every process holds the whole model and
takes the same optimizer step; only the first writes to disk. On CPUs this beats threads, which wait for each other at
every operation.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")


@contextmanager
def together(processes: int, meeting: Path, target: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[None]:
    """Within it, this process is the first of several; the others run `target(*arguments)` in processes of their own.

    Args:
        processes: how many in all; 1 changes nothing.
        meeting: a path on a local disk through which they find each other.
        target: a module-level function; it is called in the others within the group.
        arguments: picklable.
    """
    if processes == 1:
        yield
        return
    meeting.parent.mkdir(parents=True, exist_ok=True)
    meeting.unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_join, args=(rank, processes, str(meeting), target, arguments), daemon=True)
        for rank in range(1, processes)
    ]
    for other in others:
        other.start()
    try:
        with _group(0, processes, str(meeting)):
            yield
    finally:
        for other in others:
            other.join(timeout=10)
            if other.is_alive():
                other.terminate()
        meeting.unlink(missing_ok=True)


def _join(rank: int, processes: int, meeting: str, target: Callable[..., Any], arguments: Sequence[Any]) -> None:
    with _group(rank, processes, meeting):
        target(*arguments)


@contextmanager
def _group(rank: int, processes: int, meeting: str) -> Iterator[None]:
    import torch.distributed as distributed

    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _size() -> tuple[int, int]:
    """This process's rank, and how many there are."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def first() -> bool:
    """Whether this process writes to disk."""
    return _size()[0] == 0


def share(items: Sequence[Item]) -> Sequence[Item]:
    """This process's part of a list."""
    rank, processes = _size()
    return items[rank::processes]


def total(value: torch.Tensor | float) -> float:
    """The sum of a number over the processes."""
    import torch

    if _size()[1] == 1:
        return float(value)
    tensor = torch.as_tensor(float(value), dtype=torch.float64)
    torch.distributed.all_reduce(tensor)
    return float(tensor)


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its sum over the processes."""
    if _size()[1] == 1:
        return
    import torch

    parameters = list(parameters)
    for parameter in parameters:
        if parameter.grad is None:  # this process had no micro-batch in the step
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([parameter.grad.reshape(-1) for parameter in parameters])  # type: ignore[union-attr]
    torch.distributed.all_reduce(flat)
    start = 0
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad.copy_(flat[start : start + parameter.numel()].view_as(parameter))
        start += parameter.numel()
