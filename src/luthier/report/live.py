"""What is seen while a study runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from luthier.core.types import Progress
from luthier.report import formats
from luthier.report.remaining import Track, seconds_left

_ENDS = ("done", "failed")


class LiveTable:
    """A context manager that hears the `Progress` of all runs, from any thread.

    On a terminal: one line an arm with its runs' phases, a bar, the loss and the scores so far, and what is left. Where
    the console is no terminal: one plain line a finished tenth of a phase, no control codes.

    Args:
        runs: the names that will stand in `Progress.run`, in the study's order; the arm is the name without its digest
            and seed (`lora-1f..-s0` and `lora-s0` are of `lora`).
        workers: how many runs go on at once.
        primary: the measure to show of finished runs, from the `values` of their `done`.
        console: where to show it; standard output by default.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        runs: Sequence[str],
        *,
        workers: int = 1,
        primary: str | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._tracks = {name: Track(name, arm_of(name)) for name in runs}
        self._workers = workers
        self._primary = primary
        self._console = console or Console()
        self._clock = clock
        self._losses: dict[str, float] = {}
        self._scores: dict[str, float] = {}
        self._said: set[tuple[str, str, int, int]] = set()
        self._lock = threading.RLock()
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(console=self._console, get_renderable=self.table, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveTable:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: Progress) -> None:
        """Hear one event."""
        with self._lock:
            track = self._tracks.setdefault(event.run, Track(event.run, arm_of(event.run)))
            self._follow(track, event)
            if self._live is None:
                self._say(track, event)

    def _follow(self, track: Track, event: Progress) -> None:
        now = self._clock()
        if event.phase in _ENDS:
            track.ended, track.failed = now, event.phase == "failed"
            if self._primary is not None and self._primary in event.values:
                self._scores[track.name] = event.values[self._primary]
        elif track.started is None:
            track.started = now
        track.trains = track.trains or event.phase == "train"
        if event.phase != "validate":  # a part of training, whose step goes on counting
            track.step, track.total = event.step, event.total
        track.phase = event.phase
        if "loss" in event.values:
            self._losses[track.name] = event.values["loss"]

    def _say(self, track: Track, event: Progress) -> None:
        """One line, unless this tenth of the phase was told already."""
        tenth = 10 * event.step // event.total if event.total else 0
        training = track.step if event.phase == "validate" else 0
        key = (event.run, event.phase, tenth, training)
        if key in self._said:
            return
        self._said.add(key)
        steps = f" {event.step}/{event.total}" if event.total else ""
        values = "".join(f"  {name} {_value(name, value)}" for name, value in event.values.items())
        ended = event.phase in _ENDS and track.started is not None
        took = f"  took {formats.seconds(track.seconds(self._clock()))}" if ended else ""
        self._console.file.write(f"{event.run}  {event.phase}{steps}{values}{took}  ({self._left()})\n")
        self._console.file.flush()

    def _left(self) -> str:
        tracks = list(self._tracks.values())
        ended = sum(track.ended is not None for track in tracks)
        left = seconds_left(tracks, self._clock(), self._workers)
        if ended == len(tracks):
            return f"{ended}/{len(tracks)} runs"
        estimate = "no estimate yet" if left is None else f"about {formats.seconds(left)} left"
        return f"{ended}/{len(tracks)} runs, {estimate}"

    def table(self) -> Group:
        """What a terminal shows now."""
        with self._lock:
            table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
            table.add_column("arm", no_wrap=True, overflow="ellipsis", max_width=20)
            table.add_column("runs", justify="right", no_wrap=True)
            table.add_column("now", no_wrap=True, overflow="ellipsis", min_width=16)
            table.add_column("", width=16)
            table.add_column("loss", justify="right", no_wrap=True)
            table.add_column(self._primary or "score", justify="right", no_wrap=True)
            for arm in dict.fromkeys(track.arm for track in self._tracks.values()):
                self._add_row(table, arm)
            return Group(table, Text(self._left(), style="dim"))

    def _add_row(self, table: Table, arm: str) -> None:
        tracks = [track for track in self._tracks.values() if track.arm == arm]
        ended = [track for track in tracks if track.ended is not None]
        running = [track for track in tracks if track.ended is None and track.started is not None]
        failed = sum(track.failed for track in tracks)
        phases = [f"{track.phase} {track.step}/{track.total}" if track.total else track.phase for track in running]
        now = " · ".join(phases) or ("waits" if len(ended) < len(tracks) else "done")
        done = sum(track.fraction() for track in tracks) / len(tracks)
        table.add_row(
            Text(arm),
            f"{len(ended)}/{len(tracks)}",
            Text(f"{now}, {failed} failed" if failed else now, style="red" if failed else "dim" if not running else ""),
            ProgressBar(total=1.0, completed=done, width=16),
            _mean(self._losses, running or tracks),
            _mean(self._scores, tracks),
        )


def arm_of(run: str) -> str:
    """The arm in a run's name: without digest and seed."""
    return re.sub(r"(-[0-9a-f]{16})?-s\d+$", "", run)


def _mean(values: dict[str, float], tracks: Sequence[Track]) -> str:
    known = [values[track.name] for track in tracks if track.name in values]
    return formats.score(sum(known) / len(known)) if known else ""


def _value(name: str, value: float) -> str:
    if name == "learning_rate":
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 100 else formats.score(value)
