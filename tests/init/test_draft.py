"""`luthier init` on made-up files: what it takes for what, and that its study loads as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.init.draft import Options, draft_study
from luthier.study import Study
from tests.init.conftest import words

Draft = Callable[..., dict[str, Any]]
Table = Callable[..., Path]
ROWS = 120
TEXTS = [words(8, seed) for seed in range(ROWS)]
LONG = [words(40, seed) for seed in range(ROWS)]
OTHERS = [words(8, seed + 1000) for seed in range(ROWS)]
SIGNS = [str(seed % 2) for seed in range(ROWS)]
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def test_labels_become_choices(table: Table, drafted: Draft):
    task = drafted(table(id=range(ROWS), review=TEXTS, sentiment=["good", "bad", "bad"] * (ROWS // 3)))
    assert task["choices"] == ["bad", "good"] and task["reference"] == "{{ sentiment }}"
    assert task["prompt"] == "Which sentiment fits this review: bad or good?\n\n{{ review }}\n\nSentiment:"
    assert task["metrics"] == ["accuracy", "nll"] and task["primary"] == "accuracy" and "generation" not in task
    assert "always saying 'bad', the commonest, is right in 67% of the rows" in task["text"]
    assert task["study"]["seeds"] == [0, 1, 2] and task["study"]["reference"] == "zero_shot"


def test_the_study_can_be_planned_as_it_stands(table: Table):
    draft_study(table(text=TEXTS, label=SIGNS), Options())
    planned = Study.load("data.yaml").plan(device="cpu", check_lengths=False)
    assert {run.arm.name for run in planned.runs} >= {"zero_shot", "few_shot", "lora"}
    assert {split: len(examples) for split, examples in planned.tasks["data"].splits.items()} == {
        "train": 72, "validation": 12, "test": 36,
    }  # fmt: skip


def test_numbers_as_labels_are_kept_and_it_says_so(table: Table, drafted: Draft):
    task = drafted(table(sentence=TEXTS, label=SIGNS))
    assert task["choices"] == ["0", "1"] and task["reference"] == "{{ label }}"
    assert "The labels are numbers, kept as they are." in task["text"]
    assert "{{ ['name of 0', 'name of 1'][label | int] }}" in task["text"]


def test_the_label_as_a_word_is_preferred_and_its_number_is_not_told(table: Table, drafted: Draft):
    task = drafted(table(text=TEXTS, label=SIGNS, label_text=["bad", "good"] * (ROWS // 2)))
    assert task["reference"] == "{{ label_text }}"
    assert task["prompt"] == "Which label fits this text: bad or good?\n\n{{ text }}\n\nLabel:"


def test_many_labels_are_written(table: Table, drafted: Draft):
    labels = [f"reason_{chr(97 + seed % 24)}" for seed in range(ROWS)]
    task = drafted(table(text=TEXTS, category=labels))
    assert "choices" not in task and task["metrics"] == ["exact_match", "nll"]
    assert 2 < task["generation"]["max_new_tokens"] < 16


def test_pairs(table: Table, drafted: Draft):
    task = drafted(table(index=range(ROWS), label=SIGNS, sentence1=TEXTS, sentence2=OTHERS))
    assert "Sentence 1: {{ sentence1 }}\nSentence 2: {{ sentence2 }}\n\nLabel:" in task["prompt"]


def test_a_question_follows_its_context(table: Table, drafted: Draft):
    passages = [LONG[seed // 4] for seed in range(ROWS)]
    task = drafted(table(question=TEXTS, passage=passages, answer=OTHERS))
    assert task["prompt"].startswith("Answer the question.\n\nPassage: {{ passage }}\n\nQuestion: {{ question }}")
    assert task["metrics"] == ["rouge", "nll"] and task["source"] == "{{ passage }}"
    assert task["cluster"] == "{{ passage[:100] }}"


def test_numeric_answers_and_what_tells_them(tmp_path: Path, drafted: Draft):
    rows = [
        {"ID": f"chal-{seed}", "Question": TEXTS[seed], "Equation": f"( {seed} + 1.0 )", "Answer": seed + 1.0}
        for seed in range(ROWS)
    ]
    (tmp_path / "sums.json").write_text(json.dumps(rows), encoding="utf-8")
    task = drafted(Path("sums.json"))
    assert task["reference"] == "{{ Answer | int }}" and "Equation" not in task["prompt"]
    assert task["metrics"] == [{"exact_match": {"strict": True}}, "nll"]


def test_a_metric_of_the_whole_test_set_stands_beside_one_of_each_example(table: Table, drafted: Draft):
    task = drafted(table(text=TEXTS, label=["good", "bad"] * (ROWS // 2)), metric="f1")
    assert task["metrics"] == ["accuracy", "f1", "nll"] and task["primary"] == "accuracy" and "generation" not in task


def test_numbers_may_be_judged_by_their_correlation(tmp_path: Path, drafted: Draft):
    rows = [{"question": TEXTS[seed], "answer": 1.5 * seed} for seed in range(ROWS)]
    (tmp_path / "sums.json").write_text(json.dumps(rows), encoding="utf-8")
    task = drafted(Path("sums.json"), metric="correlation")
    assert task["metrics"] == ["correlation", "nll"] and task["primary"] == "squared_error"
    assert task["generation"]["max_new_tokens"] > 0  # a number is written


def test_translations(table: Table, drafted: Draft):
    task = drafted(table(de=OTHERS, en=TEXTS))
    assert task["prompt"] == "Translate into German.\n\n{{ en }}\n\nGerman:" and task["primary"] == "chrf"


def test_options_of_each_row(table: Table, drafted: Draft):
    options = {f"choice{place}": [words(3, 10_000 * place + seed) for seed in range(ROWS)] for place in range(3)}
    task = drafted(table(question=TEXTS, **options, answer=[seed % 3 for seed in range(ROWS)]))
    assert task["reference"] == "{{ [choice0, choice1, choice2][answer | int] }}"
    assert task["choices"] == ["{{ choice0 }}", "{{ choice1 }}", "{{ choice2 }}"]
    assert task["metrics"][0] == {"accuracy": {"normalise": "bytes"}}


def test_odd_names_and_braces(table: Table, drafted: Draft):
    columns = {"Review Text": TEXTS, 'Is it "good"?': ["{{ yes }}", "{% no"] * (ROWS // 2)}
    task = drafted(table(**columns))
    assert '{{ row["Review Text"] }}' in task["prompt"]
    assert task["reference"] == '{{ row["Is it \\"good\\"?"] }}'


def test_a_folder_with_splits(table: Table, tmp_path: Path, drafted: Draft):
    (tmp_path / "set").mkdir()
    for split in ("train", "dev", "test"):
        table(f"set/{split}.csv", text=[f"{split} {text}" for text in TEXTS], label=SIGNS)
    table("set/notes_on_train.csv", remark=TEXTS, count=SIGNS)
    assert drafted(Path("set"))["data"] == {
        "train": "set/train.csv", "validation": "set/dev.csv", "test": "set/test.csv",
    }  # fmt: skip


def test_a_test_set_without_answers_gives_way(table: Table, tmp_path: Path, drafted: Draft):
    (tmp_path / "set").mkdir()
    for split, labels in (("train", SIGNS), ("validation", SIGNS), ("test", ["-1"] * ROWS)):
        table(f"set/{split}.csv", text=[f"{split} {text}" for text in TEXTS], label=labels)
    task = drafted(Path("set"))
    assert task["data"] == {"train": "set/train.csv", "test": "set/validation.csv"}
    assert task["choices"] == ["0", "1"]
    assert "set/test.csv has no answers" in task["text"]


def test_few_rows_get_fewer_arms(table: Table, drafted: Draft):
    task = drafted(table(text=TEXTS[:40], label=SIGNS[:40]))
    assert task["study"]["arms"] == ["zero_shot", {"few_shot": {"shots": 4}}, "lora"]
    assert task["split"]["test"] == 0.3 and "too few for soft prompts" in task["text"]


def test_bad_rows_are_counted_and_the_commands_skip_them(table: Table, drafted: Draft):
    text = drafted(table(text=["", *TEXTS[1:]], label=[*SIGNS[:-1], ""]))["text"]
    assert "cannot be read: 2;" in text and "study.yaml --skip-bad-rows --dry-run" in text


def test_flags_decide(table: Table, drafted: Draft):
    path = table(first=TEXTS, second=OTHERS, third=LONG, label=SIGNS, answer=["x", "y"] * (ROWS // 2))
    task = drafted(path, answer="answer", inputs=["third"], metric="exact_match")
    assert task["reference"] == "{{ answer }}" and "{{ third }}" in task["prompt"] and "first" not in task["prompt"]
    assert task["primary"] == "exact_match" and task["generation"]["max_new_tokens"] >= 2


def test_it_asks_where_it_cannot_tell(table: Table, tmp_path: Path):
    asked = []

    def ask(question: str, options: list[str], default: int) -> int:
        asked.append(options)
        return 1

    path = table(text=TEXTS, label=SIGNS, answer=["x", "y", "z"] * (ROWS // 3))
    text = draft_study(path, Options(), ask).text
    assert asked == [["label (2 labels: 0, 1)", "answer (3 labels: x, y, z)"]]
    assert 'reference: "{{ answer }}"' in text and (tmp_path / "data.yaml").read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside the repository")
@pytest.mark.parametrize(
    ("data", "primary"), [("glue/sst2", "accuracy"), ("banking77", "exact_match"), ("dialogsum", "rougeL")]
)
def test_real_data(data: str, primary: str, drafted: Draft):
    assert drafted(SHARED / data)["primary"] == primary
