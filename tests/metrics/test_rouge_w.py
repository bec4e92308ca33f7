"""ROUGE-W: Lin's own example, ROUGE-L as its special case, and every common subsequence counted out."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.metrics.rouge import Rouge
from luthier.metrics.rouge_w import RougeW, weighted_lcs

X, Y1, Y2 = "A B C D E F G", "A B C D H I K", "A H B K C I D"


def test_lins_example(score):
    """Lin 2004, section 4, f(k) = k^2: the same LCS of four words, once in one run and once scattered."""
    for answer, expected in ((Y1, 0.571), (Y2, 0.286)):
        values = score(RougeW(weight=2), answer, X)
        assert set(values) == set(RougeW.measures)
        assert list(values.values()) == pytest.approx([expected] * 3, abs=5e-4)


def test_precision_and_recall_by_hand(score):
    # One run of three; f(k) = k^1.2, its inverse k^(1/1.2): 3 of 5 words, 3 of 4 words.
    values = score(RougeW(), "the cat sat and slept", "so the cat sat")
    assert values["rougeW_precision"] == pytest.approx(3 / 5)
    assert values["rougeW_recall"] == pytest.approx(3 / 4)
    assert values["rougeW"] == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    # Two runs, of two and of one: (2^1.2 + 1)^(1/1.2) = 2.7465 of 4 words each.
    assert score(RougeW(), "the cat has sat", "the cat now sat")["rougeW"] == pytest.approx(
        (2**1.2 + 1) ** (1 / 1.2) / 4
    )


def exhaustive(one: list[str], other: list[str], weight: float) -> float:
    """The heaviest common subsequence, by trying every pair of equally long choices of places."""
    best = 0.0
    for size in range(1, min(len(one), len(other)) + 1):
        for here in combinations(range(len(one)), size):
            for there in combinations(range(len(other)), size):
                if [one[i] for i in here] == [other[j] for j in there]:
                    best = max(best, sum(run**weight for run in runs(here, there)))
    return best


def runs(here: tuple[int, ...], there: tuple[int, ...]) -> list[int]:
    """Lengths of the stretches in which both sides' places follow each other."""
    lengths = [1]
    for at in range(1, len(here)):
        if here[at] == here[at - 1] + 1 and there[at] == there[at - 1] + 1:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


@pytest.mark.parametrize("weight", [1.0, 1.2, 2.0])
def test_against_every_common_subsequence(weight: float):
    """Without repeated words, and with f(k) = k, the recurrence finds the best; else it never claims more than that."""
    random_ = random.Random(0)
    for _ in range(60):
        words = list("abcdefgh")
        one, other = random_.sample(words, random_.randint(1, 6)), random_.sample(words, random_.randint(1, 6))
        assert weighted_lcs(one, other, weight) == pytest.approx(exhaustive(one, other, weight))
        one, other = ([random_.choice("ab") for _ in range(random_.randint(1, 5))] for _ in range(2))
        found, best = weighted_lcs(one, other, weight), exhaustive(one, other, weight)
        assert found <= best + 1e-9
        if weight == 1.0:
            assert found == best


def test_weight_one_is_rouge_l(score):
    for answer, reference in ((Y2, X), ("the cats sat", "a cat sat on the mat"), ("a b a b", "b a b")):
        values, plain = score(RougeW(weight=1), answer, reference), score(Rouge(), answer, reference)
        for side in ("", "_precision", "_recall"):
            assert values[f"rougeW{side}"] == pytest.approx(plain[f"rougeL{side}"])


def test_the_best_reference_counts_and_edges(score):
    assert score(RougeW(), X, "Z", X)["rougeW"] == pytest.approx(1.0)
    assert set(score(RougeW(), "...", X).values()) == {0.0}
    assert score(RougeW(), X, "外は寒い") == {}
    assert score(RougeW(), "", "") == {}
    assert score(RougeW(), "the killing", "the killed")["rougeW"] == pytest.approx(1.0)
    assert score(RougeW(stemmer=False), "the killing", "the killed")["rougeW"] == pytest.approx(0.5)


def test_a_weight_below_one_is_refused():
    with pytest.raises(LuthierError, match="weight"):
        read(RougeW, {"weight": 0.5}, where="study.yaml")
