"""Rows made on demand: each once, in whatever order it is asked for, and kept for who comes next."""

from __future__ import annotations

from luthier.models import on_demand
from luthier.models.on_demand import OnDemand, kept


def test_a_row_is_made_once_and_when_it_is_asked_for() -> None:
    made: list[int] = []

    def make(place: int) -> str:
        made.append(place)
        return f"row {place}"

    rows = OnDemand(make, 5)
    assert len(rows) == 5 and made == []
    assert [rows[3], rows[-1], rows[3], rows[4]] == ["row 3", "row 4", "row 3", "row 4"]
    assert made == [3, 4]
    assert rows[1:4] == ["row 1", "row 2", "row 3"]
    assert list(rows) == [f"row {place}" for place in range(5)]
    assert sorted(made) == [0, 1, 2, 3, 4]


def test_the_same_key_gives_the_same_rows_until_others_take_their_place() -> None:
    def rows() -> OnDemand[int]:
        return OnDemand(lambda place: place, 3)

    first = kept("test: first", rows)
    assert kept("test: first", rows) is first
    for number in range(on_demand.MOST_KEPT):
        kept(f"test: {number}", rows)
    assert len(on_demand._KEPT) == on_demand.MOST_KEPT
    assert kept("test: first", rows) is not first
