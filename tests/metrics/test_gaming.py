"""Signs of a text made for ROUGE: by hand, flagged where they should be and nowhere else."""

from __future__ import annotations

import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.gaming import Gaming, flags
from luthier.metrics.rouge import Rouge
from luthier.outcome import gaming_warnings

SOURCE = "Anna asks where the parcel is. Ben says that it left the store on Monday. Anna thanks him and hangs up."


def judged(text: str, *references: str, source: str = SOURCE) -> dict[str, float]:
    example = Example("0", (Message("user", "Sum up."),), references, source=source)
    return dict(Gaming().score(TextPrediction("0", text), example))


def test_repetition_by_hand():
    values = judged("a b c a b c a b", "a b c")  # trigrams abc bca cab abc bca cab: three of six are new
    assert values["repetition"] == pytest.approx(1 / 2)
    assert judged("it left the store on Monday", "x")["repetition"] == 0.0
    assert {"repetition", "copied"}.isdisjoint(judged("cold cold", "cold"))  # no trigram


def test_copying_by_hand():
    # Fragments: "Anna asks", "the parcel" (the longest from "the" on), "is", "it left"; "now" and "well" are new.
    values = judged("Anna asks now: the parcel is well; it left", "x")
    assert values["coverage"] == pytest.approx(7 / 9)
    assert values["density"] == pytest.approx((2**2 + 3**2 + 2**2) / 9)
    assert values["copied"] == pytest.approx(1 / 7)  # "the parcel is"
    assert judged(SOURCE, "x")["copied"] == 1.0
    assert judged(SOURCE, "x")["density"] == judged(SOURCE, "x")["length_ratio"] == 21.0


def test_without_a_source_what_was_asked_is_one():
    assert judged("sum up what", "x", source="")["coverage"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["cold cold cold cold", "it is very cold", "the cold cold day", "no"])
@pytest.mark.parametrize("reference", ["It is cold outside.", "cold cold days"])
def test_what_clipping_takes_is_the_difference_to_rouge(score, text: str, reference: str):
    values, rouge = judged(text, reference), score(Rouge(stemmer=False), text, reference)
    assert values["unclipped_rouge1_precision"] - values["clipped_away"] == pytest.approx(rouge["rouge1_precision"])


def test_the_reference_that_leaves_most_counts():
    values = judged("cold day", "cold cold", "a cold day")
    assert values["unclipped_rouge1_precision"] == 1.0 and values["clipped_away"] == 0.0


def test_flags_in_words():
    (said,) = flags(judged("the parcel the parcel the parcel the parcel", "The parcel is late."))
    assert said.startswith("repetition: 67% of its trigrams")
    (said,) = flags(judged(SOURCE, "A parcel left on Monday."))
    assert said == "copying: 100% of its trigrams stand in the source, and it is 4.2 times as long as the reference"
    both = flags(judged("Anna asks where the parcel is. " * 4, "Where it is."))
    assert [one.partition(":")[0] for one in both] == ["repetition"]  # at the seams nothing is the source's


@pytest.mark.parametrize(
    "text",
    [
        "Ben says that it left the store on Monday.",  # an extract of fitting length
        "The parcel left on Monday, Ben says, and Anna thanks him for the word on the parcel.",
        "Something else altogether, and rather long for what was asked of it in this place, to be sure.",
        "cold",
    ],
)
def test_what_is_merely_good_or_bad_is_not_flagged(text: str):
    values = judged(text, "It left the store on Monday.")
    assert flags(values) == () and values["gamed"] == 0.0


def test_no_token_is_unscored():
    assert judged("", "x") == {} == judged("外は寒い", "x") == judged("x", "外は寒い")


def rows(texts: list[str]) -> tuple[list[TextPrediction], list[Example]]:
    asked = [
        Example(f"{n}", (Message("user", "?"),), ("It is cold outside.",), source=SOURCE) for n in range(len(texts))
    ]
    return [TextPrediction(one.id, text) for one, text in zip(asked, texts, strict=True)], asked


def test_an_arm_is_named_where_more_than_a_tenth_of_its_answers_are_flagged():
    fine, gamed = ["It is warm."] * 18, ["cold cold cold cold", SOURCE]
    assert gaming_warnings(*rows(fine + gamed)) == []
    (said,) = gaming_warnings(*rows([*fine[:17], gamed[0], *gamed]))
    assert said.startswith("looks gamed: 3 of 20 answers") and "2 repeat themselves, 1 copy the source" in said
    assert gaming_warnings(*rows(["cold cold cold cold"] * 9)) == []  # too few to say
