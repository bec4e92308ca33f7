"""What this machine's processor can do, measured when it is needed and kept in the user's cache folder.

Three things: how long each operation takes that a step calls (`replay.py`), what a call costs besides in Python and
torch (a step of a model so small that its arithmetic is nothing, over its calls), and what fresh memory costs (a page
is made at its first touch).
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.environment import machine_file
from luthier.core.settings import digest

if TYPE_CHECKING:
    from luthier.planner.operation import Operation

_FRESH_BYTES = 96 * 2**20
"""Beyond what glibc keeps for later, so that every round of the measurement has pages made."""
_STEPS = 9
_VERSION = 2
"""Raised when figures in the cache folder come to mean something else."""


@dataclass
class Rates:
    """The speeds of a machine.

    Attributes:
        threads: how many torch computes with.
        overhead: seconds that a call costs besides its operation.
        fresh: seconds a byte of memory that is touched for the first time.
        bandwidth: bytes a second read and written by a large addition: for what cannot be timed by itself.
        known: seconds by operation, as measured so far.
        measure: times one operation; None says that it cannot.
    """

    threads: int
    overhead: float
    fresh: float
    bandwidth: float
    measure: Callable[[Operation], float | None]
    known: dict[str, float] = field(default_factory=dict)

    def seconds(self, operation: Operation) -> float:
        """Of one call of an operation, measured at the first asking."""
        key = digest(repr(operation))
        if key not in self.known:
            measured = self.measure(operation)
            self.known[key] = operation.moved / self.bandwidth if measured is None else measured
        return self.known[key]


def calibrated(threads: int) -> Rates:
    """The rates of this machine, from the cache folder where they are there.

    Args:
        threads: how many torch computes with; set here.
    """
    import torch

    from luthier.planner.replay import seconds_of

    torch.set_num_threads(threads)
    path = cache_path(threads)
    kept = _read(path)
    if not kept:
        kept = {"overhead": _overhead(), "fresh": _fresh(), "bandwidth": _bandwidth(), "known": {}}
    rates = Rates(
        threads,
        kept["overhead"],
        kept["fresh"],
        kept["bandwidth"],
        lambda operation: seconds_of(operation, threads),
        dict(kept["known"]),
    )
    keep(rates)
    return rates


def keep(rates: Rates) -> None:
    """Write what was measured to the cache folder; a folder that cannot be written is no harm."""
    path = cache_path(rates.threads)
    plain = {name: getattr(rates, name) for name in ("overhead", "fresh", "bandwidth", "known")}
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(plain), encoding="utf-8")
        beside.replace(path)
    except OSError:
        return


def cache_path(threads: int) -> Path:
    """Where the figures of this machine, this torch and so many threads are kept."""
    import torch

    return machine_file("speed", _VERSION, torch.__version__, threads)


def clock(threads: int) -> float:
    """Processor seconds of this thread where it computes alone, else wall-clock: other processes stretch the latter."""
    return time.thread_time() if threads == 1 else time.perf_counter()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and {"overhead", "fresh", "bandwidth", "known"} <= kept.keys() else None


def _overhead() -> float:
    """Seconds a call, of a step of a Llama of width 16 on 16 tokens, less what its operations take by themselves."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from luthier.methods.full import Full
    from luthier.objectives.supervised import Supervised
    from luthier.planner.replay import seconds_of
    from luthier.planner.step import Step, Way, trace
    from luthier.planner.subject import Subject, rows

    threads = torch.get_num_threads()
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2
    )
    subject = Subject("a tiny Llama", Path(), config, "decoder", None)
    way, few = Way(Full()), rows(subject, count=2, length=8)
    traced = trace(subject, way, few, Supervised())
    alone = sum(count * (seconds_of(done, threads) or 0.0) for done, count in traced.operations.items())
    step = Step(LlamaForCausalLM(config).train(), way, Supervised())
    batches = [(batch, 1) for batch in few.batches(subject, flat=False)]
    taken = []
    for _ in range(_STEPS):
        before = clock(threads)
        step.run(batches)
        taken.append(clock(threads) - before)
    return max(0.0, (statistics.median(taken) - alone) / traced.calls)


def _fresh() -> float:
    """Seconds a byte, of filling memory for the first time, less those of filling it again."""
    import torch

    threads = torch.get_num_threads()
    first: list[float] = []
    again: list[float] = []
    for _ in range(3):
        made = torch.empty(_FRESH_BYTES, dtype=torch.uint8)
        for taken in (first, again):
            before = clock(threads)
            made.fill_(1)
            taken.append(clock(threads) - before)
        del made
    return max(0.0, statistics.median(first) - statistics.median(again)) / _FRESH_BYTES


def _bandwidth() -> float:
    import torch

    threads = torch.get_num_threads()
    a, b = torch.ones(4 * 2**20), torch.ones(4 * 2**20)
    out = torch.empty_like(a)
    taken = []
    for _ in range(5):
        before = clock(threads)
        torch.add(a, b, out=out)
        taken.append(clock(threads) - before)
    return 3 * a.nbytes / statistics.median(taken)
