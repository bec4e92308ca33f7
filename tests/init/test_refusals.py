"""Data of which no study can be made: one clear message each, exit code 2, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.init.draft import Options, draft_study
from tests.init.conftest import words

Table = Callable[..., Path]
TEXTS = [words(8, seed) for seed in range(60)]
SIGNS = [seed % 2 for seed in range(60)]
OTHERS = [words(5, 500 + seed) for seed in range(60)]


def refused(data: Path, **options: Any) -> str:
    before = set(Path.cwd().iterdir())
    with pytest.raises(LuthierError) as error:
        draft_study(data, Options(**options))
    assert error.value.exit_code == 2 and error.value.mend
    assert set(Path.cwd().iterdir()) == before
    return str(error.value)


@pytest.mark.parametrize(
    ("separator", "name", "said"),
    [
        (";", "data.csv", "separated by semicolons"),
        ("\t", "data.csv", "rename it to data.tsv"),
        (",", "data.tsv", "rename it to data.csv"),
    ],
)
def test_the_wrong_separator(table: Table, separator: str, name: str, said: str):
    assert said in refused(table(name, separator=separator, text=TEXTS, label=SIGNS))


def test_a_byte_order_mark_is_no_part_of_a_name(table: Table):
    text = draft_study(table(encoding="utf-8-sig", text=TEXTS, label=SIGNS), Options()).text
    assert "{{ text }}" in text


def test_nothing_to_learn(table: Table):
    assert "one column only (text)" in refused(table(text=TEXTS))
    assert "has one value only, 'x'" in refused(table(text=TEXTS, label=["x"] * 60))
    assert "all 60 rows are the same" in refused(table(text=["a b"] * 60, label=["x"] * 60))
    assert "5 rows are too few" in refused(table(text=TEXTS[:5], label=SIGNS[:5]))
    assert "no rows in data.csv" in refused(table(text=[], label=[]))
    assert "no column of text" in refused(table(size=[seed / 7 for seed in range(60)], label=SIGNS))


def test_files_that_cannot_be_read(table: Table, tmp_path: Path):
    (tmp_path / "empty.csv").touch()
    assert "empty file" in refused(Path("empty.csv"))
    (tmp_path / "twice.csv").write_text("text,text\na,b\n", encoding="utf-8")
    assert "more than once" in refused(Path("twice.csv"))
    assert "not UTF-8" in refused(table("latin.csv", encoding="latin-1", text=[f"é {t}" for t in TEXTS], label=SIGNS))
    assert "no such file" in refused(Path("nowhere.csv"))
    (tmp_path / "folder").mkdir()
    assert "holds no data file" in refused(Path("folder"))


def test_two_readings_and_nobody_to_ask(table: Table):
    said = refused(table(text=TEXTS, label=SIGNS, answer=["x", "y", "z"] * 20))
    assert "cannot tell which column is the answer: label, answer" in said and "--answer label" in said
    texts = {name: [words(8, 1000 * place + seed) for seed in range(60)] for place, name in enumerate(("p", "q", "r"))}
    assert "--input p" in refused(table(**texts, label=SIGNS))


def test_flags_that_cannot_be(table: Table):
    path = table(text=TEXTS, label=SIGNS)
    assert "did you mean label?" in refused(path, answer="lable")
    assert "no such column" in refused(path, inputs=["nothing"])
    assert "label is the answer" in refused(path, inputs=["label"])
    assert "did you mean rouge?" in refused(path, metric="rogue")
    assert "entity_f1 judges tags of words" in refused(path, metric="entity_f1")
    assert "correlation wants numbers" in refused(
        table("words.csv", text=TEXTS, label=["a", "b"] * 30), metric="correlation"
    )
    written = table("written.csv", text=TEXTS, label=OTHERS)
    assert "f1 wants a short list of choices" in refused(written, metric="f1", task="generate")
    assert "these are no labels" in refused(path, answer="text", task="classify")
    assert "no such house model" in refused(path, model="house/nothing")
    assert "cannot be written" in refused(path, out=Path("nowhere/study.yaml"))


def test_a_file_is_never_overwritten(table: Table, tmp_path: Path):
    path = table(text=TEXTS, label=SIGNS)
    (tmp_path / "data.yaml").write_text("mine", encoding="utf-8")
    assert "there already" in refused(path)
    assert (tmp_path / "data.yaml").read_text(encoding="utf-8") == "mine"
