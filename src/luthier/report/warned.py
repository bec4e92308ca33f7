"""What runs warned of, each thing said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Warned:
    """One thing that runs warned of, or that their scores lack.

    Attributes:
        text: as the first of the runs put it.
        arms: that it came from.
        seeds: that it came from.
        alike: whether the other seeds' text differs from the first one's, in numbers alone.
        marked: whether the arms are marked in tables; not so for what speaks of the examples rather than of the arm.
    """

    text: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    alike: bool = False
    marked: bool = True

    @property
    def short(self) -> str:
        """What it says before its colon, where that is short: the mark in a table."""
        opening, colon, _ = self.text.partition(":")
        return opening if colon and len(opening) <= 24 else "warning"

    @property
    def words(self) -> str:
        """One line: who, which seeds, what."""
        first, *others = map(str, self.seeds)
        who = ", ".join(self.arms)
        if self.alike and others:
            return f"{who} (seed {first}): {self.text}; much the same with {_seeds(others)}"
        return f"{who} ({_seeds([first, *others])}): {self.text}"


def _seeds(seeds: Sequence[str]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
