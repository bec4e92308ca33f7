"""Runs side by side: one process per core (or GPU), each with its share of the threads.

A worker that dies takes only its own run with it: the run is reported as failed and another worker takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from luthier.core.environment import gpu_count
from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Listener, Progress, Result
from luthier.run_spec import RunSpec

_SECONDS_BETWEEN_EVENTS = 0.2


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    run: RunSpec | None = None


def run_all(
    runs: Sequence[RunSpec],
    store: Store,
    *,
    workers: int,
    threads: int,
    device: str,
    given: str,
    listener: Listener,
) -> list[Result]:
    """Do all runs, in the order given where keys allow; results in that order.

    Args:
        runs: what is missing.
        store: where results go.
        workers: processes at once.
        threads: per process.
        device: `cpu` or `cuda`.
        given: the study file as the user wrote it.
        listener: told of every run's progress.

    Raises:
        LuthierError: what is wrong concerns all runs (the disk is full).
    """
    waiting = list(runs)
    results: dict[str, Result] = {}
    with _started(min(workers, len(runs)), store.root, threads, device, given) as pool:
        while waiting or any(worker.run for worker in pool):
            for slot, worker in enumerate(pool):
                if worker.run is None and waiting:
                    worker.run = waiting.pop(_next(waiting, [other.run for other in pool if other.run]))
                    worker.pipe.send(worker.run)
                pool[slot] = worker
            for pipe in wait([worker.pipe for worker in pool if worker.run]):
                slot = next(index for index, worker in enumerate(pool) if worker.pipe is pipe)
                worker, spec = pool[slot], pool[slot].run
                assert spec is not None
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    message = store.run(spec.folder).result()  # it may have died after its last word
                    if message is None or message.status != "finished":
                        message = _died(spec, worker.process.exitcode)
                        store.run(spec.folder).finish(message)
                        listener(Progress(spec.folder, "failed"))
                    if waiting:
                        pool[slot] = _start(slot, store.root, threads, device, given)
                if isinstance(message, LuthierError):
                    raise message
                if isinstance(message, Progress):
                    listener(message)
                else:
                    results[spec.folder] = message
                    pool[slot].run = None
    return [results[spec.folder] for spec in runs]


def _next(waiting: Sequence[RunSpec], running: Sequence[RunSpec]) -> int:
    """The first run that does not need a step which a running one is just doing; else simply the first."""
    busy = {key for spec in running for key in spec.step_keys()}
    for position, spec in enumerate(waiting):
        if busy.isdisjoint(spec.step_keys()):
            return position
    return 0


def _died(spec: RunSpec, exitcode: int | None) -> Result:
    from luthier.outcome import identity

    how = (
        f"was killed by signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"ended with code {exitcode}"
    )
    hint = " (often: out of memory; lower training.micro_batch_tokens or use fewer workers)" if exitcode == -9 else ""
    return Result(**identity(spec), status="failed", error=f"the run's process {how}{hint}")


@contextmanager
def _started(count: int, root: Path, threads: int, device: str, given: str) -> Iterator[list[_Worker]]:
    pool = [_start(slot, root, threads, device, given) for slot in range(count)]
    try:
        yield pool
    finally:
        for worker in pool:
            worker.process.kill()  # at the end it waits for nothing; interrupted, it loses what it must do again anyway
        for worker in pool:
            worker.process.join()
            worker.pipe.close()


def _start(slot: int, root: Path, threads: int, device: str, given: str) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads half-alive
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, slot, str(root), threads, device, given), daemon=True)
    values = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    with _environment({**values, **_own_gpu(slot, device)}):
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _own_gpu(slot: int, device: str) -> dict[str, str]:
    """The variable that shows a worker one GPU alone, of those that the user lets us see; none where it names one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(str(gpu) for gpu in range(gpu_count()))
    if device != "cuda" or not visible:
        return {}
    gpus = visible.split(",")
    return {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)].strip()}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that a child must see from its first moment (OpenMP reads its own once, when it is loaded)."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection, slot: int, root: str, threads: int, device: str, given: str) -> None:
    """A worker's life: take a run, do it, send its events and its result; until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    import torch

    from luthier.run import run

    _pin(slot, threads)
    torch.set_num_threads(threads)
    store = Store(root)
    sent = 0.0

    def tell(message: Progress | Result | LuthierError) -> None:
        try:
            pipe.send(message)
        except OSError:  # the parent is gone: the run stays unfinished, and is taken up again
            raise SystemExit(1) from None

    def listen(event: Progress) -> None:
        nonlocal sent
        often = event.phase in ("train", "generate", "likelihoods") and event.step not in (0, event.total)
        if often and time.monotonic() - sent < _SECONDS_BETWEEN_EVENTS:
            return
        sent = time.monotonic()
        tell(event)

    while True:
        try:
            spec: RunSpec = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            tell(run(spec, store, device=device, given=given, listener=listen))
        except LuthierError as error:
            tell(error)


def _pin(slot: int, threads: int) -> None:
    """Keep a worker on its own cores, so that two do not chase each other's caches."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    share = cores[slot * threads : (slot + 1) * threads]
    if len(share) == threads:
        os.sched_setaffinity(0, share)
