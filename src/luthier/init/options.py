"""Multiple choice: columns that hold a row's options, and an answer that says which of them is right."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.init import names
from luthier.init.columns import Column


def options_of(columns: Sequence[Column]) -> list[Column]:
    """Columns such as choice0, choice1, choice2: the longest such series, in order."""
    series: dict[str, list[tuple[int, Column]]] = {}
    for column in columns:
        found = names.option(column.name)
        if found is not None and column.kind not in ("nested", "empty"):
            series.setdefault(found[0], []).append((found[1], column))
    for places in series.values():
        places.sort(key=lambda place: place[0])
    whole = [
        [column for _, column in places]
        for word, places in series.items()
        if [place for place, _ in places] == list(range(places[0][0], places[0][0] + len(places)))
        and len(places) >= (2 if word else 3)  # `a` and `b` alone are as often two texts to compare
    ]
    return max(whole, key=len, default=[])


def first_option(answer: Column, options: int) -> str | None:
    """How the answer names the first of the options: `0`, `1`, `A` or `a`; None where it does not."""
    if not options:
        return None
    for first in ("0", "1", "A", "a"):
        places = {chr(ord(first) + step) for step in range(options)}
        if set(answer.counts) <= places and (first != "1" or "0" not in answer.counts):
            return first
    return None
