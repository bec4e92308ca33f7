"""What a column holds."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.init.columns import columns_of
from luthier.tasks.readers import Row

NUMBERS = list(range(40))


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("label", [n % 3 for n in NUMBERS], "label"),
        ("label", [float(n % 2) for n in NUMBERS], "label"),
        ("label", [n % 2 == 0 for n in NUMBERS], "label"),
        ("score", [n / 7 for n in NUMBERS], "number"),
        ("count", [n * n for n in NUMBERS], "number"),
        ("n", NUMBERS, "id"),
        ("code", [f"row_{n}" for n in NUMBERS], "id"),
        ("document_id", [n // 2 for n in NUMBERS], "group"),
        ("index", [n // 2 for n in NUMBERS], "id"),
        ("category_id", [n % 4 for n in NUMBERS], "id"),
        ("text", [f"number {n} of many" for n in NUMBERS], "text"),
        ("same", ["x"] * 40, "constant"),
        ("nothing", [None, ""] * 20, "empty"),
        ("answers", [["a", "b"]] * 40, "nested"),
    ],
)
def test_kinds(name: str, values: list[Any], kind: str):
    (column,) = columns_of([Row({name: value}, "") for value in values])
    assert column.kind == kind


def test_what_is_counted():
    rows = [Row(values, "") for values in ({"a": " x "}, {"a": "x"}, {"a": "y z"}, {"a": None}, {})]
    (column,) = columns_of(rows)
    assert (column.missing, column.distinct, column.longest, column.padded) == (2, 2, 2, True)
    assert column.counts == {"x": 2, "y z": 1}


def test_labels_in_order():
    (column,) = columns_of([Row({"label": value}, "") for value in ("10", "9", "-1", "b", "a")])
    assert column.labels == ["-1", "9", "10", "a", "b"]
