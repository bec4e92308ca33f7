"""Studies on encoders, from the file to the report: classes, tags, what cannot be asked, what is learnt."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.store import Store
from luthier.core.types import ClassPrediction, Result, TagsPrediction
from luthier.study import Study
from luthier.study_file import StudySpec
from tests.models.encoders import tiny_encoder

PRAISE, BLAME = ("lovely", "splendid", "warm", "tasty"), ("awful", "cold", "dirty", "bland")
THINGS = ("soup", "room", "bread", "garden", "train", "concert")
LEARNING = {"name": "full", "method": "full", "learning_rate": 2e-3, "steps": 120}
"""An arm that trains long enough to learn; random weights need a higher rate than pretrained ones."""
NAMES, SURNAMES = ("anna", "ben", "carla", "dora"), ("smith", "miller", "baker")


def reviews(count: int, seed: int) -> list[dict[str, Any]]:
    """One word of each gives its label away."""
    stream = random.Random(seed)
    rows = []
    for number in range(count):
        label = ("good", "bad")[number % 2]
        word = stream.choice(PRAISE if label == "good" else BLAME)
        first, second = stream.sample(THINGS, 2)
        rows.append({"text": f"the {first} was {word} , and the {second} number {seed + number} too", "label": label})
    return rows


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """A name is an entity, of one word or two: a tagger that learns words can do it, and so can the majority's."""
    stream = random.Random(seed)
    rows = []
    for number in range(count):
        named = [stream.choice(NAMES), stream.choice(SURNAMES)][: 1 + number % 2]
        words = ["the", stream.choice(THINGS), "of", str(seed + number), "is", "called", *named]
        tags = ["O"] * 6 + ["B-name", "I-name"][: len(named)]
        rows.append({"words": words, "tags": tags})
    return rows


def files(folder: Path, rows: Any) -> dict[str, str]:
    counts = {"train": (96, 0), "validation": (16, 1000), "test": (40, 2000)}
    for split, (count, seed) in counts.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows(count, seed))
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return {split: str(folder / f"{split}.jsonl") for split in counts}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("encoder_study")
    texts = [row["text"] for row in reviews(200, 0)] + [" ".join(row["words"]) for row in sentences(200, 0)]
    made: dict[str, Any] = {
        family: str(tiny_encoder(family, folder / family, texts=texts, vocab_size=500))  # type: ignore[arg-type]
        for family in ("bert", "roberta")
    }
    for name, rows in (("reviews", reviews), ("sentences", sentences)):
        (folder / name).mkdir()
        made[name] = files(folder / name, rows)
    return made


def classes(places: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "reviews", "data": places["reviews"], "prompt": "{{ text }}", "reference": "{{ label }}",
        "choices": ["good", "bad"], "metrics": ["accuracy", "f1", "matthews", "nll", "bits_per_byte"],
        "primary": "accuracy",
    }  # fmt: skip


def tags(places: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "names", "data": places["sentences"], "tagging": {}, "metrics": ["entity_f1", "tag_accuracy"],
        "primary": "entity_f1",
    }  # fmt: skip


def study(models: Sequence[str], task: dict[str, Any], **changes: Any) -> Study:
    data = {
        "name": "small", "models": list(models), "tasks": [task], "arms": ["full"], "seeds": [0],
        "training": {"steps": 2, "batch_size": 8, "validations": 1}, "forgetting": True, **changes,
    }  # fmt: skip
    return Study(read(StudySpec, data, "study.yaml"))


def results(done: Study) -> dict[tuple[str, str], Result]:
    for result in done.results:
        assert result.status == "finished", result.error
    return {(Path(result.model).name, result.arm): result for result in done.results}


def test_classes_are_learnt_and_reported(places: dict[str, Any], tmp_path: Path) -> None:
    arms = [LEARNING, "lora", "adapter"]
    done = study([places["bert"]], classes(places), arms=arms).run(tmp_path / "out", device="cpu")
    found = results(done)
    assert {arm for _, arm in found} == {
        *("full", "lora", "adapter", "majority", "best_constant", "nearest", "full from random weights")
    }
    full, majority = found["bert", "full"], found["bert", "majority"]
    assert majority.scores["accuracy"] == 0.5 and majority.scores["f1"] == pytest.approx(1 / 3)
    assert full.scores["accuracy"] > 0.9 and full.scores["f1"] > 0.9 and full.scores["matthews"] > 0.8
    assert full.scores["nll"] < 0.3
    assert {"f1", "matthews"} < set(found["bert", "nearest"].scores)
    assert full.effective["labels"] == ["good", "bad"] and full.effective["kind"] == "encoder"
    store = Store(tmp_path / "out")
    assert store.study()["reference"] == "majority"
    predictions = store.step("predict", str(full.predict_key)).predictions()
    assert len(predictions) == 40
    for one in predictions:
        assert isinstance(one, ClassPrediction) and one.text == ("good", "bad")[one.label]
    page = done.report()
    text = (page.parent / "report.md").read_text(encoding="utf-8")
    assert "f1" in text and "an encoder neither writes nor rates texts" in text
    assert "awful" in page.read_text(encoding="utf-8")
    entry = json.loads((page.parent / "results.json").read_text(encoding="utf-8"))["arms"]
    assert {"accuracy", "f1", "matthews", "nll"} <= set(entry[0]["scores"])


def test_a_finished_study_is_not_done_again_and_gives_the_same(places: dict[str, Any], tmp_path: Path) -> None:
    small = {"arms": ["lora"], "controls": False, "baselines": False}
    first = study([places["roberta"]], classes(places), **small).run(tmp_path / "one", device="cpu")
    again = study([places["roberta"]], classes(places), **small).run(tmp_path / "one", device="cpu")
    other = study([places["roberta"]], classes(places), **small).run(tmp_path / "two", device="cpu")
    assert results(first) == results(again)
    assert [one.scores for one in first.results] == [one.scores for one in other.results]


def test_tags_are_learnt_and_reported(places: dict[str, Any], tmp_path: Path) -> None:
    arms = [LEARNING, "lora", "adapter", "prompt_tuning"]
    done = study([places["roberta"]], tags(places), arms=arms).run(tmp_path / "out", device="cpu")
    found = results(done)
    assert {arm for _, arm in found} == {*(one if isinstance(one, str) else "full" for one in arms), "majority"} | {
        "full from random weights"
    }
    full, majority = found["roberta", "full"], found["roberta", "majority"]
    assert majority.scores["micro_f1"] == 1.0 and full.scores["micro_f1"] > 0.9
    assert {"micro_precision", "micro_recall", "tag_accuracy"} <= set(full.scores)
    assert full.effective["labels"] == ["O", "B-name", "I-name"]
    predictions = Store(tmp_path / "out").step("predict", str(full.predict_key)).predictions()
    asked = sentences(40, 2000)
    assert [len(one.tags) for one in predictions if isinstance(one, TagsPrediction)] == [
        len(row["words"]) for row in asked
    ]
    assert "entity_f1" in done.report().read_text(encoding="utf-8")


@pytest.mark.slow
def test_one_file_serves_a_decoder_and_an_encoder(places: dict[str, Any], decoder: Path, tmp_path: Path) -> None:
    arms = ["full"]
    task = {**classes(places), "generation": {"max_new_tokens": 4}}
    done = study([places["bert"], str(decoder)], task, arms=arms, controls=False).run(tmp_path / "out", device="cpu")
    found = results(done)
    for model in ("bert", "decoder"):
        assert {"accuracy", "f1", "nll"} <= set(found[model, "full"].scores)
    assert done.report().exists()


def test_trials_choose_a_rate_on_validation(places: dict[str, Any], tmp_path: Path) -> None:
    small = {"arms": ["lora"], "controls": False, "baselines": False, "trials": 2}
    done = study([places["bert"]], classes(places), **small).run(tmp_path / "out", device="cpu")
    assert len(results(done)) == 1
    (choice,) = Store(tmp_path / "out").study()["choices"]
    assert [one["status"] for one in choice["tried"]] == ["finished", "finished"]


def test_an_encoder_is_suggested_rates_of_its_own(places: dict[str, Any]) -> None:
    runs = study([places["bert"]], classes(places)).plan(device="cpu").runs
    assert runs[0].arm.trained[0].training.learning_rate == 3e-4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": ["zero_shot", "full", "few_shot"]}, "no answer before it is trained: zero_shot, few_shot"),
        ({"task": {"choices": []}}, "asks for free text"),
        ({"task": {"choices": ["good", "bad", "{{ text }}"]}}, "not the same choices"),
        ({"task": {"metrics": ["exact_match", "accuracy"], "primary": "exact_match"}}, "exact_match judges no classes"),
        ({"task": {"metrics": ["accuracy", "rouge"]}}, "rouge judges no classes"),
    ],
)
def test_what_an_encoder_cannot_be_asked(places: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    task = {**classes(places), **changes.pop("task", {})}
    with pytest.raises(LuthierError, match=said) as refused:
        study([places["bert"]], task, **changes).plan(device="cpu")
    assert refused.value.mend


def test_what_a_tagging_cannot_be(places: dict[str, Any], decoder: Path, tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no encoder"):
        study([str(decoder)], tags(places)).plan(device="cpu")
    arm = {"name": "asked", "prompting": "few_shot", "method": "lora"}
    with pytest.raises(LuthierError, match="nothing to prompt with"):
        study([places["bert"]], tags(places), arms=[arm]).plan(device="cpu")

    with pytest.raises(LuthierError, match="nearest, best_constant: where words are tagged"):
        study([places["bert"]], tags(places), arms=["full", "nearest", "best_constant", "majority"]).plan(device="cpu")

    def parts_of_speech(count: int, seed: int) -> list[dict[str, Any]]:
        return [{**row, "tags": ["NOUN"] * len(row["words"])} for row in sentences(count, seed)]

    for metric in ("rouge", "correlation", "nll"):
        with pytest.raises(LuthierError, match=f"{metric} judges no tags"):
            study([places["bert"]], {**tags(places), "metrics": ["entity_f1", metric]})

    with pytest.raises(LuthierError, match="'NOUN' is no entity's tag"):
        study([places["bert"]], {**tags(places), "data": files(tmp_path, parts_of_speech)}).plan(device="cpu")


def test_a_measure_of_the_whole_test_set_cannot_compare_arms(places: dict[str, Any]) -> None:
    with pytest.raises(LuthierError, match="of the whole test set"):
        study([places["bert"]], {**classes(places), "primary": "f1"})


def test_texts_beyond_the_context_are_refused_or_left_out(places: dict[str, Any], tmp_path: Path) -> None:
    def with_a_long_one(count: int, seed: int) -> list[dict[str, Any]]:
        return [*reviews(count, seed), {"text": "the soup was cold " * 100, "label": "bad"}]

    task = {**classes(places), "data": files(tmp_path, with_a_long_one)}
    with pytest.raises(LuthierError, match="longer than the context"):
        study([places["bert"]], task).plan(device="cpu")
    left = study([places["bert"]], task).plan(device="cpu", skip_bad_rows=True)
    assert [len(run.left_out) for run in left.runs] == [1] * len(left.runs)


def test_virtual_tokens_take_their_room(places: dict[str, Any], tmp_path: Path) -> None:
    def full_rows(count: int, seed: int) -> list[dict[str, Any]]:
        return [*reviews(count, seed), {"text": "soup " * 120, "label": "bad"}]

    task = {**classes(places), "data": files(tmp_path, full_rows)}
    assert study([places["bert"]], task).plan(device="cpu").runs
    with pytest.raises(LuthierError, match="longer than the context"):
        study([places["bert"]], task, arms=["prompt_tuning"]).plan(device="cpu")
