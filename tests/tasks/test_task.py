"""From settings to examples: what is read, what is refused, and what is left out and named."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.types import Message, Skipped
from luthier.tasks.task import Task, TaskSettings, load_task


def _write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def _rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {n}?", "context": f"A long text about {n}.", "answer": f"It is {n}."}
        for n in range(start, start + count)
    ]


def _settings(**given: Any) -> TaskSettings:
    small = {"prompt": "{{ context }}\n{{ question }}", "reference": "{{ answer }}"}
    return read(TaskSettings, {**small, **given}, "study.yaml")


def _load(skip_bad_rows: bool = False, **given: Any) -> Task:
    return load_task(_settings(**given), skip_bad_rows=skip_bad_rows)


def _sizes(task: Task) -> dict[str, int]:
    return {split: len(found) for split, found in task.splits.items()}


@pytest.fixture
def hundred(tmp_path: Path) -> str:
    return _write(tmp_path / "hundred.jsonl", _rows(100))


def test_a_row_becomes_an_example(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.jsonl", [{**_rows(1)[0], "author": "ann"}])
    task = _load(
        data={"test": path},
        system="Answer briefly.",
        reference=["{{ answer }}", "{{ answer | upper }}"],
        cluster="{{ author }}",
    )
    (example,) = task.splits["test"]
    assert example.messages == (
        Message("system", "Answer briefly."),
        Message("user", "A long text about 0.\nWhat is 0?"),
    )
    assert example.references == ("It is 0.", "IT IS 0.") and example.cluster == "ann"
    assert example.source == "A long text about 0."  # the longer of the two fields that the prompt names
    assert example.where == f"{path}:1" and re.fullmatch("[0-9a-f]{16}", example.id)
    assert _sizes(task) == {"train": 0, "validation": 0, "test": 1} and task.skipped == ()


def test_source_and_turns_and_choices_as_given(tmp_path: Path) -> None:
    rows = [{"q": "2+2?", "a": "4", "b": "5", "label": 0}]
    task = _load(
        data={"test": _write(tmp_path / "x.jsonl", rows)},
        prompt=[
            {"role": "user", "content": "1+1?"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "{{ q }}"},
        ],
        reference="{{ [a, b][label] }}",
        choices=["{{ a }}", "{{ b }}"],
        source="only {{ q }}",
    )
    (example,) = task.splits["test"]
    assert [message.role for message in example.messages] == ["user", "assistant", "user"]
    assert example.references == ("4",) and example.choices == ("4", "5") and example.source == "only 2+2?"


def test_several_files_and_formats_make_one_split(tmp_path: Path) -> None:
    first = _write(tmp_path / "a.jsonl", _rows(3))
    second = tmp_path / "b.csv.gz"
    second.write_bytes(gzip.compress(b"question,context,answer\nWho?,Some text,She\n"))
    test = load_task(_settings(data={"test": [first, str(second)]})).splits["test"]
    assert [example.where for example in test] == [f"{first}:1", f"{first}:2", f"{first}:3", f"{second}:2"]


def test_one_file_is_split_by_fractions(hundred: str) -> None:
    task = _load(data=hundred, split={"train": 0.6, "validation": 0.15, "test": 0.25})
    assert _sizes(task) == {"train": 60, "validation": 15, "test": 25}
    assert len({example.id for found in task.splits.values() for example in found}) == 100
    assert load_task(_settings(data=hundred, split={"train": 0.6, "validation": 0.15, "test": 0.25})) == task


def test_limits_draw_the_same_examples_each_time(hundred: str, tmp_path: Path) -> None:
    other = _write(tmp_path / "other.jsonl", _rows(100, start=100))
    given: dict[str, Any] = {"data": {"train": hundred, "test": other}, "limit": {"train": 60, "test": 20}}
    task = _load(**given)
    assert _sizes(task) == {"train": 60, "validation": 6, "test": 20}
    assert load_task(_settings(**given)) == task
    assert [example.where for example in task.splits["test"]] != [f"{other}:{line}" for line in range(1, 21)]
    assert not {example.id for example in task.splits["train"]} & {example.id for example in task.splits["validation"]}


def test_given_validation_is_left_alone(hundred: str, tmp_path: Path) -> None:
    paths = {split: _write(tmp_path / f"{split}.jsonl", _rows(7, 200)) for split in ("validation", "test")}
    assert _sizes(_load(data={"train": hundred, **paths})) == {"train": 100, "validation": 7, "test": 7}


def test_each_row_gets_one_of_several_templates_wherever_it_stands(tmp_path: Path) -> None:
    rows = _rows(100)
    forward = _write(tmp_path / "a.jsonl", rows)
    backward = _write(tmp_path / "b.jsonl", rows[::-1])
    prompts = ["0 {{ question }}", "1 {{ question }}", "2 {{ question }}"]
    here, there = (_load(data={"test": path}, prompt=prompts).splits["test"] for path in (forward, backward))
    assert all(example.messages[0].content.startswith(str(example.template)) for example in here)
    assert [example.template for example in here] == [example.template for example in there][::-1]
    counts = [sum(example.template == number for example in here) for number in range(3)]
    assert min(counts) >= 15  # a third of 100, less four standard deviations


def test_digest_follows_content_and_order_not_place(tmp_path: Path) -> None:
    rows = _rows(5)
    paths = [_write(tmp_path / f"{name}.jsonl", given) for name, given in [("a", rows), ("b", rows), ("c", rows[::-1])]]
    digests = [_load(data={"test": path}).digests["test"] for path in paths]
    assert digests[0] == digests[1] != digests[2]
    assert _load(data={"test": paths[0]}, source="{{ answer }}").digests["test"] != digests[0]


BAD_LINES = (
    '{"question": "Q1", "context": "C1", "answer": "A1"}\n'
    '{"question": "Q2", "context": "C2"\n'
    '{"question": "Q3", "context": "C3", "answer": ""}\n'
    '{"question": "Q4", "context": "C4", "answer": " \\n"}\n'
    '{"question": "", "context": " ", "answer": "A5"}\n'
    '{"question": "Q6", "answer": "A6"}\n'
    '{"question": "Q7", "context": "C7", "answer": null}\n'
    '{"question": "Q8", "context": "C8", "answer": "\\ud83d"}\n'
    '{"question": "", "context": "C9", "answer": "A9"}\n'
)


def test_bad_rows_are_an_error_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(BAD_LINES)
    with pytest.raises(LuthierError) as caught:
        _load(data={"test": str(path)})
    error = caught.value
    assert error.what.startswith("7 of 9 rows cannot be used") and error.what.endswith("and 2 more")
    assert f"{path}:2: not valid JSON" in error.what and f"{path}:3: empty reference" in error.what
    assert f"{path}:7" not in error.what
    assert error.exit_code == 2 and error.mend is not None and "--skip-bad-rows" in error.mend


def test_bad_rows_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(BAD_LINES)
    task = _load(data={"test": str(path)}, skip_bad_rows=True)
    assert [example.where for example in task.splits["test"]] == [f"{path}:1", f"{path}:9"]
    reasons = {skipped.where.removeprefix(f"{path}:"): skipped.reason for skipped in task.skipped}
    assert reasons.pop("2").startswith("not valid JSON")
    assert reasons == {
        "3": "empty reference",
        "4": "empty reference",
        "5": "empty prompt: nothing in context, question",
        "6": "missing field: 'context' is undefined",
        "7": "null in answer",
        "8": "not valid Unicode: half of a surrogate pair",
    }
    assert all(isinstance(skipped, Skipped) for skipped in task.skipped)


def test_half_a_surrogate_pair_is_named_with_several_templates_and_in_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(BAD_LINES.splitlines()[0] + '\n{"question": "Q", "context": "\\ud83d", "answer": "A"}\n')
    task = _load(
        data={"test": str(path)},
        prompt=["{{ question }}", "Q: {{ question }}"],
        source="{{ context }}",
        skip_bad_rows=True,
    )
    assert [skipped.where for skipped in task.skipped] == [f"{path}:2"]


def test_reference_must_be_a_choice(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.jsonl", [{"q": "a", "label": "yes"}, {"q": "b", "label": "maybe"}])
    with pytest.raises(LuthierError, match=r"x.jsonl:2: the reference is not one of the choices"):
        _load(data={"test": path}, prompt="{{ q }}", reference="{{ label }}", choices=["yes", "no"])


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"prompt": "{{ contxt }}"}, "prompt"),
        ({"reference": "{{ contxt }}"}, "reference"),
        ({"source": "{{ contxt }}"}, "source"),
    ],
)
def test_field_that_no_row_has(hundred: str, given: dict[str, Any], key: str) -> None:
    with pytest.raises(LuthierError, match="contxt: no row has this field; did you mean context") as caught:
        _load(data={"all": hundred}, name="t", **given)
    assert caught.value.where == f"task t, {key}" and caught.value.mend == "the rows have answer, context, question"


def test_template_mistakes_are_errors_not_bad_rows(hundred: str) -> None:
    with pytest.raises(LuthierError, match="not allowed"):
        _load(data=hundred, prompt="{{ question.__class__ }}", skip_bad_rows=True)
    with pytest.raises(LuthierError, match="not a valid template"):
        _load(data="missing.jsonl", prompt="{{ question")  # found before the data is looked at


def test_nothing_to_go_on_with(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(LuthierError, match="no examples in test"):
        _load(data={"test": str(empty)})
    bad = tmp_path / "bad.jsonl"
    bad.write_text("one\ntwo\n")
    with pytest.raises(LuthierError, match="all 2 rows are bad: not valid JSON"):
        _load(data={"test": str(bad)}, skip_bad_rows=True)


def test_missing_file_is_found_before_any_is_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("not JSON")
    with pytest.raises(LuthierError, match="no such file"):
        _load(data={"train": str(bad), "test": str(tmp_path / "missing.jsonl")})


def test_copies_are_kept_counted_and_told_apart(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.jsonl", [*_rows(3), *_rows(1)])
    task = _load(data={"test": path})
    ids = [example.id for example in task.splits["test"]]
    assert task.duplicates == {"train": 0, "validation": 0, "test": 1} and ids[3] == f"{ids[0]}-2"


def test_generated_task() -> None:
    task = _load(data="generated/support_desk", prompt="{{ dialogue }}", reference="{{ summary }}", limit={"train": 50})
    assert task.name == "support_desk" and len(task.splits["train"]) == 50
    assert task.splits["test"][0].where == "generated/support_desk/test:row 1"
    with pytest.raises(LuthierError, match="did you mean support_desk"):
        _load(data="generated/suport_desk")


def test_folder_through_the_datasets_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    _write(folder / "train.jsonl", _rows(100))
    assert _sizes(_load(data=str(folder))) == {"train": 80, "validation": 10, "test": 10}
    _write(folder / "validation.jsonl", _rows(10, 100))
    with pytest.raises(LuthierError, match=r"no test split \(it has train, validation\)"):
        _load(data=str(folder))
    _write(folder / "test.jsonl", _rows(5, 200))
    task = _load(data=str(folder))
    assert _sizes(task) == {"train": 100, "validation": 10, "test": 5}
    assert task.splits["test"][0].where == f"{folder}/test:row 1"


def test_splits_of_the_hub_are_taken_as_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    for split, (count, start) in {"train": (100, 0), "validation": (10, 100), "test": (5, 200)}.items():
        _write(folder / f"{split}.jsonl", _rows(count, start))
    task = _load(data={"hub": str(folder), "test": "validation"})
    assert task.name == "set" and task.splits["test"][0].where == f"{folder}/validation:row 1"
    assert _sizes(task) == {"train": 90, "validation": 10, "test": 10}
    assert _sizes(_load(data={"hub": str(folder)})) == {"train": 100, "validation": 10, "test": 5}
    swapped = _load(data={"hub": str(folder), "train": "validation"})  # what is trained on validates nothing
    assert _sizes(swapped) == {"train": 9, "validation": 1, "test": 5}
    with pytest.raises(LuthierError, match=r"no dev split \(it has train, validation, test\)"):
        _load(data={"hub": str(folder), "test": "dev"})
    with pytest.raises(LuthierError, match="overlap"):
        _load(data={"hub": str(folder), "test": "train"})


def test_hub_id_offline_says_to_give_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with pytest.raises(LuthierError, match="some/set cannot be loaded") as caught:
        _load(data="some/set")
    assert caught.value.mend is not None and "give files" in caught.value.mend
