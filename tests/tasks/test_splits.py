"""Splits: exact sizes, the same each time, and nothing that belongs together on both sides."""

from __future__ import annotations

import pytest

from luthier.core.errors import LuthierError
from luthier.core.types import Example, Message
from luthier.tasks.splits import by_fractions, draw, hold_out, validation_from_train, with_unique_ids
from luthier.tasks.task_settings import Fractions, Limits


def _example(number: int, prompt: str | None = None, cluster: str | None = None) -> Example:
    words = f"prompt {number}" if prompt is None else prompt
    return Example(f"id{number}", (Message("user", words),), (f"answer {number}",), cluster=cluster)


def _ids(examples: tuple[Example, ...]) -> set[str]:
    return {example.id for example in examples}


MANY = [_example(number) for number in range(1000)]


def test_fractions_are_exact_disjoint_and_complete() -> None:
    splits = by_fractions(MANY, Fractions(train=0.7, validation=0.1, test=0.2), "t")
    assert {split: len(found) for split, found in splits.items()} == {"train": 700, "validation": 100, "test": 200}
    assert len(_ids(splits["train"]) | _ids(splits["validation"]) | _ids(splits["test"])) == 1000


def test_splits_do_not_depend_on_the_order_of_the_file() -> None:
    forward, backward = (by_fractions(rows, Fractions(), "t") for rows in (MANY, MANY[::-1]))
    for split in ("train", "validation", "test"):
        assert _ids(forward[split]) == _ids(backward[split])
    assert forward["train"] == backward["train"][::-1]


def test_test_set_is_not_the_end_of_the_file() -> None:
    test = by_fractions(MANY, Fractions(), "t")["test"]
    middle = sum(int(example.id[2:]) < 500 for example in test)
    assert 30 <= middle <= 70  # binomial(100, 1/2): four standard deviations


def test_clusters_and_equal_prompts_stay_together() -> None:
    for rows in (
        [_example(number, cluster=f"c{number // 4}") for number in range(400)],
        [_example(number, prompt=f"same {number // 4}") for number in range(400)],
    ):
        splits = by_fractions(rows, Fractions(), "t")
        groups = [{(example.cluster, example.messages) for example in found} for found in splits.values()]
        if rows[0].cluster:
            groups = [{(cluster, ()) for cluster, _ in found} for found in groups]
        assert sum(map(len, groups)) == len(set().union(*groups))
        assert sum(map(len, splits.values())) == 400 and len(splits["test"]) == 40


def test_one_prompt_for_all_can_still_be_split() -> None:
    splits = by_fractions([_example(number, prompt="write a story") for number in range(10)], Fractions(), "t")
    assert {split: len(found) for split, found in splits.items()} == {"train": 8, "validation": 1, "test": 1}


@pytest.mark.parametrize("rows", [MANY[:1], [_example(number, cluster="one") for number in range(10)]])
def test_too_little_to_split(rows: list[Example]) -> None:
    with pytest.raises(LuthierError, match="too few"):
        hold_out(rows, 2, "test", "t")


def test_draw_is_nested_and_keeps_the_order() -> None:
    small, large = draw(MANY, 50), draw(MANY, 200)
    assert len(small) == 50 and len(large) == 200 and _ids(small) < _ids(large)
    assert [int(example.id[2:]) for example in large] == sorted(int(example.id[2:]) for example in large)
    assert small != tuple(MANY[:50])
    assert draw(MANY, None) == draw(MANY, 5000) == tuple(MANY)


@pytest.mark.parametrize(
    ("limits", "train", "validation"),
    [
        (Limits(), 900, 100),
        (Limits(train=600), 600, 60),
        (Limits(train=980), 902, 98),
        (Limits(train=600, validation=200), 600, 200),
        (Limits(validation=5000), 500, 500),
        (Limits(train=3), 3, 1),
    ],
)
def test_validation_comes_from_what_the_limit_leaves(limits: Limits, train: int, validation: int) -> None:
    rest, held = validation_from_train(MANY, limits, 0.1, "t")
    drawn = draw(rest, limits.train)
    assert (len(drawn), len(held)) == (train, validation)
    assert not _ids(drawn) & _ids(held)


def test_a_larger_limit_adds_to_the_training_set() -> None:
    def train(limit: int) -> set[str]:
        rest, _ = validation_from_train(MANY, Limits(train=limit), 0.1, "t")
        return _ids(draw(rest, limit))

    assert train(100) < train(200) < train(600)


def test_copies_get_a_suffix() -> None:
    unique, copies = with_unique_ids([MANY[0], MANY[1], MANY[0], MANY[0]])
    assert [example.id for example in unique] == ["id0", "id1", "id0-2", "id0-3"] and copies == 2
