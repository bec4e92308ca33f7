"""The demo task's text: the same for a seed anywhere, splits apart, every fact to be read, no shortcut that scores."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from luthier.tasks.generated import support_desk as module
from luthier.tasks.generated import support_desk_words as words
from luthier.tasks.generated.support_desk import TURNS, WORDS, support_desk
from luthier.tasks.generated.support_desk_dialogue import STYLES
from luthier.tasks.generated.support_desk_facts import OUTCOMES
from luthier.tasks.generated.support_desk_spelling import contracted, misspelt, sentence

Row = dict[str, Any]
SPLITS = support_desk(0)
ROWS: list[Row] = [row for rows in SPLITS.values() for row in rows]


def test_sizes_and_keys() -> None:
    assert {split: len(rows) for split, rows in SPLITS.items()} == {"train": 400, "validation": 60, "test": 120}
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert set(row) == {"id", "style", "dialogue", "summary", "facts", "distractors"}


def test_same_seed_same_rows_whatever_the_hash_seed_and_the_global_state() -> None:
    code = (
        "import json, random; random.seed(7)\n"
        "from luthier.tasks.generated.support_desk import support_desk\n"
        "print(json.dumps(support_desk(0, train=20, validation=5, test=10)))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert json.loads(printed[0]) == support_desk(0, train=20, validation=5, test=10)


def test_leaves_the_global_random_state_alone() -> None:
    before = random.getstate()
    support_desk(3, train=5, validation=0, test=0)
    assert random.getstate() == before


def test_another_seed_gives_other_rows() -> None:
    other = support_desk(1, train=50, validation=0, test=0)["train"]
    assert not {row["dialogue"] for row in other} & {row["dialogue"] for row in ROWS}


def test_the_test_split_does_not_depend_on_how_much_is_trained_on() -> None:
    assert support_desk(0, train=10, validation=3)["test"] == SPLITS["test"]


def test_no_dialogue_and_no_set_of_facts_twice() -> None:
    assert len({row["dialogue"] for row in ROWS}) == len(ROWS)
    assert len({json.dumps(row["facts"], sort_keys=True) for row in ROWS}) == len(ROWS)
    assert len({row["summary"] for row in ROWS}) == len(ROWS)


def test_lengths_are_in_range() -> None:
    for row in ROWS:
        turns = row["dialogue"].split("\n")
        assert TURNS[0] <= len(turns) <= TURNS[1]
        assert WORDS[0] <= len(row["dialogue"].split()) <= WORDS[1]
        assert 12 <= len(row["summary"].split()) <= 30
        assert all(turn.startswith(("Agent: ", "Customer: ")) for turn in turns)
        speakers = [turn.partition(":")[0] for turn in turns]
        assert all(one != next_one for one, next_one in itertools.pairwise(speakers))


def test_the_facts_can_be_read_in_the_dialogue_and_stand_in_the_summary() -> None:
    for row in ROWS:
        facts, dialogue, summary = row["facts"], row["dialogue"].lower(), row["summary"].lower()
        for key in ("customer", "product"):
            assert facts[key].lower() in dialogue, row["id"]
            assert facts[key].lower() in summary
        assert facts["problem"] in summary
        for word in facts["detail"].replace(" at ", " ").replace(" within ", " ").split():
            assert word.lower() in dialogue, (row["id"], word)
            assert word.lower() in summary
        assert ("step" in facts) != ("cause" in facts)
        assert facts.get("step", facts.get("cause")) in summary
        assert facts.get("cause", "") in dialogue
        assert (facts["outcome"] == "solved") == ("solved the problem" in summary)


def test_the_step_of_the_summary_is_the_last_one_tried() -> None:
    steps = {step.doing: step for family in words.FAMILIES for problem in family.problems for step in problem.steps}
    for row in ROWS:
        if "step" in row["facts"]:
            agent = " ".join(line for line in row["dialogue"].lower().split("\n") if line.startswith("agent:"))
            step = steps[row["facts"]["step"]]
            assert step.order in agent or step.doing in agent, row["id"]


def test_every_style_and_outcome_has_its_share_of_every_split() -> None:
    for rows in SPLITS.values():
        for key, values in (("style", STYLES), ("outcome", OUTCOMES)):
            found = [row[key] if key == "style" else row["facts"][key] for row in rows]
            for value in values:
                assert found.count(value) >= len(rows) // len(values), (key, value)


def test_distractors_stand_in_most_dialogues() -> None:
    share = {
        name: sum(name in row["distractors"] for row in ROWS) / len(ROWS)
        for name in (
            "other product", "wrong guess", "refused offer", "agent's name", "order number", "small talk",
            "other person", "earlier step", "surname", "changed day",
        )
    }  # fmt: skip
    assert sum(bool(row["distractors"]) for row in ROWS) >= 0.9 * len(ROWS)
    assert sum(len(row["distractors"]) >= 2 for row in ROWS) >= 0.6 * len(ROWS)
    for name in ("other product", "wrong guess", "refused offer", "agent's name"):
        assert share[name] >= 0.25, share
    assert min(share.values()) >= 0.08, share


def test_a_distractor_that_is_named_is_there() -> None:
    products = [product for family in words.FAMILIES for product in family.products]
    for row in ROWS:
        text = row["dialogue"].lower()
        others = [product for product in products if product in text and product not in row["facts"]["product"]]
        if "other product" in row["distractors"]:
            assert others, row["id"]
        if "order number" in row["distractors"]:
            assert any(word.strip(".,?!").isdigit() and len(word.strip(".,?!")) == 5 for word in text.split())


def test_the_vocabulary_is_wide_and_tied_together() -> None:
    products = [product for family in words.FAMILIES for product in family.products]
    problems = [problem for family in words.FAMILIES for problem in family.problems]
    assert len(set(words.FIRST_NAMES)) == len(words.FIRST_NAMES) >= 30
    assert len(set(products)) == len(products) >= 25
    assert len({problem.gist for problem in problems}) == len(problems) >= 30
    for problem in problems:
        assert problem.cause.startswith("the ") and problem.part != problem.guess
        assert len({step.doing for step in problem.steps}) == 2
        assert all(step.doing.split()[0].endswith("ing") for step in problem.steps)


def test_no_line_is_left_with_a_hole_in_it() -> None:
    for row in ROWS:
        for text in (row["dialogue"], row["summary"]):
            assert not set("{}") & set(text)
            assert "  " not in text and not re.search(r"\b(a|an|the|it|is) \1\b", text)


def test_shortcuts_score_low() -> None:
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = rouge_scorer.RougeScorer(["rougeL"])

    def rouge_l(answer: Callable[[Row], str]) -> float:
        scores = [scorer.score(row["summary"], answer(row))["rougeL"].fmeasure for row in SPLITS["test"]]
        return sum(scores) / len(scores)

    def lead_3(row: Row) -> str:
        return " ".join(turn.partition(": ")[2] for turn in row["dialogue"].split("\n")[:3])

    constants = [row["summary"] for row in SPLITS["train"][:64]]
    assert rouge_l(lead_3) < 0.27
    assert rouge_l(lambda row: row["dialogue"]) < 0.27
    assert max(rouge_l(lambda _, text=text: text) for text in constants[::8]) < 0.32


def test_the_row_in_the_docstring_is_a_real_one() -> None:
    documented = [line.strip() for line in inspect.getdoc(module).splitlines()]  # type: ignore[union-attr]
    shown = SPLITS["test"][14]
    for line in (*shown["dialogue"].split("\n"), shown["summary"]):
        assert line in documented


def test_spelling() -> None:
    assert sentence("a oven. it is a kettle") == "An oven. It is a kettle"
    assert contracted("It is hot and I am cold. Yes, it is.") == "It's hot and I'm cold. Yes, it is."
    typed = misspelt("Thank you, Nadia, nothing else about the dishwasher.", "Nadia dishwasher", random.Random(0))
    assert typed.rstrip(".") == "ty, nadia, nothin else about the dishwasher"
