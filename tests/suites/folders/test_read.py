"""Benchmarks out of folders: every layout, and everything that may be wrong in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.suites.benchmarks import find_tasks
from luthier.suites.folders.read import TaskRows, rows_of
from tests.suites.small_benchmarks import MMLU, SST2, write_jsonl, write_mmlu


def _rows(name: str, root: Path, *, alone: bool = False) -> TaskRows | None:
    (task,) = find_tasks(name)
    return rows_of(task.name, task.config, root, alone=alone)


def _refused(name: str, root: Path) -> str:
    with pytest.raises(LuthierError) as refused:
        _rows(name, root)
    return str(refused.value)


def test_the_hubs_columns_by_split_with_numbers_made_of_labels(tmp_path: Path):
    write_jsonl(tmp_path / "glue" / "sst2" / "dev.jsonl", [{**row, "label": str(row["label"])} for row in SST2])
    write_jsonl(tmp_path / "glue" / "sst2" / "train.jsonl", SST2[:2])
    found = _rows("sst2", tmp_path)
    assert found is not None and not found.overrides and found.shots_from
    assert {name: len(rows) for name, rows in found.splits.items()} == {"train": 2, "validation": 5}
    assert [row["label"] for row in found.splits["validation"]] == [1, 0, 1, 0, 1]


def test_without_training_rows_there_are_no_shots(tmp_path: Path):
    write_jsonl(tmp_path / "sst2" / "validation.jsonl", SST2)
    found = _rows("sst2", tmp_path)
    assert found is not None and not found.shots_from and found.overrides == {"training_split": None}


def test_another_split_is_asked_where_the_definitions_own_is_missing(tmp_path: Path):
    write_jsonl(tmp_path / "gsm8k" / "train.jsonl", [{"question": "1 + 1?", "answer": "#### 2"}] * 2)
    found = _rows("gsm8k", tmp_path)
    assert found is not None and found.overrides["test_split"] == "train"
    assert found.notes[0] == "gsm8k: there are no test rows in the folder; its train rows are asked"
    assert "a row stands there more than once" in found.notes[1] and "train.jsonl:2" in found.notes[1]


def test_the_folder_itself_may_hold_the_files_of_a_single_task(tmp_path: Path):
    write_jsonl(tmp_path / "mine" / "validation.jsonl", SST2)
    assert _rows("sst2", tmp_path / "mine") is None
    assert _rows("sst2", tmp_path / "mine", alone=True) is not None


def test_rte_of_glue_is_not_taken_for_that_of_superglue(tmp_path: Path):
    rows = [{"sentence1": "a", "sentence2": "b", "label": 0}]
    write_jsonl(tmp_path / "glue" / "rte" / "validation.jsonl", rows)
    assert _rows("sglue_rte", tmp_path) is None
    assert _rows("rte", tmp_path) is not None


def test_mmlu(tmp_path: Path):
    write_mmlu(tmp_path, "anatomy", "test", MMLU)
    write_mmlu(tmp_path, "anatomy", "dev", MMLU[:5])
    found = _rows("mmlu_anatomy", tmp_path)
    assert found is not None and len(found.splits["dev"]) == 5
    assert found.splits["test"][2] == {**MMLU[2], "subject": "anatomy"}
    assert _rows("mmlu_virology", tmp_path) is None


def test_bbh(tmp_path: Path):
    path = tmp_path / "bbh" / "tasks" / "snarks.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"canary": "x", "examples": [{"input": "Which?", "target": "(B)"}]}))
    found = _rows("bbh_fewshot_snarks", tmp_path)
    assert found is not None and found.shots_from
    assert found.splits["test"] == ({"input": "Which?", "target": "(B)"},)


_OPTIONS = {"question": "What floats? ", "options": "A. a stone\nB. a cork ", "answer": "B. a cork "}


@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [
        ("piqa", _OPTIONS, {"goal": "What floats? ", "sol1": "a stone", "sol2": "a cork ", "label": 1}),
        (
            "openbookqa",
            _OPTIONS,
            {
                "question_stem": "What floats?",
                "choices": {"text": ["a stone", "a cork "], "label": ["A", "B"]},
                "answerKey": "B",
            },
        ),
        (
            "social_iqa",
            {"passage": "Ben fell.", "question": "Why?", "options": "A. ice\nB. wind\nC. luck", "answer": "C. luck"},
            {
                "context": "Ben fell.",
                "question": "Why?",
                **{"answerA": "ice", "answerB": "wind", "answerC": "luck"},
                "label": "3",
            },
        ),
        (
            "boolq",
            {"question": "is it so", "title": "So", "passage": "It is.", "answer": "True"},
            {"question": "is it so", "passage": "So -- It is.", "label": 1},
        ),
        (
            "hellaswag",
            {"question": "A man sits. He reads. then he", "answer": ["w", "x", "y", "z"]},
            {
                "activity_label": "",
                "ctx_a": "A man sits. He reads.",
                "ctx_b": "then he",
                "endings": ["w", "x", "y", "z"],
                "label": -1,
            },
        ),
    ],
)  # fmt: skip
def test_questions_with_options(tmp_path: Path, task: str, row: dict[str, Any], expected: dict[str, Any]):
    write_jsonl(tmp_path / task / "validation.jsonl", [row])
    found = _rows(task, tmp_path)
    assert found is not None
    (read,) = next(iter(found.splits.values()))
    assert read == expected


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"sentense": "fine", "label": 1}], "no column sentence; did you mean sentense?"),
        ([SST2[0], {"sentence": "fine"}], "validation.jsonl:2"),
        ([{"sentence": "fine", "label": 2}], "label is 2, and there are 2 choices"),
        ([{"sentence": "fine", "label": "good"}], "label is 'good', which is no whole number"),
        ([{"sentence": "fine", "label": 0.5}], "0 (negative), 1 (positive)"),
        ([{"sentence": None, "label": 0}], "sentence is empty"),
        ([], "the file has no rows"),
    ],
)
def test_bad_rows_are_refused_with_their_place(tmp_path: Path, rows: list[dict[str, Any]], said: str):
    write_jsonl(tmp_path / "sst2" / "validation.jsonl", rows)
    message = _refused("sst2", tmp_path)
    assert said in message and "validation.jsonl" in message


def test_a_row_that_is_no_json(tmp_path: Path):
    path = write_jsonl(tmp_path / "sst2" / "validation.jsonl", SST2)
    path.write_text(path.read_text() + "{oops\n")
    assert "validation.jsonl:6" in _refused("sst2", tmp_path)


def test_a_word_span_that_is_no_number(tmp_path: Path):
    row = {"word": "run", "sentence1": "a run", "sentence2": "run", "start1": "two", "end1": 5, "start2": 0, "end2": 3}
    write_jsonl(tmp_path / "wic" / "validation.jsonl", [{**row, "label": 0}])
    assert "start1 is 'two'" in _refused("wic", tmp_path)


def test_mmlu_with_other_columns_labels_or_no_rows(tmp_path: Path):
    write_mmlu(tmp_path, "anatomy", "test", MMLU, header="anser")
    assert "no column answer; did you mean anser?" in _refused("mmlu_anatomy", tmp_path)
    write_mmlu(tmp_path, "virology", "test", [{**MMLU[0], "answer": 4}])
    message = _refused("mmlu_virology", tmp_path)
    assert "answer is 4, and there are 4 choices" in message and "virology_test.csv:2" in message
    write_mmlu(tmp_path, "sociology", "test", [])
    assert "the file has no rows" in _refused("mmlu_sociology", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "C. a boat"}, "none of the options"),
        ({"options": "a stone, a cork"}, "options are not A. ..., B. ..."),
        ({"options": "A. a stone\nB. a cork\nC. a leaf"}, "3 options instead of 2"),
    ],
)
def test_options_that_cannot_be_made_out(tmp_path: Path, change: dict[str, Any], said: str):
    write_jsonl(tmp_path / "PIQA" / "validation.jsonl", [{**_OPTIONS, **change}])
    assert said in _refused("piqa", tmp_path)


def test_no_such_folder(tmp_path: Path):
    assert "no such folder" in _refused("sst2", tmp_path / "nowhere")
