"""Rows out of local files: JSONL, JSON, CSV, TSV, Parquet and CoNLL, plain or gzipped, each row with its place.

A line that cannot be read comes out as a `BadRow` in its place among the others, so that its reader can name and count
it; only a file that cannot be read as a whole raises. All but JSON are streamed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.tasks.json_elements import JsonElementsError, json_elements


@dataclass(frozen=True)
class Row:
    """One row as the file has it.

    Attributes:
        values: column or key -> value; nested values are plain lists and dicts; CSV and TSV values are all strings.
        where: `file:line`, the line on which the row begins (for JSON with several rows a line
            `file:line (row N)`); for Parquet `file:row N`. All count from 1.
    """

    values: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read, and why."""

    where: str
    reason: str


def read_rows(path: str | Path) -> Iterator[Row | BadRow]:
    """The rows of one file, by its suffix (`.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.parquet`, `.conll`, or these
    `.gz`).

    Raises:
        LuthierError: at once for a missing file or an unknown suffix; while reading for a file that is damaged, not
            UTF-8 text, a CSV without a usable header, or a JSON file that is not a list of objects (nor an object with
            one list in it).
    """
    path = Path(path)
    reader = _READERS.get(_suffix(path))
    if not path.exists():
        raise LuthierError("no such file", where=str(path), mend="check the path; it is read from the current folder")
    if path.is_dir():
        raise LuthierError("this is a folder, not a file", where=str(path), mend="name the files in it")
    if reader is None:
        raise LuthierError(
            f"{path.name}: unknown kind of file",
            where=str(path),
            mend=f"give one of {', '.join(_READERS)} (or .gz of it)",
        )
    return _with_clear_errors(path, reader)


def is_data_file(name: str) -> bool:
    """Whether the name ends as a file that `read_rows` can read."""
    return _suffix(Path(name)) in _READERS


def _suffix(path: Path) -> str:
    """The last suffix in lower case, `.gz` apart; an empty string where there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _with_clear_errors(path: Path, reader: Callable[[Path], Iterator[Row | BadRow]]) -> Iterator[Row | BadRow]:
    try:
        yield from reader(path)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise LuthierError("damaged gzip file", where=str(path), mend="fetch or compress it again") from None
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise LuthierError(f"cannot be read: {reason}", where=str(path), mend="check the file") from None


def _open(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")


def _open_text(path: Path, newline: str) -> io.TextIOWrapper:
    """The file as text in which bytes that are not UTF-8 stand as lone surrogates, for their line to be named."""
    with _open(path) as file:
        if b"\0" in file.read(1024):
            raise LuthierError("not a UTF-8 text file", where=str(path), mend="save it in UTF-8, or correct its suffix")
    return io.TextIOWrapper(_open(path), encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_jsonl(path: Path) -> Iterator[Row | BadRow]:
    empty: list[BadRow] = []
    with _open_text(path, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            if not line.strip():
                empty.append(BadRow(where, "empty line"))
                continue
            yield from empty  # empty lines at the end of the file are no rows; before others they are
            empty.clear()
            yield _json_row(line, where)


def _json_row(line: str, where: str) -> Row | BadRow:
    if not _is_utf8(line):
        return BadRow(where, "not UTF-8")
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        return BadRow(where, f"not valid JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        return BadRow(where, f"not readable JSON: {error}")
    return Row(value, where) if isinstance(value, dict) else BadRow(where, "not a JSON object")


def _read_json(path: Path) -> Iterator[Row | BadRow]:
    with _open_text(path, newline="\n") as file:
        text = file.read()
    shape = "give a list of objects, an object with one list of objects in it, or JSONL (one object a line)"
    if not _is_utf8(text):
        raise LuthierError("not a UTF-8 text file", where=str(path), mend="save it in UTF-8")
    try:
        elements = json_elements(text)
    except json.JSONDecodeError as error:
        raise LuthierError(f"not valid JSON: {error.msg}", where=f"{path}:{error.lineno}", mend=shape) from None
    except (ValueError, RecursionError) as error:
        raise LuthierError(f"not readable JSON: {error}", where=str(path), mend=shape) from None
    except JsonElementsError as error:
        raise LuthierError(f"{error}, so there are no rows to be had from it", where=str(path), mend=shape) from None
    if elements and not any(isinstance(value, dict) for _, value in elements):
        raise LuthierError("its list holds no objects", where=str(path), mend=shape)
    shared_lines = len({line for line, _ in elements}) < len(elements)
    for number, (line, value) in enumerate(elements, start=1):
        where = f"{path}:{line} (row {number})" if shared_lines else f"{path}:{line}"
        yield Row(value, where) if isinstance(value, dict) else BadRow(where, "not a JSON object")


def _read_csv(path: Path) -> Iterator[Row | BadRow]:
    return _read_separated(path, ",")


def _read_tsv(path: Path) -> Iterator[Row | BadRow]:
    return _read_separated(path, "\t")


def _read_separated(path: Path, delimiter: str) -> Iterator[Row | BadRow]:
    """Quotes as RFC 4180 has them, in both kinds; strict, for a stray quote would swallow the rows after it."""
    csv.field_size_limit(sys.maxsize)  # the module's own limit of 131,072 characters is shorter than a book
    empty: list[BadRow] = []
    header: list[str] | None = None
    with _open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for begins, cells in _records(reader):
            where = f"{path}:{begins}"
            if header is None:
                header = _header(cells, where)
            elif cells == []:
                empty.append(BadRow(where, "empty line"))
            else:
                yield from empty
                empty.clear()
                yield _separated_row(header, cells, where)
    if header is None:
        raise LuthierError("empty file: not even a header", where=str(path), mend="name the columns in the first line")


def _records(reader: Any) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """(first line, cells or what is wrong with them) of every record; the reader goes on after an error."""
    while True:
        begins = reader.line_num + 1
        try:
            yield begins, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, error


def _header(cells: list[str] | csv.Error, where: str) -> list[str]:
    mend = "name every column once in the first line (a table saved with its row numbers has a column without a name)"
    if isinstance(cells, csv.Error) or not all(_is_utf8(cell) for cell in cells):
        raise LuthierError("the header cannot be read", where=where, mend="save the file in UTF-8, quotes in pairs")
    names = [cell.strip() for cell in cells]
    if not names or "" in names:
        raise LuthierError("no header, or a column without a name", where=where, mend=mend)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LuthierError(f"the header has {', '.join(twice)} more than once", where=where, mend=mend)
    return names


def _separated_row(header: list[str], cells: list[str] | csv.Error, where: str) -> Row | BadRow:
    if isinstance(cells, csv.Error):
        return BadRow(where, f"quotes are not in pairs: {cells}")
    if len(cells) != len(header):
        return BadRow(where, f"{len(cells)} columns where the header has {len(header)}")
    if not all(_is_utf8(cell) for cell in cells):
        return BadRow(where, "not UTF-8")
    return Row(dict(zip(header, cells, strict=True)), where)


def _read_parquet(path: Path) -> Iterator[Row | BadRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        source: Any = path
        if path.suffix.lower() == ".gz":  # Parquet is read from its end, which gzip cannot seek
            with _open(path) as compressed:
                source = pyarrow.BufferReader(compressed.read())
        with pyarrow.parquet.ParquetFile(source) as file:
            _refuse_repeated_columns(file.schema_arrow.names, path)
            number = 0
            # Few rows at a time, for one may be a whole book.
            for batch in file.iter_batches(batch_size=16):
                for value in _batch_rows(batch):
                    number += 1
                    where = f"{path}:row {number}"
                    yield BadRow(where, "not UTF-8") if value is None else Row(value, where)
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise LuthierError(f"not a readable Parquet file: {reason}", where=str(path), mend="write it again") from None


def _refuse_repeated_columns(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LuthierError(f"it has the column {twice[0]} more than once", where=str(path), mend="rename one of them")


def _batch_rows(batch: Any) -> Iterable[dict[str, Any] | None]:
    """The rows of an Arrow batch as plain Python; None for a row whose strings are not UTF-8."""
    try:
        rows: list[dict[str, Any] | None] = batch.to_pylist()
        return rows
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            return [None]
        return [row for index in range(batch.num_rows) for row in _batch_rows(batch.slice(index, 1))]


def _read_conll(path: Path) -> Iterator[Row | BadRow]:
    """A sentence a row: `words`, the first column of its lines, and `tags`, the last, as in the shared task of 2003.

    A line without a word ends a sentence; `-DOCSTART-` lines belong to none.
    """
    with _open_text(path, newline="\n") as file:
        lines: list[tuple[int, str]] = []
        for number, line in enumerate(chain(file, [""]), start=1):
            if line.strip() and not line.startswith("-DOCSTART-"):
                lines.append((number, line))
            elif lines:
                yield _sentence(path, lines)
                lines = []


def _sentence(path: Path, lines: list[tuple[int, str]]) -> Row | BadRow:
    words, tags = [], []
    for number, line in lines:
        if not _is_utf8(line):
            return BadRow(f"{path}:{number}", "not UTF-8")
        cells = [cell.strip() for cell in line.strip("\r\n").split("\t")] if "\t" in line else line.split()
        if len(cells) < 2 or not cells[0] or not cells[-1]:
            return BadRow(f"{path}:{number}", "a line of a sentence has no tag, or no word")
        words.append(cells[0])
        tags.append(cells[-1])
    return Row({"words": words, "tags": tags}, f"{path}:{lines[0][0]}")


_READERS: dict[str, Callable[[Path], Iterator[Row | BadRow]]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".conll": _read_conll,
}
