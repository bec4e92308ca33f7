"""How long a study will still take, told from the runs so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHARES = {"load": 0.03, "train": 0.68, "generate": 0.19, "likelihoods": 0.05, "score": 0.02, "retention": 0.03}
"""What part of a run each phase is taken to be until a run of the same arm has finished; validation is in training."""
_ENOUGH = 0.05
"""The fraction done from which a running run is believed to tell its own length."""


@dataclass
class Track:
    """One run as it was heard of so far. Seconds are of the clock that the listener reads."""

    name: str
    arm: str
    started: float | None = None
    ended: float | None = None
    failed: bool = False
    trains: bool = False
    phase: str = ""
    step: int = 0
    total: int = 0

    def seconds(self, now: float) -> float:
        """How long it has run."""
        return 0.0 if self.started is None else (self.ended or now) - self.started

    def fraction(self) -> float:
        """How much of it is done, in [0, 1]."""
        if self.ended is not None:
            return 1.0
        phase = "train" if self.phase == "validate" else self.phase
        shares = {name: share for name, share in SHARES.items() if self.trains or name not in ("train", "retention")}
        if phase not in shares:
            return 0.0
        before = sum(share for name, share in shares.items() if list(shares).index(name) < list(shares).index(phase))
        within = min(1.0, self.step / self.total) if self.total else 0.0
        return (before + shares[phase] * within) / sum(shares.values())


def seconds_left(tracks: Sequence[Track], now: float, workers: int) -> float | None:
    """The study's seconds left, or None while nothing tells."""
    left = seconds_left_of_each(tracks, now)
    return max(sum(left.values()) / workers, max(left.values(), default=0.0)) if left is not None else None


def seconds_left_of_each(tracks: Sequence[Track], now: float) -> dict[str, float] | None:
    """By name, the seconds that each run which has not ended will still take, or None while nothing tells.

    A run takes as long as the finished runs of its arm took (mean); else as long as a running one of its arm will, to
    judge by its fraction done; else as long as the mean of the arms that are known.
    """
    arms = list(dict.fromkeys(track.arm for track in tracks))
    known = {arm: length for arm in arms if (length := _length(arm, tracks, now)) is not None}
    if not known:
        return None
    lengths = {track.name: known.get(track.arm, _mean(known.values())) for track in tracks if track.ended is None}
    return {track.name: max(0.0, lengths[track.name] - track.seconds(now)) for track in tracks if track.name in lengths}


def _length(arm: str, tracks: Sequence[Track], now: float) -> float | None:
    ours = [track for track in tracks if track.arm == arm and track.started is not None]
    finished = [track.seconds(now) for track in ours if track.ended is not None and not track.failed]
    if finished:
        return _mean(finished)
    running = [
        track.seconds(now) / track.fraction() for track in ours if track.ended is None and track.fraction() >= _ENOUGH
    ]
    return _mean(running) if running else None


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
