"""A benchmark in pretraining text: what is found where, what is dirty, and the scores apart."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from luthier.core.errors import LuthierError
from luthier.core.statistics import Interval
from luthier.core.store import write_json
from luthier.core.types import Example, Message, TextPrediction
from luthier.core.unpaired import unpaired_difference
from luthier.core.wilson import wilson
from luthier.suites import corpus_pass
from luthier.suites.items import Item, write_items
from luthier.suites.leak_scores import scores_apart
from luthier.suites.leaks import FILE, find_leaks_of
from luthier.suites.leaks_table import print_leaks
from luthier.suites.pretraining_leaks import RULES, Found, find_in_pretraining
from luthier.tasks.corpus import SourceSettings

ANY, MOST, NEAR = RULES
VOCABULARY = [f"{first}{last}" for first in "bcdfghklmnprstvw" for last in ("alo", "emi", "iro", "ona", "usu", "ake")]


def text(seed: int, words: int) -> str:
    """Words in a random order: no two texts share eight in a row."""
    return " ".join(random.Random(seed).choices(VOCABULARY, k=words))


def hash_of(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


HELD_OUT = next(words for number in count(1000) if hash_of(words := text(number, 30)).startswith("000"))
"""A document that comes first by its hash, and so is the one held out."""


def example(name: str, prompt: str, answer: str = "", task: str = "quiz") -> Example:
    return Example(id=name, messages=(Message("user", prompt),), references=(answer,), task=task)


def corpus(folder: Path, documents: Sequence[str], held_out_bytes: int = 1) -> dict[str, SourceSettings]:
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": one}) + "\n" for one in documents), encoding="utf-8")
    settings = {"data": [str(path)], "text": ["{{ text }}"], "weight": 1.0, "licence": "none"}
    return {"books": SourceSettings(**settings, held_out_bytes=held_out_bytes)}


def found_of(folder: Path, examples: Sequence[Example], documents: Sequence[str]) -> dict[str, Found]:
    """What is found where all of these documents are trained on."""
    found = find_in_pretraining(examples, corpus(folder, [*documents, HELD_OUT]))
    return {one.id: one for one in found.items}


@pytest.fixture(params=[10, 250_000])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part for every document, and one for all."""
    monkeypatch.setattr(corpus_pass, "TOKENS_AT_ONCE", request.param)


@pytest.mark.usefixtures("parts")
class TestWhatIsFound:
    def test_a_copy_a_quotation_and_nothing(self, tmp_path: Path) -> None:
        whole, other, clean = text(1, 40), text(2, 60), text(3, 40)
        quoted = " ".join(other.split()[10:25])
        documents = [f"{text(4, 50)} {whole.upper()}! {text(5, 50)}", f"{text(6, 50)}, {quoted}. {text(7, 50)}"]
        found = found_of(tmp_path, [example("a", whole), example("b", other), example("c", clean)], documents)
        assert (found["a"].share, found["a"].share_of_8, found["a"].similarity) == (1.0, 1.0, 1.0)
        assert found["a"].near is not None and found["a"].near.text == whole
        assert found["b"].n == 13
        assert found["b"].share == pytest.approx(3 / 48) and found["b"].share_of_8 == pytest.approx(8 / 53)
        place = found["b"].longest
        assert place is not None and place.source == "books"
        assert (place.text, place.document) == (quoted, f"{tmp_path}/corpus.jsonl:2")
        assert (found["c"].share, found["c"].longest, found["c"].near) == (0.0, None, None)
        assert [found[name].dirty(ANY) for name in "abc"] == [True, True, False]
        assert [found[name].dirty(MOST) for name in "abc"] == [True, False, False]
        assert [found[name].dirty(NEAR) for name in "abc"] == [True, False, False]

    def test_an_edited_copy_is_near_and_no_more(self, tmp_path: Path) -> None:
        words = text(1, 60).split()
        edited = ["other" if n % 7 == 3 else word for n, word in enumerate(words)]  # no run of eight is left
        found = found_of(tmp_path, [example("a", " ".join(words))], [" ".join([text(2, 80), *edited, text(3, 80)])])
        assert [found["a"].dirty(rule) for rule in RULES] == [False, False, True]
        assert found["a"].similarity == pytest.approx(51 / 60)

    def test_a_run_that_crosses_two_documents_is_none(self, tmp_path: Path) -> None:
        words = text(1, 14).split()
        found = found_of(tmp_path, [example("a", " ".join(words))], [" ".join(words[:7]), " ".join(words[7:])])
        assert found["a"].share_of_8 == 0.0

    def test_the_right_answer_belongs_to_the_item(self, tmp_path: Path) -> None:
        asked, answer = text(1, 6), text(2, 6)
        found = found_of(tmp_path, [example("a", asked, answer), example("b", asked)], [f"{asked} {answer}"])
        assert (found["a"].share, found["b"].share) == (1.0, None)
        assert [found["b"].dirty(rule) for rule in RULES] == [None, None, None]  # too short to tell


def test_sayings_are_ignored_by_the_first_rule_alone(tmp_path: Path) -> None:
    saying = text(1, 8)
    asked = [example("a", saying)]
    assert found_of(tmp_path, asked, [f"{saying} {text(20 + n, 9)}" for n in range(10)])["a"].dirty(ANY) is True
    found = found_of(tmp_path, asked, [f"{saying} {text(20 + n, 9)}" for n in range(11)])["a"]
    assert (found.dirty(ANY), found.share, found.dirty(MOST)) == (False, 0.0, True)


def test_a_tasks_wording_is_no_leak_and_each_task_has_its_own_n(tmp_path: Path) -> None:
    wording = text(1, 12)
    quiz = [example(f"q{n}", f"{wording} {text(50 + n, 9)}") for n in range(8)]
    long = [example(f"p{n}", text(80 + n, 30), task="passages") for n in range(3)]
    found = found_of(tmp_path, [*quiz, *long], [wording])
    assert {found[one.id].n for one in quiz} == {9} and {found[one.id].n for one in long} == {13}
    assert {found[one.id].words for one in quiz} == {9}
    assert not any(one.dirty(rule) for one in found.values() for rule in RULES)


def test_held_out_documents_were_not_trained_on(tmp_path: Path) -> None:
    documents = [text(number, 40) for number in range(4)]
    asked = [example(str(number), one) for number, one in enumerate(documents)]
    settings = corpus(tmp_path, documents, held_out_bytes=300)  # two of about 250 bytes
    found = find_in_pretraining(asked, settings)
    assert sorted(one.dirty(NEAR) is True for one in found.items) == [False, False, True, True]
    assert found.sources[0].documents == 2
    assert all(one.longest is None for one in found.items if one.share == 0)


def test_the_unpaired_difference_is_newcombes() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II (a), method 10
    a, b = (Interval(right / n, *wilson(right / n, n), n) for right, n in ((56, 70), (48, 80)))
    found = unpaired_difference(a, b)
    assert (found.low, found.high, found.n) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5), 150)


def item(one: Example, value: float | None) -> Item:
    return Item(one, TextPrediction(one.id, ""), {} if value is None else {"acc": value})


class TestScores:
    def apart(self, dirty: int, clean: int, unscored: int = 0) -> list[Item]:
        right = [item(example(f"d{n}", ""), 1.0) for n in range(dirty)]
        wrong = [item(example(f"c{n}", ""), float(n % 2)) for n in range(clean)]
        return [*right, *wrong, *(item(example(f"d-{n}", ""), None) for n in range(unscored))]

    def found(self, items: Sequence[Item]) -> list[Found]:
        blank = Found("", "quiz", 9, 8, 0.0, None, None, None, None, long=False)
        return [replace(blank, id=one.id, share=float(one.id.startswith("d"))) for one in items]

    def test_dirty_and_clean_are_apart_and_unscored_is_not_zero(self) -> None:
        items = self.apart(20, 30, unscored=2)
        one, *others = scores_apart(items, self.found(items), {"quiz": "acc"})
        assert (one.rule, one.items, one.unscored) == (ANY, (22, 30, 0), 2)
        assert one.dirty is not None and (one.dirty.mean, one.dirty.n) == (1.0, 20)
        assert one.clean is not None and one.clean.mean == 0.5
        assert one.difference is not None and one.difference.mean == 0.5 and one.difference.n == 50
        assert 0 < one.difference.low < 0.5 < one.difference.high < 1
        assert [other.items for other in others] == [(0, 0, 52)] * 2  # too short for the other rules

    @pytest.mark.parametrize(
        ("dirty", "clean", "says"), [(9, 30, "too few"), (0, 30, "nothing dirty"), (9, 0, "nothing clean")]
    )
    def test_too_few_are_refused_in_words(self, dirty: int, clean: int, says: str) -> None:
        items = self.apart(dirty, clean)
        one = scores_apart(items, self.found(items), {"quiz": "acc"})[0]
        assert one.difference is None and one.refused is not None and says in one.refused
        assert one.to_json()["difference"] is None


class TestStoredEvaluations:
    def evaluation(self, folder: Path, model: str = "house/decoder") -> Path:
        items = [item(example(str(number), text(number, 20)), 1.0) for number in range(3)]
        write_items(folder, items)
        write_json(folder / "evaluation.json", {"model": model, "tasks": {"quiz": {"main": "acc"}}})
        return folder

    def pretraining(self, folder: Path) -> Path:
        (folder / "corpus.txt").write_text(f"{text(50, 90)} {text(1, 20)}", encoding="utf-8")
        (folder / "other.txt").write_text(text(60, 90), encoding="utf-8")
        source = {"data": [str(folder / "corpus.txt"), str(folder / "other.txt")], "text": "{{ text }}"}
        sources = {"texts": {**source, "weight": 1, "licence": "none", "held_out_bytes": 1}}
        path = folder / "pretraining.yaml"
        path.write_text(yaml.safe_dump({"name": "small", "tokens": 10, "sources": sources}), encoding="utf-8")
        return path

    def test_what_is_found_is_written_beside_the_items(self, tmp_path: Path) -> None:
        folder = self.evaluation(tmp_path / "quiz" / "model")
        leaks = find_leaks_of(folder, self.pretraining(tmp_path))
        written = json.loads((folder / FILE).read_text(encoding="utf-8"))
        assert written == json.loads(json.dumps(leaks.to_json()))
        assert {one["id"]: one["dirty"][ANY] for one in written["items"]} == {"0": False, "1": True, "2": False}
        assert written["apart"][0]["items"] == {"dirty": 1, "clean": 2, "too_short": 0}
        assert "too few to tell: 1 dirty and 2 clean" in written["apart"][0]["refused"]
        console = Console(record=True, width=80)
        print_leaks(leaks, console)
        printed = console.export_text()
        assert "quiz, any 13-gram: acc of 1 dirty items 1.000, of 2 clean ones 1.000" in printed
        assert f"100% of its 8-grams; texts, {tmp_path}/corpus.txt" in printed

    def test_the_texts_of_a_house_model_must_be_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.evaluation(tmp_path / "quiz" / "model")
        monkeypatch.chdir(tmp_path)  # its figures.json names texts by relative paths
        with pytest.raises(LuthierError, match="the text that house/decoder was pretrained on is not on this machine"):
            find_leaks_of(folder)

    def test_worked_examples_are_not_looked_for(self, tmp_path: Path) -> None:
        asked = [example(str(n), f"{text(1, 20)}\n\n{text(10 + n, 20)}") for n in range(3)]
        folder = tmp_path / "quiz" / "model"
        write_items(folder, [replace(item(one, 1.0), question=text(10 + n, 20)) for n, one in enumerate(asked)])
        found = find_leaks_of(folder, self.pretraining(tmp_path)).found  # which has the worked example
        assert [one.dirty(ANY) for one in found.items] == [False] * 3

    def test_a_measure_that_no_item_has_gives_way_to_one_that_they_have(self, tmp_path: Path) -> None:
        folder = self.evaluation(tmp_path / "quiz" / "model")
        write_json(folder / "evaluation.json", {"model": "", "tasks": {"quiz": {"main": "perplexity"}}})
        assert {one.measure for one in find_leaks_of(folder, self.pretraining(tmp_path)).apart} == {"acc"}

    def test_of_an_adapter_the_base_is_looked_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        adapter = tmp_path / "adapter"
        adapter.mkdir()
        folder = self.evaluation(tmp_path / "quiz" / "model", model=str(adapter))
        with pytest.raises(LuthierError, match="the model below these weights is not known") as refused:
            find_leaks_of(folder)
        assert "--sources" in str(refused.value)
        (adapter / "adapter.safetensors").touch()
        write_json(adapter / "method.json", {"method": {"lora": {}}, "model": "house/decoder"})
        monkeypatch.chdir(tmp_path)
        with pytest.raises(LuthierError, match="the text that house/decoder was pretrained on is not on this machine"):
            find_leaks_of(folder)

    def test_bad_folders_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(LuthierError, match="no answers are stored here"):
            find_leaks_of(tmp_path)
        with pytest.raises(LuthierError, match="no such folder"):
            find_leaks_of(tmp_path / "nothere")
        one = self.evaluation(tmp_path / "quiz" / "one")
        with pytest.raises(LuthierError, match="further below") as refused:
            find_leaks_of(tmp_path)
        assert str(one) in str(refused.value)
        self.evaluation(tmp_path / "quiz" / "two", model="")
        with pytest.raises(LuthierError, match="several evaluations"):
            find_leaks_of(tmp_path)
        with pytest.raises(LuthierError, match="does not name its model"):
            find_leaks_of(tmp_path / "quiz" / "two")
        (one / "items.jsonl").write_text("")
        with pytest.raises(LuthierError, match="not one item"):
            find_leaks_of(one)

    def test_bad_sources_are_refused(self, tmp_path: Path) -> None:
        folder = self.evaluation(tmp_path / "quiz" / "model")
        with pytest.raises(LuthierError, match="no such file"):
            find_leaks_of(folder, tmp_path / "none.yaml")
        path = self.pretraining(tmp_path)
        (tmp_path / "corpus.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(LuthierError, match="not a text file"):
            find_leaks_of(folder, path)
        assert not (folder / FILE).exists()

    def test_a_task_among_the_sources_is_read_as_conversations(self, tmp_path: Path) -> None:
        folder = self.evaluation(tmp_path / "quiz" / "model")
        rows = tmp_path / "rows.jsonl"
        rows.write_text(
            "".join(json.dumps({"q": text(n, 12), "a": " ".join(text(n, 20).split()[12:])}) + "\n" for n in range(40))
        )
        task = {
            "name": "chat",
            "data": {"train": str(rows), "test": str(rows)},
            "prompt": "{{ q }}",
            "reference": "{{ a }}",
        }
        spec = yaml.safe_load(self.pretraining(tmp_path).read_text())
        spec["sources"]["chat"] = {"task": task, "weight": 1, "licence": "none"}
        path = tmp_path / "with_task.yaml"
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        found = find_leaks_of(folder, path).found
        assert {source.name for source in found.sources} == {"texts", "chat"}
        assert sum(one.near is not None and one.near.source == "chat" for one in found.items) >= 2
