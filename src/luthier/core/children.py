"""Worker processes: forked from a server that has imported what they compute with, or spawned.

To import torch, transformers and peft takes seconds. On Linux, for work on the CPU, one server does it for all workers,
from the moment the command says `get_ready()`, while the command itself still reads and plans. The server computes
nothing: it has one thread and asks for no GPU, so that what is forked from it is whole. A GPU's libraries may be
initialised by what is imported, and other systems' libraries do not bear a fork: there workers are spawned.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from luthier.core.environment import gpu_count
from luthier.core.interruption import SIGNALS

PRELOADED = "luthier.preload"
_OF_THE_SERVER = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""No library may start a thread in the server; a worker says for itself how many it computes with."""
_server: tuple[int, int | None] = (0, None)
"""Who has started it, and its number."""
_no_server = False
"""Whether it was tried in vain."""


def get_ready(device: str) -> None:
    """Let the libraries be imported from now on, beside what the caller does next; it does not wait for them.

    Args:
        device: where workers will compute (`auto` as well): nothing happens unless they can be forked.
    """
    global _server, _no_server
    if not forked(device):
        return
    multiprocessing.set_forkserver_preload([PRELOADED])
    _track()  # it would unblock the signals
    try:
        with _environment(_OF_THE_SERVER), _blocked():  # Ctrl-C and SIGTERM are the command's to answer
            forkserver.ensure_running()
    except OSError:  # no place for its socket, mostly: the path of the folder for temporary files is too long
        _no_server = True
        return
    _server = (os.getpid(), getattr(forkserver._forkserver, "_forkserver_pid", None))
    atexit.unregister(_end_server)
    atexit.register(_end_server)


def forked(device: str) -> bool:
    """Whether workers that compute there are forked."""
    return sys.platform == "linux" and not _no_server and (device == "cpu" or (device == "auto" and not gpu_count()))


def start_child(
    target: Callable[..., None], arguments: Sequence[Any], environment: Mapping[str, str], device: str
) -> tuple[Any, Connection]:
    """Start a process that runs `target(pipe, *arguments)`; gives it, and our end of the pipe.

    It begins with SIGTERM and Ctrl-C blocked: it is to unblock them once it can answer, never half-way through its
    start.

    Args:
        target: of a module's top level.
        arguments: what can be pickled.
        environment: variables that it is to have beside ours. A spawned process has them from its first moment (OpenMP
            reads its own once, when it is loaded), a forked one after torch is loaded.
        device: as for `get_ready`.
    """
    get_ready(device)
    context: Any = multiprocessing.get_context("forkserver" if forked(device) else "spawn")
    ours, theirs = context.Pipe()
    everything = {**os.environ, **environment}
    process = context.Process(target=_begin, args=(everything, target, theirs, *arguments), daemon=True)
    _track()
    # What is forked has its mask from the server, whose first answer takes as long as its imports.
    with _environment(environment), nullcontext() if forked(device) else _blocked():
        process.start()
    theirs.close()
    return process, ours


def _track() -> None:
    """Start what multiprocessing keeps its books with. It would warn of semaphores that libraries have made in a server
    that was killed; it removes them all the same."""
    with _environment({"PYTHONWARNINGS": "ignore:resource_tracker:UserWarning"}):
        resource_tracker.ensure_running()


def _end_server() -> None:
    """At the end of the command, which may be one of a refused study: it would first import all that it was told to."""
    own, number = _server
    if number is not None and own == os.getpid():  # a fork of ours is not the one to end it
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _begin(environment: Mapping[str, str], target: Callable[..., None], *arguments: Any) -> None:
    # The server may have been started when other variables stood.
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


@contextmanager
def _blocked() -> Iterator[None]:
    """Signals wait, here and in what is started here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that a child must see from its first moment."""
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
