"""A tiny model on small benchmarks: what is asked, what comes of it, how many shots fit, what is stored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jinja2
import pytest
from sklearn.metrics import f1_score

from luthier.core.errors import LuthierError
from luthier.core.types import ChoicePrediction, TextPrediction
from luthier.suites import harness
from luthier.suites.benchmarks import find_tasks
from luthier.suites.evaluation import Evaluation, read_evaluation
from luthier.suites.harness import evaluate_suite, folder_name
from luthier.suites.items import read_items
from luthier.suites.judged import Judged, load_judged
from tests.suites.small_benchmarks import MMLU, MRPC, SST2, write_jsonl, write_mmlu
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return load_judged(str(tiny_model("llama", tmp_path_factory.mktemp("model") / "m", context=512)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_jsonl(folder / "glue" / "sst2" / "validation.jsonl", SST2)
    write_jsonl(folder / "glue" / "sst2" / "train.jsonl", SST2[:4])
    write_jsonl(folder / "glue" / "mrpc" / "validation.jsonl", MRPC)
    return folder


def _evaluate(judged: Judged, suite: str, data: Path, **given: Any) -> Evaluation:
    return evaluate_suite(judged, suite, data=data, **given)


def test_a_suite_of_which_the_folder_has_a_part(judged: Judged, data: Path):
    found = _evaluate(judged, "glue", data)
    assert [task.name for task in found.tasks] == ["mrpc", "sst2"]
    assert found.notes[0].startswith("glue: 2 of 9 tasks are in the folder; left out: cola, mnli,")
    sst2 = found.of_task("sst2")
    assert (sst2.items, sst2.unscored, sst2.shots, sst2.truncated, sst2.majority) == (5, 0, 0, 0, 3 / 5)
    items = [item for item in found.items if item.task == "sst2"]
    assert sst2.measures["acc"].mean == pytest.approx(sum(item.values["acc"] for item in items) / 5)
    assert 0 <= sst2.measures["acc"].low < sst2.measures["acc"].high <= 1
    (group,) = found.groups
    assert (group.name, group.tasks, group.over_items.n) == ("glue", 2, 9)
    assert group.over_tasks == pytest.approx(sum(task.measures["acc"].mean for task in found.tasks) / 2)


def test_items_hold_what_was_asked_and_the_harness_own_values(judged: Judged, data: Path):
    found = _evaluate(judged, "mrpc", data)
    golds, guesses = [], []
    for item, row in zip(found.items, MRPC, strict=True):
        assert item.example.messages[0].content == (
            f"Sentence 1: {row['sentence1']}\nSentence 2: {row['sentence2']}\n"
            "Question: Do both sentences mean the same thing?\nAnswer:"
        )
        prediction = item.prediction
        assert isinstance(prediction, ChoicePrediction) and prediction.choices == ("no", "yes")
        expected = [
            len(judged.tokenizer(f" {choice}", add_special_tokens=False)["input_ids"]) for choice in ("no", "yes")
        ]
        assert list(prediction.tokens) == expected
        guess = max((0, 1), key=lambda place: prediction.log_likelihoods[place])
        assert item.example.references == (("no", "yes")[int(row["label"])],)
        assert item.values == {"acc": float(guess == int(row["label"]))}
        golds.append(int(row["label"]))
        guesses.append(guess)
    f1 = found.of_task("mrpc").measures["f1"]
    assert f1.mean == pytest.approx(f1_score(golds, guesses, zero_division=0.0))
    assert math.isnan(f1.low) and f1.n == 4
    assert len({item.id for item in found.items}) == 4


def test_mmlus_prompts_are_lm_evals(judged: Judged, tmp_path: Path):
    write_mmlu(tmp_path, "anatomy", "test", MMLU[5:])
    write_mmlu(tmp_path, "anatomy", "dev", MMLU[:3])
    found = _evaluate(judged, "mmlu", tmp_path, shots=2)
    (task,) = find_tasks("mmlu_anatomy")
    template = jinja2.Template(task.config["doc_to_text"])

    def asked(row: dict[str, Any]) -> str:
        return template.render(**row)

    shots = "".join(f"{asked(row)} {'ABCD'[row['answer']]}\n\n" for row in MMLU[:2])
    prompts = [item.example.messages[0].content for item in found.items]
    assert prompts == [task.config["description"] + shots + asked(row) for row in MMLU[5:]]
    assert prompts[0].startswith(
        "The following are multiple choice questions (with answers) about anatomy.\n\nWhat is 0"
    )
    assert found.of_task("mmlu_anatomy").groups == ("mmlu", "mmlu_stem")


def test_fewer_shots_where_the_context_is_too_short(judged: Judged, tmp_path: Path):
    long = [{**row, "question": row["question"] + " It is a plain question." * 8} for row in MMLU]
    write_mmlu(tmp_path, "anatomy", "test", long[5:])
    write_mmlu(tmp_path, "anatomy", "dev", long[:5])
    found = _evaluate(judged, "mmlu_anatomy,mmlu", tmp_path, shots=5)
    task = found.of_task("mmlu_anatomy")
    assert task.wanted_shots == 5 and 0 < task.shots < 5 and task.truncated == 0
    assert f"mmlu_anatomy: {task.shots} of 5 shots, the context is 512 tokens" in found.notes
    longest = max(len(judged.tokenizer(item.example.messages[0].content)["input_ids"]) for item in found.items)
    one_more = len(judged.tokenizer("What is" + long[0]["question"])["input_ids"])
    assert longest <= 512 < longest + 2 * one_more


def test_an_item_longer_than_the_context_is_counted_and_takes_no_shots_from_the_others(judged: Judged, data: Path):
    write_jsonl(data / "glue" / "sst2" / "validation.jsonl", [*SST2, {"sentence": "long " * 600, "label": 0}])
    found = _evaluate(judged, "sst2", data, shots=2)
    assert found.of_task("sst2").shots == 2 and found.of_task("sst2").truncated == 1
    assert "sst2: 1 items are longer than the context and lose their beginning" in found.notes


def test_shots_that_cannot_be_drawn(judged: Judged, data: Path):
    found = _evaluate(judged, "sst2,mrpc", data, shots=9)
    assert [task.shots for task in found.tasks] == [3, 0]  # lm-eval draws one more than it shows
    assert "sst2: 3 of 9 shots, there are no more than 3 rows to draw them from" in found.notes
    assert "mrpc: 0 of 9 shots, there are no labelled training rows to draw them from" in found.notes


def test_items_without_a_label_are_unscored_not_zero(judged: Judged, tmp_path: Path):
    rows = [{"question": "A man sits. then he", "answer": ["reads.", "sleeps.", "eats.", "runs."]}] * 2
    write_jsonl(tmp_path / "HellaSwag" / "test.jsonl", rows)
    write_jsonl(tmp_path / "sst2" / "validation.jsonl", [*SST2, {"sentence": "held back", "label": -1}])
    found = _evaluate(judged, "hellaswag,sst2", tmp_path)
    hellaswag, sst2 = found.tasks
    assert (hellaswag.items, hellaswag.unscored, dict(hellaswag.measures), hellaswag.majority) == (2, 2, {}, None)
    assert "hellaswag: 2 of 2 items are unscored, no label" in found.notes
    assert (sst2.items, sst2.unscored, sst2.measures["acc"].n, sst2.majority) == (6, 1, 5, 3 / 5)
    first, second = found.items[:2]
    assert first.values == {} and first.example.references == () and len(first.example.choices) == 4
    assert first.id != second.id  # rows that repeat are items of their own
    assert json.loads(json.dumps(found.as_json()))["groups"]["all"]["over_items"]["n"] == 5


def test_texts_are_scored_by_every_filter(judged: Judged, tmp_path: Path):
    write_jsonl(
        tmp_path / "gsm8k" / "train.jsonl", [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(3)]
    )
    found = _evaluate(judged, "gsm8k", tmp_path, shots=0, limit=2)
    (task,) = found.tasks
    assert set(task.measures) == {"exact_match,strict-match", "exact_match,flexible-extract"}
    assert task.main == "exact_match,strict-match" and task.items == 2 and task.majority is None
    assert all(isinstance(item.prediction, TextPrediction) for item in found.items)
    assert found.items[0].example.references == ("#### 1",)
    assert "gsm8k: there are no test rows in the folder; its train rows are asked" in found.notes


def test_a_stored_evaluation_is_not_asked_again(
    judged: Judged, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    first = _evaluate(judged, "sst2,mrpc", data, out=out)
    (folder,) = (out / folder_name("sst2,mrpc")).iterdir()
    assert folder.name == f"{folder_name(judged.name)}-{first.key[:8]}"
    assert len(read_items(folder)) == 9 and read_evaluation(folder) is not None
    with monkeypatch.context() as patch:
        patch.setattr("lm_eval.evaluate", None)  # asking would fail
        again = _evaluate(judged, "sst2,mrpc", data, out=out)
        assert again.as_json() == first.as_json() and again.items == first.items
        with pytest.raises(TypeError):
            _evaluate(judged, "sst2,mrpc", data, out=out, limit=2)
    write_jsonl(data / "glue" / "mrpc" / "validation.jsonl", MRPC[:3])
    assert _evaluate(judged, "sst2,mrpc", data, out=out).of_task("mrpc").items == 3
    assert read_evaluation(folder, first.key) is not None  # the other one lies beside it
    (folder / "items.jsonl").unlink()
    assert read_evaluation(folder, first.key) is None


def test_a_stopped_evaluation_goes_on_behind_the_tasks_that_are_done(
    judged: Judged, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, names = harness._samples, []

    def stopping(one: Any, *rest: Any) -> Any:
        names.append(one.asked.name)
        if names == ["sst2", "mrpc"]:
            raise KeyboardInterrupt
        return asked(one, *rest)

    whole = _evaluate(judged, "sst2,mrpc", data)
    monkeypatch.setattr(harness, "_samples", stopping)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(judged, "sst2,mrpc", data, out=tmp_path)
    found = _evaluate(judged, "sst2,mrpc", data, out=tmp_path)
    assert names == ["sst2", "mrpc", "mrpc"]
    assert (found.tasks, found.groups, found.items) == (whole.tasks, whole.groups, whole.items)
    (folder,) = (tmp_path / folder_name("sst2,mrpc")).iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["evaluation.json", "items.jsonl"]


def test_what_was_read_and_how_it_was_asked_is_stored(judged: Judged, data: Path, tmp_path: Path):
    _evaluate(judged, "sst2", data, out=tmp_path / "out", limit=3, shots=1)
    (folder,) = (tmp_path / "out" / "sst2").iterdir()
    stored = json.loads((folder / "evaluation.json").read_text())
    assert stored["files"] == [str(data / "glue" / "sst2" / f"{split}.jsonl") for split in ("train", "validation")]
    assert (stored["limit"], stored["chat_template"]) == (3, False)


def test_other_names_are_other_folders():
    names = ("a/b", "a-b", "a_b", "b.", "b", "./b", "微调", "全量", "/", "x" * 81, "x" * 82)
    assert len({folder_name(name) for name in names} | {folder_name("a", "b")}) == len(names) + 1
    assert folder_name("a_b-1.5") == "a_b-1.5"


def test_nothing_of_the_suite_in_the_folder(judged: Judged, data: Path, tmp_path: Path):
    with pytest.raises(LuthierError, match=r"nothing for boolq, cb, copa.*\n.*\n.*looked for boolq/validation.jsonl"):
        _evaluate(judged, "superglue", data)
    with pytest.raises(LuthierError, match="nothing for rte in the folder"):
        _evaluate(judged, "sst2,rte", data)


def test_without_a_hub_a_folder_is_asked_for(judged: Judged, monkeypatch: pytest.MonkeyPatch):
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LuthierError, match=r"the data of wnli cannot be had from the hub(.|\n)*--data FOLDER"):
        evaluate_suite(judged, "wnli")


@pytest.mark.parametrize(("given", "said"), [({"shots": -1}, "-1 shots"), ({"limit": 0}, "a limit of 0")])
def test_numbers_that_mean_nothing(judged: Judged, data: Path, given: dict[str, int], said: str):
    with pytest.raises(LuthierError, match=said):
        _evaluate(judged, "sst2", data, **given)


def test_a_definition_that_cannot_be_loaded(judged: Judged, data: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(*_: object, **__: object) -> None:
        raise ImportError("No module named 'something'")

    monkeypatch.setattr("lm_eval.tasks._factory.TaskFactory.build", missing)
    with pytest.raises(LuthierError, match="sst2: lm-eval's definition cannot be loaded: No module named 'something'"):
        _evaluate(judged, "sst2", data)
    with pytest.raises(LuthierError, match="definitions of the tasks that there are rows for cannot be loaded"):
        _evaluate(judged, "glue", data)
