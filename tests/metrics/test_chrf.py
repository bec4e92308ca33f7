"""chrF against its formula, and at the edges."""

from __future__ import annotations

from collections import Counter

import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.chrf import Chrf


def test_chrf_by_hand(score):
    candidate, reference = "cold day", "colder days"
    left, right = candidate.replace(" ", ""), reference.replace(" ", "")
    scores = []
    for n in range(1, 7):
        grams = [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (left, right)]
        shared = (grams[0] & grams[1]).total()
        scores.append((shared / grams[0].total(), shared / grams[1].total()))
    precision, recall = (sum(side) / 6 for side in zip(*scores, strict=True))
    by_hand = 5 * precision * recall / (4 * precision + recall)
    assert score(Chrf(), candidate, reference)["chrf"] == pytest.approx(by_hand)


def test_edges(score):
    assert score(Chrf(), "", "it is cold")["chrf"] == 0.0
    assert score(Chrf(), "外は寒い", "外は寒い")["chrf"] == pytest.approx(1.0)
    assert score(Chrf(), "wrong", "xyz", "wrong")["chrf"] == pytest.approx(1.0)
    assert 0 < score(Chrf(), "cold " * 2000, "it is cold")["chrf"] < 0.01


def test_corpus_sums_the_counts(score):
    predictions = [TextPrediction("0", "it is cold outside"), TextPrediction("1", "no")]
    examples = [
        Example(str(row), (Message("user", "?"),), texts)
        for row, texts in enumerate([("it is cold outside",), ("yes", "why")])
    ]
    together = Chrf().corpus(predictions, examples)["corpus_chrf"]
    mean = (
        score(Chrf(), "it is cold outside", "it is cold outside")["chrf"] + score(Chrf(), "no", "yes", "why")["chrf"]
    ) / 2
    assert mean == pytest.approx(0.5) and 0.8 < together < 1
    assert Chrf().corpus([], []) == {}


def test_signature_is_sacrebleus():
    assert Chrf().signature().startswith("chrF2|nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
