"""The answers of the generated retention tasks, worked out again: names, calculations, yes and no."""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from luthier.tasks.generated import GENERATED, arithmetic, entities, yes_no

Row = Mapping[str, Any]
NAMES = ("entities", "arithmetic", "yes_no")
ROWS: dict[str, list[Row]] = {name: [row for rows in GENERATED[name](0).values() for row in rows] for name in NAMES}


def test_the_names_are_those_of_the_text_in_its_order() -> None:
    counts = Counter[str]()
    for row in ROWS["entities"]:
        names = [name for name, _ in row["names"]]
        assert row["answer"] == ", ".join(names) and 1 <= len(names) <= 6
        places = [row["text"].index(name) for name in names]
        assert places == sorted(places) and len(set(names)) == len(names)
        counts.update(kind for _, kind in row["names"])
        rest = row["text"]
        for name in names:
            rest = rest.replace(name, "")
        inside = re.findall(r"(?<=[a-z,] )[A-Z]\w+", rest)
        known = {word for key in ("month", "day", "paper", "ship", "tongue") for entry in entities._LISTS[key]
                 for word in entry.split()}  # fmt: skip
        assert set(inside) <= known, (inside, row["text"])
    assert min(counts["person"], counts["place"]) > 0.3 * counts.total()
    assert len({name for row in ROWS["entities"] for name, _ in row["names"]}) > 600


OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


def value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    assert isinstance(node, ast.Constant) and isinstance(node.value, int)
    return Fraction(node.value)


def test_the_answers_are_those_of_the_expressions_and_the_numbers_those_of_the_questions() -> None:
    for row in ROWS["arithmetic"]:
        assert value(ast.parse(row["expression"], mode="eval").body) == int(row["answer"])
        assert 1 <= int(row["answer"]) <= arithmetic.LARGEST
        assert sorted(re.findall(r"\d+", row["question"])) == sorted(re.findall(r"\d+", row["expression"]))
        assert len(re.findall(r"[-+*/]", row["expression"])) == row["steps"]
        shown = re.search(r"[\d(][\d()+*/ -]*[-+*/][\d()+*/ -]*[\d)]", row["question"])
        if shown:
            assert shown[0] == row["expression"]
    for key in ("steps", "kind"):
        counts = Counter(row[key] for row in ROWS["arithmetic"])
        assert all(0.45 <= count / len(ROWS["arithmetic"]) <= 0.55 for count in counts.values())
    assert Counter(row["answer"] for row in ROWS["arithmetic"]).most_common(1)[0][1] < 0.05 * len(ROWS["arithmetic"])


def test_spoken_questions_ask_for_what_they_say() -> None:
    patterns: dict[str, Callable[[int, int], float]] = {
        r"Add (\d+) and (\d+)\.": lambda a, b: a + b,
        r"What number is (\d+) more than (\d+)\?": lambda a, b: b + a,
        r"Take (\d+) away from (\d+)\.": lambda a, b: b - a,
        r"What number is (\d+) less than (\d+)\?": lambda a, b: b - a,
        r"What is the difference between (\d+) and (\d+)\?": lambda a, b: a - b,
        r"Multiply (\d+) by (\d+)\.": lambda a, b: a * b,
        r"What is (\d+) times (\d+)\?": lambda a, b: a * b,
        r"Divide (\d+) by (\d+)\.": lambda a, b: a / b,
        r"How many times does (\d+) go into (\d+)\?": lambda a, b: b / a,
        r".* has (\d+) .* and finds (\d+) more\. .*": lambda a, b: a + b,
        r".* had (\d+) .* and gave (\d+) of them .*": lambda a, b: a - b,
        r"There are (\d+) rows of (\d+) chairs\. .*": lambda a, b: a * b,
        r".* shares (\d+) .* equally among (\d+) children\. .*": lambda a, b: a / b,
    }
    checked = Counter[str]()
    for row in ROWS["arithmetic"]:
        for pattern, answer in patterns.items():
            match = re.fullmatch(pattern, row["question"])
            if match and row["steps"] == 1:
                assert answer(int(match[1]), int(match[2])) == int(row["answer"]), row["question"]
                checked[pattern] += 1
    assert set(checked) == set(patterns)


def answer_of(row: Row) -> bool:
    """The answer, worked out from the row's facts."""
    facts, asks = row["facts"], row["asks"]
    if row["kind"] == "compare":
        number = {person: count for person, _, count in facts}
        first, word, second = asks
        return number[first] > number[second] if word == "more" else number[first] < number[second]
    if row["kind"] == "chain":
        first, word, second, (more, _) = asks
        above = {(x, y) if than == more else (y, x) for x, than, y in facts}
        above |= {(x, z) for x, y in above for other, z in above if y == other}
        return ((first, second) if word == more else (second, first)) in above
    if row["kind"] in ("lookup", "inside"):
        start, end = asks
        found = dict(facts)
        return end in (found[start], found.get(found[start]))
    if row["kind"] == "both":
        able, (word, *people) = dict(facts), asks
        return {"both": all, "either": any, "neither": lambda each: not any(each)}[word]([able[p] for p in people])
    if row["kind"] == "exception":
        (rule, _, odd), _ = facts
        return (asks[0] == odd) == (rule == "none")
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
    (_, before, _), (_, after, moved) = facts
    room, day = asks
    return bool(room == (after if days.index(day) >= days.index(moved) else before))


def test_the_answers_follow_from_the_facts() -> None:
    for row in ROWS["yes_no"]:
        assert answer_of(row) == (row["answer"] == "yes"), row
    assert {row["kind"] for row in ROWS["yes_no"]} == set(yes_no.KINDS)


def test_the_facts_are_those_of_the_passage() -> None:
    for row in ROWS["yes_no"]:
        for fact in row["facts"]:
            said = [part for part in fact if not isinstance(part, bool)]
            said = said[1:] if row["kind"] == "exception" and fact[0] in ("all", "none") else said
            said = [said[0], said[2]] if row["kind"] == "compare" else said
            for part in said:
                assert re.search(rf"\b{part}", row["passage"]), (part, row["passage"])
        if row["kind"] == "both":
            for person, able in row["facts"]:
                assert f"{person} {'can ' if able else 'cannot '}" in row["passage"]


def test_numbers_of_comparisons_can_be_read_in_the_passage() -> None:
    for row in ROWS["yes_no"]:
        if row["kind"] == "compare":
            for person, _, number in row["facts"]:
                (sentence,) = (part for part in row["passage"].split(".") if re.search(rf"\b{person}\b", part))
                assert re.search(rf"\b{number}\b", sentence)
