"""Mixtures of tasks: the rates, the draw, what is held out, and what a study makes of one."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.types import Example, Message
from luthier.study_file import TaskSpec
from luthier.tasks.leakage import find_leaks
from luthier.tasks.mixture import Member, Mixture, rates
from luthier.tasks.mixture_settings import MixtureSettings
from luthier.tasks.task import Task, TaskSettings, load_mixture, load_task


def _examples(name: str, count: int) -> tuple[Example, ...]:
    return tuple(Example(f"{name}{n}", (Message("user", f"{name} {n}"),), (str(n),)) for n in range(count))


def _member(name: str, train: int, test: int = 5, held_out: bool = False) -> Member:
    splits = {
        "train": _examples(name, train),
        "validation": _examples(f"v{name}", 3),
        "test": _examples(f"t{name}", test),
    }
    return Member(name, splits, held_out)  # type: ignore[arg-type]


def _settings(names: list[str], **given: Any) -> MixtureSettings:
    task = {"data": "x/y", "prompt": "{{ x }}", "reference": "{{ y }}"}
    return read(MixtureSettings, {"tasks": dict.fromkeys(names, task), **given}, "study.yaml")


def _mixture(sizes: dict[str, int], **given: Any) -> Mixture:
    return Mixture([_member(name, size) for name, size in sizes.items()], _settings(list(sizes), **given))


def _counts(examples: Any) -> Counter[str]:
    return Counter(example.task for example in examples)


# Raffel et al. 2020, section 3.5.2, by hand.
@pytest.mark.parametrize(
    ("cap", "temperature", "expected"),
    [
        (None, 1.0, [0.80, 0.16, 0.04]),
        (400, 1.0, [0.50, 0.40, 0.10]),
        (None, 2.0, [math.sqrt(20) / (math.sqrt(20) + 3), 2 / (math.sqrt(20) + 3), 1 / (math.sqrt(20) + 3)]),
        (1600, 2.0, [4 / 7, 2 / 7, 1 / 7]),
        (10, 1.0, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_rates_by_arithmetic(cap: int | None, temperature: float, expected: list[float]) -> None:
    sizes = {"large": 2000, "middle": 400, "small": 100}
    if cap == 400:
        sizes |= {"middle": 320, "small": 80}
    assert list(rates(sizes, cap=cap, exponent=1 / temperature).values()) == pytest.approx(expected)


def test_rates_of_each_sampling() -> None:
    sizes = {"a": 300, "b": 100}
    assert _mixture(sizes).rates == pytest.approx({"a": 0.75, "b": 0.25})
    assert _mixture(sizes, cap=100).rates == pytest.approx({"a": 0.5, "b": 0.5})
    root = math.sqrt(3)
    assert _mixture(sizes, sampling="temperature").rates == pytest.approx({"a": root / (root + 1), "b": 1 / (root + 1)})
    assert _mixture(sizes, sampling="temperature", temperature=1e9).rates == pytest.approx({"a": 0.5, "b": 0.5})
    assert _mixture(sizes, sampling="weights", weights={"b": 9, "a": 1}).rates == pytest.approx({"a": 0.1, "b": 0.9})
    assert [_mixture(sizes).size, _mixture(sizes, cap=150).size, _mixture(sizes, size=7).size] == [400, 250, 7]


def test_the_draw_follows_the_rates() -> None:
    mixture = _mixture({"a": 4000, "b": 2000, "c": 500}, cap=2000)
    drawn = 6000
    counts = _counts(mixture.examples("train", drawn))
    for name, rate in {"a": 4 / 9, "b": 4 / 9, "c": 1 / 9}.items():
        assert abs(counts[name] - drawn * rate) < 4 * math.sqrt(drawn * rate * (1 - rate)), name
    # Independent draws: the members of neighbours are no more alike than chance has it.
    names = [example.task for example in mixture.examples("train", drawn)]
    alike = sum(one == other for one, other in pairwise(names)) / drawn
    assert abs(alike - (16 + 16 + 1) / 81) < 0.03


def test_nothing_is_drawn_twice_before_all_were_drawn_once() -> None:
    mixture = _mixture({"a": 50, "b": 10}, sampling="weights", weights={"a": 1, "b": 1})
    drawn = mixture.examples("train", 90)
    ids = [example.id for example in drawn if example.task == "b"]
    for start in range(0, len(ids), 10):
        part = ids[start : start + 10]
        assert len(set(part)) == len(part)
    assert ids[:10] != ids[10:20] and set(ids[:10]) == set(ids[10:20])
    assert mixture.repeats(drawn) == {"a": 0, "b": len(ids) - 10} and len(ids) > 30


def test_the_draw_is_the_seeds_and_a_shorter_one_begins_a_longer_one() -> None:
    sizes = {"a": 300, "b": 100}
    long = _mixture(sizes).examples("train", 250)
    assert _mixture(sizes).examples("train", 100) == long[:100]
    assert tuple(islice(_mixture(sizes).stream(), 250)) == long == _mixture(sizes).examples("train", 250, seed=0)
    other = _mixture(sizes, seed=1).examples("train", 250)
    assert other != long and other == _mixture(sizes).examples("train", 250, seed=1)
    assert len(_mixture(sizes).examples("train")) == 400 and _mixture(sizes).examples("train", 0) == ()


def test_a_members_order_does_not_hang_on_the_others() -> None:
    alone = [e.id for e in _mixture({"a": 30}).examples("train", 30)]
    among = [e.id for e in _mixture({"a": 30, "b": 60}).examples("train", 60) if e.task == "a"]
    assert among == alone[: len(among)] and len(among) > 10


def test_held_out_members_are_tested_only() -> None:
    members = [_member("a", 20), _member("b", 30, held_out=True), _member("c", 0, held_out=True)]
    mixture = Mixture(members, _settings(["a", "b", "c"]))
    assert mixture.rates == {"a": 1.0} and _counts(mixture.examples("train", 40)) == {"a": 40}
    assert _counts(mixture.examples("validation")) == {"a": 3}
    assert _counts(mixture.examples("test")) == {"a": 5, "b": 5, "c": 5}
    assert _counts(mixture.examples("test", 2)) == {"a": 2, "b": 2, "c": 2}
    none = Mixture([_member("a", 0, held_out=True)], _settings(["a"]))
    assert none.examples("train") == () and len(none.examples("test")) == 5
    with pytest.raises(LuthierError, match="every member is held out"):
        none.examples("train", 1)


def test_clusters_and_templates_of_members_are_their_own() -> None:
    def member(name: str) -> Member:
        train = tuple(Example(str(n), (Message("user", "x"),), ("y",), cluster="c", template=n) for n in range(2))
        return Member(name, {"train": train, "validation": (), "test": ()})

    mixture = Mixture([member("a"), member("b")], _settings(["a", "b"]))
    found = {(e.task, e.cluster, e.template) for e in mixture.examples("train", 40)}
    assert found == {("a", "a: c", 0), ("a", "a: c", 1), ("b", "b: c", 2), ("b", "b: c", 3)}


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"held_out": ["c"]}, "held_out: c: no such member"),
        ({"held_out": ["sotr"], "tasks": ["generated/instructions/sort"]}, "did you mean sort"),
        ({"sampling": "weights", "weights": {"a": 1, "d": 1}}, "weights: d: no such member"),
        ({"weights": {"a": 1}}, "say sampling: weights"),
        ({"sampling": "weights"}, "not all of them 0"),
        ({"sampling": "weights", "weights": {"a": 0}}, "not all of them 0"),
        ({"sampling": "weights", "weights": {"a": -1}}, "greater than or equal to 0"),
        ({"sampling": "weights", "weights": {"a": 1}, "cap": 3}, "cap: weights are rates"),
        ({"temperature": 2}, "say sampling: temperature"),
        ({"sampling": "temperature", "temperature": 0}, "greater than 0"),
        ({"cap": 0}, "cap"),
        ({"size": 0}, "size"),
        ({"tasks": {}}, "at least 1"),
        ({"tasks": 3}, "give a map of names"),
        ({"tasks": {"a": 3}}, "a: give a task's settings"),
        ({"tasks": ["generated/instructions/sort"] * 2}, "two members are called sort"),
        ({"tasks": {"m": {"name": "m", "mixture": {"tasks": ["generated/instructions/sort"]}}}}, "is a mixture itself"),
        ({"tmperature": 2}, "did you mean temperature"),
        ({"tasks": {"names": {"data": "x/y", "tagging": {}}}}, "tasks: names tags words"),
    ],
)
def test_mistakes_in_the_settings(given: dict[str, Any], what: str) -> None:
    with pytest.raises(LuthierError, match=what):
        _settings(["a", "b"], **given)


def test_members_that_cannot_be_mixed() -> None:
    with pytest.raises(LuthierError, match="b has no training examples") as caught:
        _mixture({"a": 3, "b": 0})
    assert caught.value.mend is not None and "held_out: [b]" in caught.value.mend
    with pytest.raises(LuthierError, match="b has no weight"):
        _mixture({"a": 3, "b": 2}, sampling="weights", weights={"a": 1})
    with pytest.raises(LuthierError, match="b is held out, and has a weight"):
        Mixture(
            [_member("a", 3), _member("b", 3, held_out=True)],
            _settings(["a", "b"], sampling="weights", weights={"a": 1, "b": 1}),
        )


def _rows(path: Path, count: int, start: int = 0) -> str:
    rows = [{"q": f"question number {n} of {path.stem}", "a": f"answer {n}"} for n in range(start, start + count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    tasks = {}
    for name, count in (("large", 90), ("small", 30)):
        data = {split: _rows(tmp_path / f"{name}-{split}.jsonl", n) for split, n in (("train", count), ("test", 20))}
        tasks[name] = {"data": data, "prompt": f"{name}: {{{{ q }}}}", "reference": "{{ a }}"}
    return {"name": "both", "limit": {"validation": 4, "test": 10}, "mixture": {"tasks": tasks}}


def _load(given: dict[str, Any], **mixture: Any) -> Task:
    return load_task(read(TaskSettings, {**given, "mixture": {**given["mixture"], **mixture}}, "study.yaml"))


def test_a_mixture_is_a_task(given: dict[str, Any]) -> None:
    task = _load(given)
    assert task.name == "both" and len(task.splits["train"]) == (90 - 4) + (30 - 4)
    assert _counts(task.splits["test"]) == {"large": 10, "small": 10}
    assert _counts(task.splits["validation"]) == {"large": 4, "small": 4}
    assert task == _load(given) and task.digests != _load(given, seed=1).digests
    assert len({e.id for e in task.splits["train"]}) == len(task.splits["train"])
    assert all(e.messages[0].content.startswith(e.task) for found in task.splits.values() for e in found)
    assert not find_leaks(task.splits["train"], {"test": task.splits["test"]}).pairs


def test_repeats_are_counted_and_keep_ids_apart(given: dict[str, Any]) -> None:
    task = _load(given, size=300, sampling="weights", weights={"large": 1, "small": 2})
    counts = _counts(task.splits["train"])
    assert counts.total() == 300 and task.duplicates["train"] == counts["large"] - 86 + counts["small"] - 26
    assert len({e.id for e in task.splits["train"]}) == 300
    assert _load(given, size=100, sampling="weights", weights={"large": 1, "small": 2}).splits["train"] == tuple(
        task.splits["train"][:100]
    )


def test_a_smaller_size_is_a_shorter_draw(given: dict[str, Any]) -> None:
    """Not every copy of a few prompts: nothing is drawn twice before all were drawn once."""
    task = _load(given, size=600)
    small = task.of_size(60)
    assert small.splits["train"] == task.splits["train"][:60]
    assert len({e.messages for e in small.splits["train"]}) == 60 > len({e.messages for e in task.splits["train"]}) // 2
    assert small.digests["train"] != task.digests["train"] and small.digests["test"] == task.digests["test"]


def test_a_members_own_limit_stands(given: dict[str, Any]) -> None:
    given["mixture"]["tasks"]["large"]["limit"] = {"train": 20, "test": 3}
    task = _load(given, held_out="small")
    assert _counts(task.splits["test"]) == {"large": 3, "small": 10}
    assert _counts(task.splits["train"]) == {"large": 20} and _counts(task.splits["validation"]) == {"large": 4}


def test_a_member_without_training_rows_or_test_rows(given: dict[str, Any], tmp_path: Path) -> None:
    small = given["mixture"]["tasks"]["small"]
    del small["data"]["train"]
    with pytest.raises(LuthierError, match="small has no training examples"):
        _load(given)
    assert _counts(_load(given, held_out=["small"]).splits["train"]) == {"large": 86}
    small["data"]["test"] = str(tmp_path / "empty.jsonl")
    Path(small["data"]["test"]).write_text("")
    with pytest.raises(LuthierError, match="no examples in test"):
        _load(given, held_out=["small"])


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"prompt": "{{ x }}"}, "prompt: give it to the members"),
        ({"data": "x/y"}, "data: give it to the members"),
        ({"templates": "a.yaml"}, "they only say test"),
        ({"split": {"train": 0.5, "validation": 0.25, "test": 0.25}}, "split: give it to the members"),
        ({"validation_fraction": 0.2}, "validation_fraction: give it to the members"),
        ({"name": None}, "name: give the mixture one"),
    ],
)
def test_what_cannot_stand_beside_a_mixture(given: dict[str, Any], more: dict[str, Any], what: str) -> None:
    with pytest.raises(LuthierError, match=what):
        read(TaskSettings, {**given, **more}, "study.yaml")


def test_a_task_that_is_no_mixture() -> None:
    with pytest.raises(LuthierError, match="task sort is no mixture"):
        load_mixture(read(TaskSettings, {"data": "generated/instructions/sort"}, "x"))


@pytest.mark.slow
def test_every_generated_instruction_task_at_once() -> None:
    settings = {
        "name": "instructions",
        "limit": {"train": 12, "validation": 2, "test": 4},
        "templates": {"test": "held_out"},
        "mixture": {"tasks": "generated/instructions"},
        "metrics": ["exact_match", "rouge", "nll"],
        "primary": "exact_match",
    }
    spec = read(TaskSpec, settings, "x")
    assert read(TaskSpec, spec.model_dump(mode="json"), "x") == spec and hash(spec) == hash(
        read(TaskSpec, settings, "x")
    )
    assert spec.kinds == ("text", "choices") and TaskSpec.model_json_schema()
    mixture = load_mixture(spec)
    held_out = {member.name for member in mixture.members if member.held_out}
    trained = {member.name for member in mixture.members} - held_out
    assert len(held_out) >= 2 and len(trained) >= 8
    task = load_task(spec)
    assert set(_counts(task.splits["train"])) <= trained and set(_counts(task.splits["test"])) == trained | held_out
    templates = {split: {(e.task, e.template) for e in found} for split, found in task.splits.items()}
    assert not templates["train"] & templates["test"] and not templates["validation"] & templates["test"]
    every = read(TaskSpec, {**settings, "mixture": {"tasks": "generated/instructions", "held_out": []}}, "x")
    assert set(load_mixture(every).rates) == trained | held_out
