"""Every format comes back as it was written, and every bad line is named."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from luthier.core.errors import LuthierError
from luthier.tasks.readers import BadRow, Row, is_data_file, read_rows

ROWS = [{"text": 'He said "no",\nthen left\ttwice', "label": "a"}, {"text": "Grüße, 世界 \u2028 😀", "label": "b"}]


def _jsonl(rows: list[dict[str, str]], path: Path) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _json(rows: list[dict[str, str]], path: Path) -> None:
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


def _json_object(rows: list[dict[str, str]], path: Path) -> None:
    path.write_text(json.dumps({"version": {"n": [1]}, "rows": rows, "note": "x"}), encoding="utf-8")


def _separated(rows: list[dict[str, str]], path: Path) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)


def _parquet(rows: list[dict[str, str]], path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


WRITERS = [
    ("x.jsonl", _jsonl),
    ("x.NDJSON", _jsonl),
    ("x.json", _json),
    ("x.json", _json_object),
    ("x.csv", _separated),
    ("x.tsv", _separated),
    ("x.parquet", _parquet),
]


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(
    tmp_path: Path, name: str, write: Callable[[list[dict[str, str]], Path], None], compressed: bool
) -> None:
    path = tmp_path / name
    write(ROWS, path)
    if compressed:
        zipped = tmp_path / f"{name}.gz"
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        path = zipped
    rows = list(read_rows(path))
    assert [row.values for row in rows if isinstance(row, Row)] == ROWS
    assert len({row.where for row in rows}) == len(rows)
    assert all(row.where.startswith(f"{path}:") for row in rows)
    assert is_data_file(path.name)


def _places(path: Path, text: str | bytes) -> list[tuple[str, str]]:
    """(what stands after the file's name, `ok` or the reason) of every row."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [
        (row.where.removeprefix(f"{path}:"), row.reason if isinstance(row, BadRow) else "ok") for row in read_rows(path)
    ]


def test_bad_jsonl_lines_are_named(tmp_path: Path) -> None:
    lines = b'{"a": 1}\n{"a": \n\n[1]\n{"a": "\xff"}\n' + b"[" * 100_000 + b'\n{"a": 2}\r\n\n\n'
    places = _places(tmp_path / "x.jsonl", lines)
    assert [where for where, _ in places] == ["1", "2", "3", "4", "5", "6", "7"]
    reasons = [reason for _, reason in places]
    assert reasons[0] == reasons[6] == "ok"
    assert reasons[1].startswith("not valid JSON") and reasons[2:5] == ["empty line", "not a JSON object", "not UTF-8"]
    assert reasons[5].startswith("not readable JSON")


def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    for name, text in [("x.jsonl", '{"a": "1"}'), ("x.json", '[{"a": "1"}]'), ("x.csv", "a\n1\n")]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8-sig")
        assert [row.values for row in read_rows(path) if isinstance(row, Row)] == [{"a": "1"}]


def test_json_rows_know_their_lines(tmp_path: Path) -> None:
    text = '{"meta": {"list": [1]},\n "rows": [\n{"a": 1},\n\n 7, {"a":\n2}]}'
    assert [where for where, _ in _places(tmp_path / "x.json", text)] == ["3 (row 1)", "5 (row 2)", "5 (row 3)"]
    assert _places(tmp_path / "x.json", '[\n{"a": 1},\n\n 7,\n{"a": 2}]') == [
        ("2", "ok"),
        ("4", "not a JSON object"),
        ("5", "ok"),
    ]
    assert _places(tmp_path / "x.json", "[ ]") == []


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ('[{"a": 1},\n{"a": }]', "not valid JSON", ":2"),
        ('[{"a": 1}\n{"a": 2}]', "not valid JSON", ":2"),
        ('[{"a": 1}]\n\n{}', "not valid JSON", ":3"),
        ('[{"a": 1},', "not valid JSON", ":1"),
        ('{"a": [1], }', "not valid JSON", ":1"),
        ("", "not valid JSON", ":1"),
        ('{"a": [1], "b": [2]}', "holds 2 lists", ""),
        ('{"a": 1}', "holds no list", ""),
        ("{}", "holds no list", ""),
        ('"words"', "holds no list", ""),
        ('["a", "b"]', "holds no objects", ""),
        ("[" * 100_000, "not readable JSON", ""),
    ],
)
def test_json_of_another_shape(tmp_path: Path, text: str, what: str, line: str) -> None:
    with pytest.raises(LuthierError, match=what) as caught:
        _places(tmp_path / "x.json", text)
    assert caught.value.where == f"{tmp_path / 'x.json'}{line}"


def test_csv_lines_are_counted_through_quoted_newlines(tmp_path: Path) -> None:
    text = b'a,b\n"1\n\n2",x\n3\n\n4,y,z\n\xff,y\n"5"6,z\n7,w\n"never closed,y\n8,x\n\n'
    assert _places(tmp_path / "x.csv", text) == [
        ("2", "ok"),
        ("5", "1 columns where the header has 2"),
        ("6", "empty line"),
        ("7", "3 columns where the header has 2"),
        ("8", "not UTF-8"),
        ("9", "quotes are not in pairs: ',' expected after '\"'"),
        ("10", "ok"),
        ("11", "quotes are not in pairs: unexpected end of data"),
    ]


def test_csv_cell_longer_than_the_modules_own_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n" + "w" * 300_000 + "\n")
    (row,) = read_rows(path)
    assert isinstance(row, Row) and len(row.values["a"]) == 300_000


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not even a header"),
        ("\n1,2\n", "no header"),
        (",a\n0,x\n", "without a name"),
        ("a,b,a\n1,2,3\n", "a more"),
    ],
)
def test_csv_header(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(LuthierError, match=what):
        _places(tmp_path / "x.csv", text)


def test_nested_parquet_is_plain_python(tmp_path: Path) -> None:
    value = {"turns": [{"speaker": "a", "text": "b"}, {"speaker": "c", "text": None}], "tags": ["x"], "n": 3}
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([value] * 600), path)
    rows = list(read_rows(path))
    assert len(rows) == 600 and rows[-1].where == f"{path}:row 600"
    assert isinstance(rows[0], Row) and rows[0].values == value
    assert type(rows[0].values["turns"]) is list and type(rows[0].values["turns"][0]) is dict


def test_parquet_string_that_is_not_utf8_is_one_bad_row(tmp_path: Path) -> None:
    cells = pyarrow.array([b"good", b"\xff\xfe", b"also good"], pyarrow.binary())
    strings = pyarrow.Array.from_buffers(pyarrow.string(), 3, cells.buffers())
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": strings}), path)
    rows = list(read_rows(path))
    assert rows[1] == BadRow(f"{path}:row 2", "not UTF-8")
    assert [row.values for row in rows if isinstance(row, Row)] == [{"a": "good"}, {"a": "also good"}]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    good = gzip.compress(b'{"a": 1}\n' * 1000)
    damaged = {
        "x.txt": (b"hello", "unknown kind"),
        "noending": (b"hello", "unknown kind"),
        "utf16.jsonl": ('{"a": 1}'.encode("utf-16"), "not a UTF-8 text"),
        "latin.json": ('[{"a": "é"}]'.encode("latin-1"), "not a UTF-8 text"),
        "plain.jsonl.gz": (b'{"a": 1}', "damaged gzip"),
        "cut.jsonl.gz": (good[: len(good) // 2], "damaged gzip"),
        "x.parquet": (b"PAR1 nothing", "not a readable Parquet"),
        "cut.parquet.gz": (gzip.compress(b"PAR1")[:12], "damaged gzip"),
    }
    for name, (content, what) in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LuthierError, match=what) as caught:
            list(read_rows(tmp_path / name))
        assert caught.value.where == str(tmp_path / name) and caught.value.mend
    with pytest.raises(LuthierError, match="a folder"):
        read_rows(tmp_path / "folder.csv")
    with pytest.raises(LuthierError, match="no such file"):
        read_rows(tmp_path / "missing.jsonl")


def test_repeated_parquet_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], ["a", "a"]), path)
    with pytest.raises(LuthierError, match="column a more than once"):
        list(read_rows(path))
