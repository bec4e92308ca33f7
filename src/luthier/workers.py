"""Runs side by side: one process per core (or GPU), each with its share of the threads.

A worker that dies takes only its own run with it: another takes its place, and the run up again, after the others.
Where that one dies too, the run is reported as failed. When the parent dies, the workers do; when it is asked to stop,
they save what they train first.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from luthier.core.children import start_child
from luthier.core.environment import gpu_count
from luthier.core.errors import LuthierError
from luthier.core.interruption import SIGNALS, Interrupted, answered, say
from luthier.core.store import Store
from luthier.core.types import Listener, Progress, Result
from luthier.run_spec import RunSpec

_SECONDS_BETWEEN_EVENTS = 0.2
_SECONDS_TO_STOP = 20.0
"""For a step and a checkpoint; batch systems send SIGKILL some 30 seconds after SIGTERM."""


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    run: RunSpec | None = None

    def end(self) -> None:
        self.process.join()
        self.pipe.close()


Do = Callable[[Sequence[RunSpec]], list[Result]]
"""Does runs, in the order given where keys allow; gives their results in that order."""


@contextmanager
def crew(store: Store, *, workers: int, threads: int, device: str, given: str, listener: Listener) -> Iterator[Do]:
    """Workers that do runs, one batch after the other; they are started with the first, and last until the block ends.

    Args:
        store: where results go.
        workers: processes at once.
        threads: per process.
        device: `cpu` or `cuda`.
        given: the study file as the user wrote it.
        listener: told of every run's progress.

    Raises:
        LuthierError: what is wrong concerns all runs (the disk is full).
        Interrupted: SIGTERM or Ctrl-C has come; what the runs need to go on is saved.
    """

    def start(slot: int) -> _Worker:
        return _start(slot, store.root, threads, device, given)

    with answered(), _ended_together() as pool:

        def do(runs: Sequence[RunSpec]) -> list[Result]:
            while len(pool) < min(workers, len(runs)):
                pool.append(start(len(pool)))
            return _done(runs, pool, start, store, listener)

        yield do


def _done(
    runs: Sequence[RunSpec], pool: list[_Worker], start: Callable[[int], _Worker], store: Store, listener: Listener
) -> list[Result]:
    """Hand the runs to the workers as these become free, until every one has its result."""
    waiting = list(runs)
    results: dict[str, Result] = {}
    died: set[str] = set()
    while waiting or any(worker.run for worker in pool):
        for slot, worker in enumerate(pool):
            if worker.run is None and waiting:
                spec = waiting.pop(_next(waiting, [other.run for other in pool if other.run]))
                pool[slot] = _given(spec, worker, partial(start, slot))
        for pipe in wait([worker.pipe for worker in pool if worker.run]):
            worker = next(worker for worker in pool if worker.pipe is pipe)
            assert worker.run is not None
            spec, message = worker.run, _heard(worker, store)
            if message is None and spec.folder not in died:
                died.add(spec.folder)
                waiting.append(spec)
                worker.run = None
                listener(Progress(spec.folder, "again"))
                continue
            if message is None:
                message = _died(spec, worker.process.exitcode)
                store.run(spec.folder).finish(message)
                listener(Progress(spec.folder, "failed"))
            if isinstance(message, LuthierError):
                raise message
            if isinstance(message, Progress):
                listener(message)
            else:
                results[spec.folder] = message
                worker.run = None
    return [results[spec.folder] for spec in runs]


def _given(spec: RunSpec, worker: _Worker, start: Callable[[], _Worker]) -> _Worker:
    """The worker that has taken the run: this one, or where it has died, a new one in its place."""
    try:
        worker.pipe.send(spec)
    except OSError:
        worker.end()
        worker = start()
        worker.pipe.send(spec)
    worker.run = spec
    return worker


def _heard(worker: _Worker, store: Store) -> Progress | Result | LuthierError | None:
    """What a working worker has said; None where it has died without a result."""
    assert worker.run is not None
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
    last = store.run(worker.run.folder).result()  # it may have died after its last word
    return last if last is not None and last.status == "finished" else None


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
    return Result(**identity(spec), status="failed", error=f"the run's process {how}, twice{hint}")


@contextmanager
def _ended_together() -> Iterator[list[_Worker]]:
    """A pool, to be filled within the block; whatever ends the block ends its workers."""
    pool: list[_Worker] = []
    try:
        yield pool
    except BaseException:
        _let_save(pool)
        raise
    finally:
        for worker in pool:
            worker.process.kill()  # it waits for nothing: at the end it is idle, after an error it has saved
        for worker in pool:
            worker.end()


def _let_save(pool: list[_Worker]) -> None:
    """Ask every worker to stop, and give it the time to end its step and save a checkpoint."""
    if any(worker.run for worker in pool):
        say("stopping: the runs under way are saved; once more to end at once")
    for worker in pool:
        worker.process.terminate()
    until = time.monotonic() + _SECONDS_TO_STOP
    for worker in pool:
        worker.process.join(max(0.0, until - time.monotonic()))


def _start(slot: int, root: Path, threads: int, device: str, given: str) -> _Worker:
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", **_own_gpu(slot, device)}
    return _Worker(*start_child(_work, (slot, str(root), threads, device, given), environment, device))


def _own_gpu(slot: int, device: str) -> dict[str, str]:
    """The variable that shows a worker one GPU alone, of those that the user lets us see; none where it names one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(str(gpu) for gpu in range(gpu_count()))
    if device != "cuda" or not visible:
        return {}
    gpus = visible.split(",")
    return {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)].strip()}


def _work(pipe: Connection, slot: int, root: str, threads: int, device: str, given: str) -> None:
    """A worker's life, from its start to its end by the parent's pipe, its death, or a signal."""
    threading.Thread(target=_die_with_the_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    try:
        with answered(afterwards=signal.SIG_IGN):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            _serve(pipe, slot, root, threads, device, given)
    except Interrupted as end:
        raise SystemExit(end.exit_code) from None


def _die_with_the_parent() -> None:
    """An orphan must not write into a folder that another process may hold by now."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _serve(pipe: Connection, slot: int, root: str, threads: int, device: str, given: str) -> None:
    """Take a run, do it, send its events and its result; until the pipe closes."""
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
