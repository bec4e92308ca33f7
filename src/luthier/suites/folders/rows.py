"""Rows of a benchmark's file, checked: what is missing or out of range is named with its file, line and column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.suites.folders.columns import UNLABELLED, Columns
from luthier.tasks.readers import BadRow, Row, read_rows


@dataclass(frozen=True)
class SplitRows:
    """The rows of one file in the hub's columns, where each of them stands, and what should be said of them."""

    rows: tuple[Mapping[str, Any], ...]
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_file(path: Path) -> list[Row]:
    """All rows of a file.

    Raises:
        LuthierError: it cannot be read, a row of it cannot be, or it has none.
    """
    rows: list[Row] = []
    for row in read_rows(path):
        if isinstance(row, BadRow):
            raise LuthierError(f"a row cannot be read: {row.reason}", where=row.where, mend="mend or remove it")
        rows.append(row)
    if not rows:
        raise LuthierError("the file has no rows", where=str(path), mend="fill it, or take it out of the folder")
    return rows


def checked(rows: Sequence[Row], columns: Columns) -> SplitRows:
    """The rows with numbers made of what should be such, each checked against what lm-eval's definition reads.

    Raises:
        LuthierError: a column is missing (the nearest one is suggested) or empty, or a label is none.
    """
    values = tuple(_checked_row(row, columns) for row in rows)
    return SplitRows(values, tuple(row.where for row in rows), _repeated(rows, values, columns))


def missing_column(name: str, row: Row) -> LuthierError:
    """What is said of a row without a column."""
    return LuthierError(
        f"there is no column {name}{suggest(name, list(row.values))}",
        where=f"{row.where}: {', '.join(row.values)}",
        mend="name the columns as the benchmark's data set on the hub does",
    )


def label_of(value: Any, columns: Columns, where: str) -> Any:
    """A label as lm-eval reads it: the place of the right choice from 0, -1 where it is held back, or its name.

    Raises:
        LuthierError: it is neither a number nor a name of a choice, or out of range.
    """
    if value is None or value == "":
        return UNLABELLED
    if isinstance(value, str) and value in columns.class_names:
        return value
    number = whole_number(value, columns.label or "label", where, _range(columns))
    if not UNLABELLED <= number < columns.classes:
        raise LuthierError(
            f"{columns.label} is {number}, and there are {columns.classes} choices",
            where=where,
            mend=f"give {_range(columns)}",
        )
    return number


def whole_number(value: Any, name: str, where: str, mend: str = "a whole number") -> int:
    """The number that a cell holds, as text or as itself.

    Raises:
        LuthierError: it holds none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.5
    if number != number // 1:
        raise LuthierError(f"{name} is {value!r}, which is no whole number", where=where, mend=f"give {mend}")
    return int(number)


def _range(columns: Columns) -> str:
    words = columns.class_names or [""] * columns.classes
    return ", ".join(f"{place} ({word})" if word else str(place) for place, word in enumerate(words)) + (
        f", or {UNLABELLED} where it is not known"
    )


def _checked_row(row: Row, columns: Columns) -> Mapping[str, Any]:
    values = dict(row.values)
    for name in columns.names:
        if name not in values:
            raise missing_column(name, row)
        value = values[name]
        if name == columns.label:
            values[name] = label_of(value, columns, row.where)
        elif value is None:
            raise LuthierError(f"{name} is empty", where=row.where, mend="fill it, or remove the row")
        elif name in columns.lists and not (isinstance(value, list) and value):
            raise LuthierError(f"{name} is no list", where=row.where, mend="give a list with something in it (JSON)")
    for name in columns.numbers:
        if name not in values:
            raise missing_column(name, row)
        values[name] = whole_number(values[name], name, row.where)
    return values


def _repeated(rows: Sequence[Row], values: Sequence[Mapping[str, Any]], columns: Columns) -> tuple[str, ...]:
    """Which rows stand there again; they are asked as often as they do, as lm-eval would."""
    first: dict[str, Row] = {}
    again: list[tuple[Row, Row]] = []
    for row, one in zip(rows, values, strict=True):
        read = {name: one[name] for name in columns.names} if columns.names else dict(one)
        before = first.setdefault(json.dumps(read, sort_keys=True, default=str), row)
        if before is not row:
            again.append((row, before))
    if not again:
        return ()
    row, before = again[0]
    count = "a row stands" if len(again) == 1 else f"{len(again)} rows stand"
    return (f"{count} there more than once ({row.where} is {before.where}) and is asked as often",)
