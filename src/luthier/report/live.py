"""What is seen while a study runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from luthier.core.types import Progress
from luthier.report import formats
from luthier.report.remaining import Track, seconds_left, seconds_left_of_each

_ENDS = ("done", "failed")
_BAR, _NOW = "", "now"
_LEAST_NOW = 14
"""Columns are left out before what goes on now has less room, in characters."""


class LiveTable:
    """A context manager that hears the `Progress` of all runs, from any thread.

    On a terminal: one line an arm with its runs' phases, a bar, the loss and the score so far, and what is left. Where
    the console is no terminal: one plain line a phase and a quarter of a training, no control codes.

    Args:
        runs: the names that will stand in `Progress.run`, in the study's order: arm, perhaps digest, and seed
            (`lora-0123456789abcdef-s0`), which is shown as `lora s0`.
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
        self._labels = labels(runs)
        self._workers = workers
        self._primary = primary
        self._console = console or Console()
        self._clock = clock
        self._losses: dict[str, float] = {}
        self._validation: dict[str, float] = {}
        self._scores: dict[str, float] = {}
        self._told: dict[str, tuple[str, int]] = {}
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
            if event.run not in self._labels:
                self._labels = labels(list(self._tracks))
            if event.phase == "planned":
                return
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
        for name, kept in (("loss", self._losses), ("validation_loss", self._validation)):
            if name in event.values:
                kept[track.name] = event.values[name]

    def _say(self, track: Track, event: Progress) -> None:
        """One line, unless it was told already: each phase as it begins, a training by its quarters, and the end."""
        told = self._told.get(event.run)
        quarter = 4 * event.step // event.total if event.phase == "train" and event.total else 0
        again = event.phase == "load" and told is not None  # a second look at the weights is no news
        last = event.phase == "validate" and event.step == event.total  # the loss of the weights that are kept
        if (event.phase in ("validate", "score") and not last) or again or told == (event.phase, quarter):
            return
        self._told[event.run] = (event.phase, quarter)
        line = f"{self._labels.get(event.run, event.run)}  {self._happened(track, event)}  ({self._left()})"
        self._console.file.write(line + "\n")
        self._console.file.flush()

    def _happened(self, track: Track, event: Progress) -> str:
        phase = "kept" if event.phase == "done" and track.started is None else event.phase
        parts = [f"{phase} {event.step}/{event.total}" if phase == "train" and event.total else phase]
        shown = {"train": ("loss", self._losses), "validate": ("validation loss", self._validation)}.get(event.phase)
        if shown and track.name in shown[1]:
            parts.append(f"{shown[0]} {formats.score(shown[1][track.name])}")
        if event.phase == "done" and track.name in self._scores:
            parts.append(f"{self._primary} {formats.score(self._scores[track.name])}")
        if event.phase in _ENDS and track.started is not None:
            parts.append(f"took {formats.seconds(track.seconds(self._clock()))}")
        return "  ".join(parts)

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
            tracks = list(self._tracks.values())
            arms = list(dict.fromkeys(track.arm for track in tracks))
            score = self._primary or "score"
            widths = {"arm": min(18, max(map(len, arms))), "runs": 5, _BAR: 10, _NOW: 0, "loss": 6}
            widths |= {score: max(6, len(score)), "to go": 7}
            for dispensable in ("runs", _BAR, "loss"):
                if self._room(widths) < _LEAST_NOW:
                    del widths[dispensable]
            widths[_NOW] = max(_LEAST_NOW, self._room(widths))
            table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
            for name, width in widths.items():
                side: JustifyMethod = "left" if name in ("arm", _BAR, _NOW) else "right"
                table.add_column(name, justify=side, width=width, no_wrap=True, overflow="ellipsis")
            left = seconds_left_of_each(tracks, self._clock())
            for arm in arms:
                cells = self._cells([track for track in tracks if track.arm == arm], left)
                table.add_row(*(cells[name if name != score else "score"] for name in widths))
            return Group(table, Text(self._left(), style="dim"))

    def _room(self, widths: Mapping[str, int]) -> int:
        """What is left of the terminal's width for what goes on now."""
        return self._console.width - sum(width + 2 for name, width in widths.items() if name != _NOW)

    def _cells(self, tracks: Sequence[Track], left: Mapping[str, float] | None) -> dict[str, RenderableType]:
        """An arm's row, by column."""
        ended = [track for track in tracks if track.ended is not None]
        running = [track for track in tracks if track.ended is None and track.started is not None]
        failed = sum(track.failed for track in tracks)
        waits = "waits" if len(ended) < len(tracks) else "done" if failed < len(tracks) else ""
        told = [f"{failed} failed" if failed else "", _phases(running) or waits]
        to_go = [left[track.name] for track in tracks if track.ended is None] if left is not None else []
        return {
            "arm": Text(tracks[0].arm),
            "runs": f"{len(ended)}/{len(tracks)}",
            _BAR: ProgressBar(total=1.0, completed=sum(track.fraction() for track in tracks) / len(tracks), width=10),
            _NOW: Text(", ".join(filter(None, told)), style="red" if failed else "dim" if not running else ""),
            "loss": _mean(self._losses, running or tracks),
            "score": _mean(self._scores, tracks),
            "to go": formats.seconds(sum(to_go)) if to_go else "",
        }


def arm_of(run: str) -> str:
    """The arm in a run's name: without digest and seed."""
    return re.sub(r"(-[0-9a-f]{16})?-s\d+$", "", run)


def labels(runs: Sequence[str]) -> dict[str, str]:
    """Each run's short name, `lora s0`; the digest's first digits follow where two would be called the same."""
    found = {}
    for run in runs:
        parts = re.fullmatch(r"(.+?)(?:-([0-9a-f]{16}))?-(s\d+)", run)
        found[run] = (f"{parts[1]} {parts[3]}", (parts[2] or "")[:4]) if parts else (run, "")
    met = Counter(short for short, _ in found.values())
    return {run: f"{short} {digits}".strip() if met[short] > 1 else short for run, (short, digits) in found.items()}


def _phases(running: Sequence[Track]) -> str:
    """`train 120/600`; of several runs the percentages: `train 20% 15%, load`."""
    if len(running) == 1:
        (track,) = running
        return f"{track.phase} {track.step}/{track.total}" if track.total else track.phase
    parts: dict[str, str] = {}
    for track in running:
        part = f" {100 * track.step // track.total}%" if track.total else ""
        parts[track.phase] = parts.get(track.phase, track.phase) + part
    return ", ".join(parts.values())


def _mean(values: dict[str, float], tracks: Sequence[Track]) -> str:
    known = [values[track.name] for track in tracks if track.name in values]
    return formats.score(sum(known) / len(known)) if known else ""
