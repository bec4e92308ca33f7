"""A runner as the benchmark sees it: a process on a core of its own choosing, and what it said of its steps."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WARM_UP_ALONE = "its warm-up alone: slow"


class Runner:
    """A process that works at an order.

    Args:
        python: of the environment that has what it needs.
        script: one of the `run_*.py` beside this file.
        settings: what it is told, in a file beside the log.
        log: where its stderr goes.

    Raises:
        PeerError: it has died; the last lines of its log are in the message.
    """

    def __init__(self, python: str | Path, script: str, settings: Mapping[str, Any], log: Path):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TOKENIZERS_PARALLELISM": "false"}
        environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} if settings.get("core") is not None else {}
        self.log, told = log, log.with_name(f"{log.name}.json")
        told.write_text(json.dumps(settings), encoding="utf-8")
        with open(log, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [str(python), str(Path(__file__).parent / script), str(told)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=ROOT,
            )  # fmt: skip

    def hear(self) -> dict[str, Any]:
        """The next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(f"{self.log.stem}: " + " | ".join(self.log.read_text(errors="replace").splitlines()[-3:]))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Order something, and wait until it is done."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **values}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words are in its log
        return self.hear()

    def end(self) -> int:
        """End it; gives the most memory that it held, in bytes."""
        try:
            return int(self.ask("end")["peak_bytes"])
        except PeerError:
            return 0
        finally:
            self.process.kill()
            self.process.wait()


class PeerError(RuntimeError):
    """A runner could not do its work."""


@dataclass
class Timed:
    """What one runner took: a list entry a round, the first one (warm-up) left out unless it is the only one.

    Attributes:
        name: what tables call it.
        wall, cpu: seconds.
        tokens: real tokens, without padding.
        losses: of every step, the first ones included.
        peak_bytes: the most memory.
        note: what the table should say beside it.
        extra: the last answer, whole; its `rates` are the best of all rounds.
    """

    name: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Real tokens a second of wall-clock, the median over rounds."""
        return statistics.median(tokens / wall for tokens, wall in zip(self.tokens, self.wall, strict=True))

    @property
    def cpu_rate(self) -> float:
        """Real tokens a second of processor time, the median over rounds."""
        return statistics.median(tokens / cpu for tokens, cpu in zip(self.tokens, self.cpu, strict=True))


def in_turns(
    runners: Mapping[str, Runner],
    rounds: int,
    seconds: float,
    orders: Mapping[str, Mapping[str, Any]] | None = None,
    record: Path | None = None,
) -> dict[str, Timed]:
    """Let every runner do its order once a round, one after the other, and end them.

    Args:
        runners: started, their `ready` not heard yet.
        rounds: that count; a warm-up round comes before.
        seconds: a runner that has worked for longer is left out of the rounds that remain, and its note says so.
        orders: `{"do": ..}` for each; a step where none are given.
        record: a file that has all of it as JSON after each round, should the rest be cut off.
    """
    found = {name: Timed(name) for name in runners}
    working = {}
    for name, runner in runners.items():
        try:
            ready = runner.hear()
            found[name].losses += [ready["loss"]] if "loss" in ready else []
            working[name] = runner
        except PeerError as error:
            found[name].note = f"failed: {error}"
    for turn in range(rounds + 1):
        for name, runner in list(working.items()):
            timed = found[name]
            try:
                answer = runner.ask(**(orders[name] if orders else {"do": "step"}))
            except PeerError as error:
                timed.note = f"failed: {error}"
                del working[name]
                continue
            if turn == 1:  # the warm-up has done its work
                timed.wall, timed.cpu, timed.tokens = [], [], []
            timed.wall.append(answer["wall"])
            timed.cpu.append(answer["cpu"])
            timed.tokens.append(answer["tokens"])
            if "loss" in answer:
                timed.losses.append(answer["loss"])
            if "rates" in answer:
                best = timed.extra.get("rates", {})
                answer["rates"] = {kind: max(rate, best.get(kind, 0.0)) for kind, rate in answer["rates"].items()}
            timed.extra = answer
            if sum(timed.wall) > seconds and turn < rounds:
                timed.note = f"{len(timed.wall)} rounds only: slow" if turn else WARM_UP_ALONE
                timed.peak_bytes = working.pop(name).end()
        if record is not None:
            record.write_text(
                json.dumps([asdict(timed) for timed in found.values()], indent=1) + "\n", encoding="utf-8"
            )
    for name, runner in working.items():
        found[name].peak_bytes = runner.end()
    for name in set(runners) - set(working):
        runners[name].end()
    return {name: timed for name, timed in found.items() if timed.wall or timed.note}


def failed(timed: Timed) -> bool:
    """Whether nothing is known of its speed."""
    return not timed.wall or timed.note.startswith("failed")


def rows_in(order: Sequence[Sequence[int]], pairs: Sequence[Any]) -> list[list[Any]]:
    """The pairs as runners read them, batch after batch; a last, smaller batch is left out."""
    full = [batch for batch in order if len(batch) == len(order[0])]
    return [[list(pairs[place].ids), pairs[place].prompt_length] for batch in full for place in batch]
