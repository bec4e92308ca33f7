"""What a benchmark may meet: answers that are no numbers, rows that cannot be read, runs that prompt otherwise."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.suites import harness
from luthier.suites.evaluation import group_results, measured, read_evaluation
from luthier.suites.harness import evaluate_suite
from luthier.suites.items import read_items
from luthier.suites.judged import Judged, load_judged
from luthier.suites.side_by_side import side_by_side
from tests.suites.small_benchmarks import MMLU, MRPC, SST2, write_jsonl, write_mmlu
from tests.tiny import CHATML, tiny_model, tiny_tokenizer

SIQA = {"context": "Ben fell.", "question": "?", "answerA": "a", "answerB": "b", "answerC": "c"}
OPENBOOKQA = {"question_stem": "?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}}
WINOGRANDE = {"sentence": "The _ is.", "option1": "a", "option2": "b"}
COPA = {"premise": "It rains.", "choice1": "a.", "choice2": "b.", "label": 0}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return load_judged(str(tiny_model("llama", tmp_path_factory.mktemp("model") / "m", context=512)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_jsonl(folder / "sst2" / "validation.jsonl", SST2)
    write_jsonl(folder / "sst2" / "train.jsonl", SST2[:4])
    write_jsonl(folder / "mrpc" / "validation.jsonl", MRPC)
    return folder


def test_an_answer_that_is_no_number_is_unscored(
    judged: Judged, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from luthier.suites.harness_model import HarnessModel

    rated = HarnessModel.loglikelihood

    def numberless(self: Any, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return [(math.nan, False), *rated(self, requests)[1:]]

    monkeypatch.setattr(HarnessModel, "loglikelihood", numberless)
    found = evaluate_suite(judged, "sst2", data=data, out=tmp_path / "out")
    (task,) = found.tasks
    assert (task.items, task.unscored, task.numberless, task.measures["acc"].n) == (5, 1, 1, 4)
    assert found.items[0].values == {}
    assert "sst2: 1 of 5 items are unscored, the model gave no number (NaN)" in found.notes
    stored = evaluate_suite(judged, "sst2", data=data, out=tmp_path / "out")
    assert stored.tasks == found.tasks and stored.notes == found.notes
    monkeypatch.setattr(HarnessModel, "loglikelihood", lambda self, requests, **_: [(math.nan, False)] * len(requests))
    assert not evaluate_suite(judged, "sst2", data=data).of_task("sst2").measures


def test_a_measure_that_is_no_mean_is_of_no_item(judged: Judged, tmp_path: Path):
    write_jsonl(tmp_path / "lambada_openai" / "test.jsonl", [{"text": "the dog sleeps"}, {"text": "Ben owns cats"}])
    found = evaluate_suite(judged, "lambada_openai", data=tmp_path)
    (task,) = found.tasks
    assert task.main == "perplexity" and task.measures["perplexity"].mean > 1
    assert all(set(item.values) == {"acc"} for item in found.items)
    (compared,) = side_by_side([found, replace(found, model="other")])
    assert math.isnan(compared.difference) and compared.n == 0


def test_items_keep_their_question_without_shots(judged: Judged, tmp_path: Path):
    write_mmlu(tmp_path, "anatomy", "test", MMLU[5:])
    write_mmlu(tmp_path, "anatomy", "dev", MMLU[:3])
    found = evaluate_suite(judged, "mmlu_anatomy", data=tmp_path, shots=2, out=tmp_path / "out")
    (folder,) = (tmp_path / "out" / "mmlu_anatomy").iterdir()
    for item, row in zip(read_items(folder), MMLU[5:], strict=True):
        assert item.question is not None and item.question.startswith(row["question"])
        assert item.example.messages[0].content.endswith(item.question)
    assert [item.question for item in found.items] == [item.question for item in read_items(folder)]


@pytest.mark.parametrize(
    ("task", "rows", "where"),
    [
        ("social_iqa", [{**SIQA, "label": "1"}, {**SIQA, "label": "4"}], "validation.jsonl:2"),
        ("openbookqa", [{**OPENBOOKQA, "answerKey": key} for key in "ABE"], "validation.jsonl:3"),
        ("winogrande", [{**WINOGRANDE, "answer": answer} for answer in "13"], "validation.jsonl:2"),
        ("copa", [{**COPA, "question": question} for question in ("cause", "why")], "validation.jsonl:2"),
    ],
)
def test_rows_that_the_definition_cannot_read_are_refused_with_their_place(
    judged: Judged, tmp_path: Path, task: str, rows: list[dict[str, Any]], where: str
):
    write_jsonl(tmp_path / task / "validation.jsonl", rows)
    with pytest.raises(LuthierError) as refused:
        evaluate_suite(judged, task, data=tmp_path)
    assert where in str(refused.value)


def test_shots_that_the_definition_cannot_read(judged: Judged, data: Path):
    write_jsonl(data / "copa" / "validation.jsonl", [{**COPA, "question": "cause"}])
    write_jsonl(data / "copa" / "train.jsonl", [{**COPA, "question": one} for one in ("effect", "cause", "why")])
    with pytest.raises(LuthierError, match=r"train\.jsonl:3"):
        evaluate_suite(judged, "copa", data=data, shots=1)
    assert evaluate_suite(judged, "copa", data=data, shots=0).of_task("copa").items == 1


def test_a_text_with_nothing_to_match_is_unscored(judged: Judged, tmp_path: Path):
    write_jsonl(tmp_path / "gsm8k" / "test.jsonl", [{"question": "1 + 1?", "answer": text} for text in ("", "#### 2")])
    (task,) = evaluate_suite(judged, "gsm8k", data=tmp_path, shots=0).tasks
    assert (task.items, task.unscored, task.measures[task.main].n) == (2, 1, 1)


def test_no_shots_are_drawn_from_what_is_asked(judged: Judged, tmp_path: Path):
    write_jsonl(tmp_path / "gsm8k" / "train.jsonl", [{"question": f"{n}?", "answer": f"#### {n}"} for n in range(4)])
    found = evaluate_suite(judged, "gsm8k", data=tmp_path, shots=2, limit=1)
    assert found.tasks[0].shots == 0
    assert "gsm8k: 0 of 2 shots, there are no labelled training rows to draw them from" in found.notes


def test_answers_that_would_fill_the_context_are_shorter(data: Path, tmp_path: Path):
    small = load_judged(str(tiny_model("llama", tmp_path / "small", context=64)))
    write_jsonl(data / "gsm8k" / "test.jsonl", [{"question": "1 + 1?", "answer": "#### 2"}])
    found = evaluate_suite(small, "sst2,gsm8k", data=data, shots=0)
    assert [task.name for task in found.tasks] == ["sst2", "gsm8k"]
    assert "gsm8k: answers have at most 32 of 256 tokens, the context is 64" in found.notes


def test_a_task_that_cannot_be_asked_leaves_the_others(judged: Judged, data: Path, monkeypatch: pytest.MonkeyPatch):
    asked = harness._samples

    def refusing(one: Any, *rest: Any) -> Any:
        if one.asked.name == "mrpc":
            raise LuthierError("num_beams: this way of decoding is not known")
        return asked(one, *rest)

    monkeypatch.setattr(harness, "_samples", refusing)
    found = evaluate_suite(judged, "sst2,mrpc", data=data)
    assert [task.name for task in found.tasks] == ["sst2"]
    assert "mrpc is left out: num_beams: this way of decoding is not known" in found.notes
    with pytest.raises(LuthierError, match="num_beams"):
        evaluate_suite(judged, "mrpc", data=data)


def test_a_runs_prompting_is_said_or_refused(judged: Judged, data: Path):
    found = evaluate_suite(replace(judged, trained="lora", prompting="few_shot"), "sst2", data=data)
    assert any("asks it by few_shot" in note for note in found.notes)
    assert not evaluate_suite(replace(judged, prompting="zero_shot"), "sst2", data=data).notes
    with pytest.raises(LuthierError, match="trains nothing"):
        evaluate_suite(replace(judged, prompting="few_shot"), "sst2", data=data)


def test_prompts_in_the_models_own_turns(judged: Judged, data: Path, tmp_path: Path):
    tokenizer = tiny_tokenizer(template=CHATML)
    chat = load_judged(str(tiny_model("llama", tmp_path / "chat", context=512, tokenizer=tokenizer)))
    found = evaluate_suite(chat, "sst2", data=data, shots=1, chat_template=True)
    prompt = found.items[0].example.messages[0].content
    assert prompt.count("<|im_start|>user") == 2 and str(found.items[0].question) in prompt
    assert found.key != evaluate_suite(chat, "sst2", data=data, shots=1).key
    plain = evaluate_suite(chat, "sst2", data=data)
    assert plain.notes == (
        f"{chat.name}: it has a chat template, and is asked in plain text; --chat-template asks by the template",
    )
    assert found.chat_template and not found.notes and not plain.chat_template
    with pytest.raises(LuthierError, match="no chat template"):
        evaluate_suite(judged, "sst2", data=data, chat_template=True)


def test_items_that_share_a_text_are_drawn_together_in_a_group(judged: Judged, data: Path):
    found = evaluate_suite(judged, "sst2,mrpc", data=data)
    shared = [
        replace(item, example=replace(item.example, cluster=f"text {place // 3}"), values={"acc": float(place < 6)})
        for place, item in enumerate(found.items)
    ]
    (group,) = group_results(found.tasks, shared)
    values, clusters = [item.values["acc"] for item in shared], [item.example.cluster for item in shared]
    assert group.over_items == measured(values, clusters) != measured(values)


def test_a_quantised_model_is_another_one(judged: Judged, data: Path, tmp_path: Path):
    evaluate_suite(replace(judged, quantisation="nf4"), "sst2", data=data, out=tmp_path / "out")
    evaluate_suite(judged, "sst2", data=data, out=tmp_path / "out")
    stored = [read_evaluation(folder) for folder in (tmp_path / "out" / "sst2").iterdir()]
    assert {one.quantisation for one in stored if one} == {"nf4", None}


def test_the_harness_model_goes_with_its_last_name(judged: Judged):
    from luthier.suites.harness_model import HarnessModel

    lm = HarnessModel(judged)
    lm.tok_encode("The dog")
    left = weakref.ref(lm)
    del lm
    assert left() is None
