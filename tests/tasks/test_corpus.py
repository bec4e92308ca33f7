"""Sources to pretrain on: what is held out is never trained on, and is always the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.tasks.corpus import SourceSettings, read_source

DOCUMENTS = [f"Document {index}: " + "some words and more of them. " * (1 + index % 4) for index in range(30)]


def settings(path: Path, **changes: Any) -> SourceSettings:
    given = {"data": str(path), "text": "{{ text }}", "weight": 1.0, "licence": "none", "held_out_bytes": 400}
    return read(SourceSettings, given | changes, where="pretrain.yaml")


def written(path: Path, documents: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), encoding="utf-8")
    return path


def test_held_out_documents_are_apart_and_enough(tmp_path: Path) -> None:
    source = read_source("some", settings(written(tmp_path / "a.jsonl", DOCUMENTS)))
    assert 400 <= sum(len(text.encode()) for text in source.held_out) < 600
    assert not set(source.held_out) & set(source.train)
    assert sorted(source.held_out + source.train) == sorted(text.strip() for text in DOCUMENTS)
    assert source.train == [text.strip() for text in DOCUMENTS if text.strip() in source.train]  # in file order


def test_the_same_are_held_out_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    one = read_source("some", settings(written(tmp_path / "a.jsonl", DOCUMENTS)))
    other = read_source("some", settings(written(tmp_path / "b.jsonl", DOCUMENTS[::-1])))
    assert one.held_out == other.held_out


def test_a_second_copy_of_a_document_is_held_out_with_it(tmp_path: Path) -> None:
    for most in (50, 100, 150, 400):  # wherever the line falls between two copies
        path = written(tmp_path / f"{most}.jsonl", DOCUMENTS * 2)
        source = read_source("some", settings(path, held_out_bytes=most))
        assert source.held_out and not set(source.held_out) & set(source.train)


def test_of_a_long_document_only_the_beginning_is_measured_and_nothing_is_trained_on(tmp_path: Path) -> None:
    long = [f"{index:02d} " + "ä" * 1000 for index in range(10)]
    path = written(tmp_path / "a.jsonl", long)
    source = read_source("some", settings(path, held_out_bytes=150, held_out_bytes_per_document=100))
    assert len(source.held_out) == 2 and len(source.train) == 8
    for text in source.held_out:
        assert text[3:] == "ä" * 48  # two bytes each: the half of one that 100 bytes would end in is left out
        assert text[:3] not in {kept[:3] for kept in source.train}


def test_empty_documents_are_left_out(tmp_path: Path) -> None:
    source = read_source("some", settings(written(tmp_path / "a.jsonl", ["", "  \n", *DOCUMENTS])))
    assert all(text for text in source.train + source.held_out)


def test_each_document_gets_one_of_the_templates(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", DOCUMENTS)
    source = read_source("some", settings(path, text=["A {{ text }}", "B {{ text }}"]))
    first = {text[0] for text in source.train}
    assert first == {"A", "B"}
    assert len(source.train) + len(source.held_out) == 30
    assert read_source("some", settings(path, text=["A {{ text }}", "B {{ text }}"])) == source


def test_a_source_that_would_be_held_out_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="all of it would be held out"):
        read_source("some", settings(written(tmp_path / "a.jsonl", DOCUMENTS), held_out_bytes=10**6))


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", DOCUMENTS)
    with path.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(LuthierError) as caught:
        read_source("some", settings(path))
    assert "a.jsonl:31" in str(caught.value)
