"""The perturbations: the same each time, never empty, and no answer changed by them."""

from __future__ import annotations

import random

import pytest

from luthier.core.types import Example, Message
from luthier.suites.helm import spelling, voices
from luthier.suites.helm.people import GENDERS, NAMES, RACES
from luthier.suites.helm.perturbations import FAIRNESS, ROBUSTNESS, perturb_text, perturbed

REVIEW = "I believe that he is with his friend; her mother saw him, and it isn't GOOD. Emily met Jamal."
EXAMPLE = Example(
    "e1",
    (
        Message("system", "Judge. Emily is here."),
        Message("user", f"Which is it, good or bad?\n{REVIEW}\nEmily or good:"),
    ),
    ("good",),
    source=REVIEW,
    choices=("good", "bad"),
)


def test_the_same_text_is_perturbed_the_same_way():
    assert perturbed(EXAMPLE) == perturbed(EXAMPLE)
    spaced = perturb_text(REVIEW, "spaces", spelling.widen_spaces)
    assert spaced != REVIEW and spaced.split() == REVIEW.split()


def test_choices_and_instructions_stand_as_they_are():
    found = perturbed(EXAMPLE)
    assert set(found) == {*ROBUSTNESS, *FAIRNESS, "names"}
    for name in (*ROBUSTNESS, *FAIRNESS):
        other = found[name]
        assert (other.id, other.choices, other.references) == (EXAMPLE.id, EXAMPLE.choices, EXAMPLE.references)
        assert other.messages[0] == EXAMPLE.messages[0]
        content = other.messages[1].content
        assert content.startswith("Which is it, good or bad?\n") and content.endswith("\nEmily or good:")
        assert "GOOD" in content, "a choice is kept with its case"


def test_what_is_asked_about_is_not_sought_within_words():
    def content(source: str, turn: str) -> str:
        example = Example("e4", (Message("user", turn),), ("x",), source=source, choices=("x", "y"))
        return perturbed(example)["contractions"].messages[0].content

    assert content("it is", "With it is its edit issue") == "With it's its edit issue"
    assert content("it is", "do not say: it is, it is") == "don't say: it's, it's", "twice: the whole turn"
    assert content("(it is)", "Do not judge:(it is)") == "Do not judge:(it's)"


def test_letters_that_are_one_to_a_pattern_alone():
    """`s` matches the long `ſ` and `i` the dotless one, whatever their case; no table has them."""
    text = "he ſaid ıt is, and ſhe'll see hıs"
    for name, perturb in (ROBUSTNESS | FAIRNESS).items():
        assert "ſ" in perturb_text(text, name, perturb)
    assert spelling.misspell("ſaid said", random.Random(0)) == "ſaid siad"


@pytest.mark.parametrize("text", ["", " ", "é", "42", "?!", "good"])
def test_nothing_becomes_empty(text: str):
    for name, perturb in (ROBUSTNESS | FAIRNESS).items():
        done = perturb_text(text, name, perturb, ("good",))
        assert done.strip() == text.strip()


def test_names_change_with_their_choices():
    example = Example(
        "e2", (Message("user", "Emily asked Jamal and Emily. Who asked?"),), ("Emily",), choices=("Emily", "Jamal")
    )
    other = perturbed(example)["names"]
    new, second = other.choices
    assert other.messages[0].content == f"{new} asked {second} and {new}. Who asked?"
    assert other.references == (new,) and len({new, second, "Emily", "Jamal"}) == 4
    groups = {name: group for group, of in NAMES.items() for names in of.values() for name in names}
    assert groups[new] != groups["Emily"] and groups[second] != groups["Jamal"]


def test_nothing_to_change_is_no_variant():
    example = Example("e3", (Message("user", "1 + 1 ="),), ("2",), choices=("2", "3"))
    assert set(perturbed(example)) == {"spaces"}


@pytest.mark.parametrize(
    ("function", "text", "expected"),
    [
        (spelling.misspell, "I Believe my friend, really.", "I Beleive my freind, realy."),
        (spelling.contract, "I am sure they are not here; it is so.", "I'm sure they're not here; it's so."),
        (spelling.expand, "I'm sure it ISN'T. Won't do", "I am sure it IS NOT. Will not do"),
        (spelling.lower_case, "The Cat", "the cat"),
        (voices.speak_dialect, "This is not the one with them", "Dis ain't da one wit dem"),
        (
            voices.say_she,
            "He's late, I saw him and his dog. It is his.",
            "She's late, I saw her and her dog. It is hers.",
        ),
        (voices.say_he, "She saw her. Her dog is hers, by herself", "He saw him. His dog is his, by himself"),
        (
            voices.say_they,
            "He is in; she's out. I met her and his cat",
            "They are in; they're out. I met them and their cat",
        ),
    ],
)
def test_what_becomes_of_a_text(function: object, text: str, expected: str):
    assert callable(function)
    assert function(text, random.Random(0)) == expected


def test_a_typo_strikes_the_key_beside():
    text = "Nobody expected this performance"
    typed = spelling.strike_beside(text, random.Random(3))
    wrong = [(a, b) for a, b in zip(text, typed, strict=True) if a != b]
    assert len(wrong) == 1 and wrong[0][1] in spelling._BESIDE[wrong[0][0]]


def test_groups_have_lists_of_one_length_and_share_no_word():
    for groups in (GENDERS, RACES):
        lists = list(groups.values())
        assert len({len(words) for words in lists}) == 1
        assert len({word for words in lists for word in words}) == sum(map(len, lists))
