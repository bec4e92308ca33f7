"""The generated retention tasks: the same for a seed anywhere, splits apart, no cue that tells the answer."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.tasks.generated import GENERATED, arithmetic, entities, sentiment, sentiment_lines, yes_no
from luthier.tasks.generated.retention_tasks import RETENTION_TASKS
from luthier.tasks.generated.sentiment_words import DOMAINS
from luthier.tasks.task import TaskSettings, load_task

Row = Mapping[str, Any]
NAMES = ("sentiment", "entities", "arithmetic", "yes_no")
SPLITS = {name: GENERATED[name](0) for name in NAMES}
ROWS: dict[str, list[Row]] = {name: [row for rows in SPLITS[name].values() for row in rows] for name in NAMES}
TEXTS = {
    "sentiment": ("review",),
    "entities": ("text",),
    "arithmetic": ("question",),
    "yes_no": ("passage", "question"),
}
LABELS = {"sentiment": "label", "yes_no": "answer"}
DIGESTS = {
    "sentiment": "7dc75a0a783e2702",
    "entities": "bcfdc43a9e65f0a9",
    "arithmetic": "6c5350b7ba8bcfb0",
    "yes_no": "bb50b0b5551ca61a",
}
"""Of the first ten test rows: a change here changes what every earlier study measured."""


def text(name: str, row: Row) -> str:
    return " ".join(row[field] for field in TEXTS[name])


def words(name: str, row: Row) -> set[str]:
    return set(re.findall(r"[\w'-]+", text(name, row).lower()))


@pytest.mark.parametrize("name", NAMES)
def test_the_first_rows_are_fixed(name: str) -> None:
    plain = json.dumps(SPLITS[name]["test"][:10], sort_keys=True)
    assert hashlib.sha256(plain.encode()).hexdigest()[:16] == DIGESTS[name]


def test_same_rows_whatever_the_hash_seed_and_the_global_state() -> None:
    code = (
        "import json, random; random.seed(7)\n"
        "from luthier.tasks.generated import GENERATED\n"
        f"print(json.dumps([GENERATED[name](0) for name in {NAMES}]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [SPLITS[name] for name in NAMES]


@pytest.mark.parametrize("module", [sentiment, entities, arithmetic, yes_no])
def test_seeds_differ_and_the_test_rows_do_not_depend_on_the_rest(module: ModuleType) -> None:
    name = module.__name__.rpartition(".")[2]
    write = getattr(module, name)
    assert write(0, train=3, validation=0)["test"] == SPLITS[name]["test"]
    other = write(1, train=0, validation=0, test=100)["test"]
    assert len({text(name, row) for row in other} & {text(name, row) for row in ROWS[name]}) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_no_row_twice_in_one_split_or_two(name: str) -> None:
    assert {split: len(rows) for split, rows in SPLITS[name].items()} == {"train": 400, "validation": 50, "test": 200}
    assert len({row["id"] for row in ROWS[name]}) == len(ROWS[name])
    assert len({text(name, row).lower() for row in ROWS[name]}) == len(ROWS[name])


def test_no_calculation_no_list_of_names_and_no_set_of_facts_twice() -> None:
    for name, field in (("arithmetic", "expression"), ("entities", "answer"), ("yes_no", "facts")):
        assert len({json.dumps(row[field]) for row in ROWS[name]}) == len(ROWS[name])


def test_more_rows_than_there_are_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(LuthierError, match=r"only \d+ different rows"):
        arithmetic.arithmetic(0, train=4000)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_short_and_well_spelt(name: str) -> None:
    for row in ROWS[name]:
        whole = text(name, row)
        assert 3 <= len(whole.split()) <= 60, whole
        assert not set("{}[]|") & set(whole) and "  " not in whole, whole
        assert not re.search(r"\b(a|an|the|is|it) \1\b", whole, re.IGNORECASE), whole
        assert not re.search(r"\ba [aeio]\w", whole) and not re.search(r"\ban [^aeiouh]", whole), whole
        assert whole[0].isupper() or whole[0].isdigit() or whole[0] == "(", whole
        assert not re.search(r"[.?!] [a-z]", whole), whole


@pytest.mark.parametrize(("name", "field"), LABELS.items())
def test_labels_are_balanced_in_every_split_and_kind_and_not_told_by_length(name: str, field: str) -> None:
    for rows in SPLITS[name].values():
        counts = Counter(row[field] for row in rows)
        assert all(0.45 <= count / len(rows) <= 0.55 for count in counts.values()) and len(counts) == 2
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    lengths: dict[str, list[int]] = defaultdict(list)
    for row in ROWS[name]:
        by_kind[row["kind"]][row[field]] += 1
        lengths[row[field]].append(len(text(name, row).split()))
    assert all(max(counts.values()) <= 0.55 * counts.total() for counts in by_kind.values())
    first, second = (sum(values) / len(values) for values in lengths.values())
    assert abs(first - second) < 1.5


@pytest.mark.parametrize(("name", "field"), LABELS.items())
def test_no_word_gives_the_label_away(name: str, field: str) -> None:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in ROWS[name]:
        for word in words(name, row):
            found[word][row[field]] += 1
    for word, counts in found.items():
        if counts.total() >= 0.05 * len(ROWS[name]):
            assert max(counts.values()) <= 0.8 * counts.total(), (word, counts)
    assert accuracy_of_single_words(name, field) < 0.75


def accuracy_of_single_words(name: str, field: str) -> float:
    """Test accuracy of naive Bayes on the words of the training rows."""
    seen: dict[str, Counter[str]] = {}
    for row in SPLITS[name]["train"]:
        seen.setdefault(row[field], Counter()).update(words(name, row))
    known = set().union(*seen.values())

    def likelihood(label: str, row: Row) -> float:
        return sum(math.log(seen[label][word] + 1) for word in words(name, row) & known)

    test = SPLITS[name]["test"]
    guesses = [max(sorted(seen), key=lambda label, row=row: likelihood(label, row)) for row in test]  # type: ignore[misc]
    return sum(guess == row[field] for guess, row in zip(guesses, test, strict=True)) / len(test)


def test_every_sentence_of_a_review_serves_both_verdicts() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for row in ROWS["sentiment"]:
        used[row["kind"]].add(row["label"])
    assert used == {kind: {"positive", "negative"} for kind in ("direct", "negated", "mixed")}
    for line in sentiment_lines.NEGATED:
        assert "{other1}" in line or "{comparative_other}" in line
        assert "{same" not in line
    for line in sentiment_lines.MIXED:
        assert "{other1}" in line and re.search(r"\{same[12]\}", line)


def test_the_words_of_reviews_are_many_and_on_one_side_only() -> None:
    good = {word for domain in DOMAINS for aspect in domain.aspects for word in aspect.good}
    bad = {word for domain in DOMAINS for aspect in domain.aspects for word in aspect.bad}
    assert len(good) > 100 and len(bad) > 100
    for domain in DOMAINS:
        for aspect in domain.aspects:
            assert not set(aspect.good) & set(aspect.bad)
            assert len(aspect.good) >= 3 and len(aspect.bad) >= 3
    assert len({word for row in ROWS["sentiment"] for word in words("sentiment", row)}) > 600


@pytest.mark.parametrize("label", sentiment.LABELS)
def test_words_of_the_verdict_s_side_fill_same_and_those_against_it_fill_other(label: str) -> None:
    domain = DOMAINS[0]
    slots = sentiment._words(domain, label, random.Random(0))
    noun = slots["aspect_a"][0]
    (aspect,) = (aspect for aspect in domain.aspects if aspect.noun == noun)
    good, bad = (slots["same_a"], slots["other_a"]) if label == "positive" else (slots["other_a"], slots["same_a"])
    assert (good, bad) == (aspect.good, aspect.bad)
    assert slots["aspect_b"] != slots["aspect_a"]
    comparative = ("better", "worse") if label == "positive" else ("worse", "better")
    assert (slots["comparative_same"][0], slots["comparative_other"][0]) == comparative


@pytest.mark.parametrize("data", RETENTION_TASKS)
def test_the_retention_tasks_load(data: str) -> None:
    settings = RETENTION_TASKS[data]
    task = load_task(
        TaskSettings(**{key: value for key, value in settings.items() if key in TaskSettings.model_fields})
    )
    assert task.name == settings["name"] == data.removeprefix("generated/")
    assert {split: len(examples) for split, examples in task.splits.items()} == settings["limit"]
    assert not any(task.duplicates.values())
    if "choices" in settings:
        counts = Counter(example.reference for example in task.splits["test"])
        assert min(counts.values()) >= 0.35 * counts.total()


def test_the_retention_tasks_are_plain_and_name_their_primary_measure() -> None:
    assert tuple(RETENTION_TASKS) == tuple(f"generated/{name}" for name in NAMES)
    assert json.loads(json.dumps(dict(RETENTION_TASKS))) == dict(RETENTION_TASKS)
    for settings in RETENTION_TASKS.values():
        assert settings["primary"] in settings["metrics"]
        assert set(settings) <= {*TaskSettings.model_fields, "metrics", "primary", "generation"}


def documented(module: ModuleType) -> str:
    return " ".join((inspect.getdoc(module) or "").split())


@pytest.mark.parametrize(
    ("module", "number", "fields"),
    [
        (sentiment, 2, ("review", "label", "kind")),
        (entities, 1, ("text", "answer")),
        (arithmetic, 3, ("question", "answer", "expression", "kind")),
        (yes_no, 2, ("passage", "question", "answer", "kind")),
    ],
)
def test_the_rows_in_the_docstrings_are_real(module: ModuleType, number: int, fields: Sequence[str]) -> None:
    row = SPLITS[module.__name__.rpartition(".")[2]]["test"][number]
    for field in fields:
        assert str(row[field]) in documented(module)
