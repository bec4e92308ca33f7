"""The runner's side of the conversation with a benchmark: JSON lines on stdin and stdout.

A runner is a process of its own, in whatever Python environment its library needs: this file and the runners beside it
import the standard library and that library alone. Its settings are a JSON object, in the file that the command line
names. Then

    {"do": "step"}  ->  {"wall": .., "cpu": .., "tokens": .., ...}     once for each line, until
    {"do": "end"}   ->  {"peak_bytes": ..}

so that whoever talks with several runners can let them work in turns. With `core` among its settings a runner works on
that core alone, from its first order on, and with one thread (`peer.py` sets OMP_NUM_THREADS).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


class Channel:
    """What a runner hears and says; all else that is printed goes to stderr."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._marks = (0.0, 0.0)
        self.peak = 0
        """The most memory before the mark was reset, where something resets it."""

    def say(self, **values: Any) -> None:
        """One line to the benchmark."""
        self._out.write(json.dumps(values) + "\n")
        self._out.flush()

    def wait(self) -> dict[str, Any]:
        """The next order; at `end` (or where nobody is left to give one) the process is over."""
        line = sys.stdin.readline()
        order: dict[str, Any] = json.loads(line) if line else {"do": "end"}
        if order["do"] == "end":
            self.say(peak_bytes=max(self.peak, peak_bytes()))
            self._out.close()
            os._exit(0)
        if (core := self.settings.get("core")) is not None:  # not before: imports may use every core
            os.sched_setaffinity(0, {core})
        self._marks = (time.perf_counter(), time.process_time())
        return order

    def done(self, **values: Any) -> None:
        """What was ordered is done: say how long it took since."""
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.synchronize()
        wall, cpu = time.perf_counter() - self._marks[0], time.process_time() - self._marks[1]
        self.say(wall=wall, cpu=cpu, **values)


def peak_bytes() -> int:
    """The most memory that this process has held (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def labels_of(ids: list[int], prompt_length: int) -> list[int]:
    """The ids with -100 over the prompt."""
    return [-100] * prompt_length + ids[prompt_length:]
