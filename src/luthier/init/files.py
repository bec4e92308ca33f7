"""Which files DATA means, and their rows: one file to be split, or a folder with a file per split."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.tasks.readers import BadRow, Row, is_data_file, read_rows

_WORDS = {"train": ("train", "training"), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Data:
    """What was found.

    Attributes:
        files: paths by split, as the study file will name them; `all` alone where they are to be split.
        rows: the readable rows, by split.
        unreadable: the rows that could not be read.
        notes: what was assumed on the way.
    """

    files: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, list[Row]]
    unreadable: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def every_row(self) -> list[Row]:
        """The rows of all splits."""
        return [row for rows in self.rows.values() for row in rows]


def find(data: Path) -> Data:
    """Read a file, or the files of a folder.

    Raises:
        LuthierError: nothing there, no file that can be read, a file with the wrong separator, too few rows.
    """
    files, notes = _of_folder(data) if data.is_dir() else ({"all": (str(data),)}, ())
    rows: dict[str, list[Row]] = {}
    unreadable: list[BadRow] = []
    for split, paths in files.items():
        found = [row for path in paths for row in _rows(path)]
        rows[split] = [row for row in found if isinstance(row, Row)]
        unreadable += [row for row in found if isinstance(row, BadRow)]
    read = Data(files, rows, tuple(unreadable), notes)
    _check_rows(read, data)
    return read


def _rows(path: str) -> list[Row | BadRow]:
    opened = read_rows(path)
    _check_separator(Path(path))
    return list(opened)


def _of_folder(folder: Path) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    there = sorted(path for path in folder.iterdir() if path.is_file() and is_data_file(path.name))
    if not there:
        raise LuthierError(
            "this folder holds no data file", where=str(folder), mend="give CSV, TSV, JSONL, JSON or Parquet"
        )
    files = _by_split(there, r"{}([._-].*)?") or _by_split(there, r".*[._-]{}")
    if set(files) == {"train", "validation"}:
        note = (
            f"There is no test file: {', '.join(files['validation'])} takes its place, and validation comes from train."
        )
        return {"train": files["train"], "test": files["validation"]}, (note,)
    if {"train", "test"} <= set(files):
        return files, ()
    if len(there) == 1:
        return {"all": (str(there[0]),)}, ()
    raise LuthierError(
        f"cannot tell which of these files is train and which test: {', '.join(path.name for path in there[:8])}",
        where=str(folder),
        mend="name one file, or call them train, validation (or dev) and test",
    )


def _by_split(paths: list[Path], pattern: str) -> dict[str, tuple[str, ...]]:
    """The files whose name, without its suffixes, has a split's word where the pattern wants it."""
    found = {}
    for split, words in _WORDS.items():
        wanted = re.compile(pattern.format(f"({'|'.join(words)})"), re.IGNORECASE)
        of_split = tuple(str(path) for path in paths if wanted.fullmatch(path.name.partition(".")[0]))
        if of_split:
            found[split] = of_split
    return found


def _check_separator(path: Path) -> None:
    """Refuse a CSV or TSV whose header is one name with other separators in it."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    expected = {".csv": ",", ".tsv": "\t"}.get(suffixes[-1] if suffixes else "")
    if expected is None:
        return
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb") as file:
            header = file.readline(100_000).decode("utf-8-sig", errors="replace").strip()
    except (OSError, EOFError):
        return  # the reader says what is wrong with it
    others = [separator for separator in _SEPARATORS if separator != expected and separator in header]
    if expected not in header and others:
        mend = "save it with commas"
        if expected == "," and others[0] == "\t":
            mend = f"rename it to {path.stem}.tsv"
        elif expected == "\t":
            mend = f"save it with tabs{', or rename it to ' + path.stem + '.csv' if others[0] == ',' else ''}"
        raise LuthierError(
            f"its columns seem to be separated by {_SEPARATORS[others[0]]}, and a {suffixes[-1]} file is read by "
            f"{_SEPARATORS[expected]}",
            where=f"{path}:1",
            mend=mend,
        )


def _check_rows(data: Data, path: Path) -> None:
    for split, rows in data.rows.items():
        if not rows:
            bad = [row for row in data.unreadable if row.where.startswith(data.files[split])]
            left = f": none of its {len(bad)} lines can be read ({bad[0].reason})" if bad else ""
            raise LuthierError(
                f"no rows in {', '.join(data.files[split])}{left}", where=str(path), mend="give a file that has rows"
            )
    rows = data.every_row
    if len(rows) < FEWEST_ROWS:
        raise LuthierError(
            f"{len(rows)} rows are too few to train and to test on", where=str(path), mend=f"give {FEWEST_ROWS} or more"
        )
    first = dict(rows[0].values)
    if all(dict(row.values) == first for row in rows):
        raise LuthierError(
            f"all {len(rows)} rows are the same", where=str(path), mend="give rows that differ: there is one to learn"
        )
