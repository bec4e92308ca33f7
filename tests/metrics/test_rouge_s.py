"""ROUGE-S and ROUGE-SU: Lin's own example, bigrams as their special case, and pairs counted out one by one."""

from __future__ import annotations

import random

import pytest

from luthier.metrics.rouge import Rouge
from luthier.metrics.rouge_s import RougeS

GUNMAN = "police killed the gunman"


@pytest.mark.parametrize(
    ("answer", "pairs"),
    [("police kill the gunman", 3), ("the gunman kill police", 1), ("the gunman police killed", 2)],
)
def test_lins_example(score, answer: str, pairs: int):
    """Lin 2004, section 5: S2, S3 and S4 against S1; ROUGE-2 and ROUGE-L cannot tell all three apart."""
    values = score(RougeS(stemmer=False), answer, GUNMAN)
    assert set(values) == set(RougeS.measures)
    assert [values[f"rougeS{side}"] for side in ("", "_precision", "_recall")] == pytest.approx([pairs / 6] * 3)


def test_single_words_beside_pairs(score):
    """Lin 2004, section 6: a text turned round shares no pair, and with single words it earns something."""
    values = score(RougeS(stemmer=False), "gunman the killed police", GUNMAN)
    assert values["rougeS"] == 0.0
    assert values["rougeSU"] == pytest.approx(4 / 10)


def test_the_gap_bounds_what_stands_between(score):
    far = "start a b c d e end"  # five words between
    assert score(RougeS(gap=4), "start end", far)["rougeS"] == 0.0
    assert score(RougeS(gap=5), "start end", far)["rougeS_precision"] == 1.0
    assert score(RougeS(gap=5), "start end", far)["rougeS_recall"] == pytest.approx(1 / 21)


def by_hand(answer: list[str], reference: list[str], gap: int, single: bool) -> tuple[float, float]:
    """Pairs of the answer struck off a list of the reference's, one at a time."""

    def pairs(words: list[str]) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = [(word,) for word in words] if single else []
        for i in range(len(words)):
            for j in range(len(words)):
                if 0 < j - i <= gap + 1:
                    found.append((words[i], words[j]))
        return found

    said, left = pairs(answer), pairs(reference)
    there = len(left)
    shared = sum(pair in left and not left.remove(pair) for pair in said)
    return (shared / len(said) if said else 0.0), (shared / there if there else 0.0)


@pytest.mark.parametrize("gap", [0, 1, 4, 9])
def test_against_pairs_struck_off_one_by_one(score, gap: int):
    random_ = random.Random(gap)
    for _ in range(100):
        answer, reference = ([random_.choice("abcd") for _ in range(random_.randint(1, 9))] for _ in range(2))
        values = score(RougeS(gap=gap), " ".join(answer), " ".join(reference))
        for measure, single in (("rougeS", False), ("rougeSU", True)):
            sides = by_hand(answer, reference, gap, single)
            assert (values[f"{measure}_precision"], values[f"{measure}_recall"]) == pytest.approx(sides)
            if sum(sides):
                assert values[measure] == pytest.approx(2 * sides[0] * sides[1] / sum(sides))


def test_no_gap_is_rouge_2(score):
    answer, reference = "the cat sat on the mat and the cat slept", "the cat slept on the mat"
    assert score(RougeS(gap=0), answer, reference)["rougeS"] == pytest.approx(
        score(Rouge(), answer, reference)["rouge2"]
    )


def test_repetition_is_clipped_and_edges(score):
    assert score(RougeS(), "a b a b a b", "a b")["rougeS_recall"] == 1.0
    assert score(RougeS(), "a b a b a b", "a b")["rougeS_precision"] == pytest.approx(1 / 15)
    assert score(RougeS(), "cat", "cat") == pytest.approx(
        {**dict.fromkeys(RougeS.measures, 0.0), "rougeSU": 1.0, "rougeSU_precision": 1.0, "rougeSU_recall": 1.0}
    )
    assert set(score(RougeS(), "", "a cat").values()) == {0.0}
    assert score(RougeS(), "a cat", "外は寒い") == {}
    best = score(RougeS(), "a red cat", "a dog", "a red cat")
    assert best["rougeS"] == best["rougeSU"] == 1.0
