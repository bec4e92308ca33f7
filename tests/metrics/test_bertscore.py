"""BERTScore over embeddings that are given: by hand, weighted by rarity, several references, and its edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics import bertscore
from luthier.metrics.bertscore import BertScore
from luthier.metrics.metric import Embedded

ANGLES = {"cold": 0.0, "chilly": 30.0, "outside": 90.0, "cat": 200.0}
"""A word's embedding is a direction in the plane: cos 30 between "cold" and "chilly"."""


def embed(texts: Sequence[str]) -> list[Embedded]:
    return [
        Embedded(
            tuple(list(ANGLES).index(word) for word in text.split()),
            np.array([_unit(ANGLES[word]) for word in text.split()], dtype=np.float32).reshape(-1, 2),
        )
        for text in texts
    ]


def _unit(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def judged(metric: BertScore, *pairs: tuple[str, tuple[str, ...]]) -> list[dict[str, float]]:
    predictions = [TextPrediction(str(row), text) for row, (text, _) in enumerate(pairs)]
    examples = [Example(str(row), (Message("user", "?"),), of) for row, (_, of) in enumerate(pairs)]
    return [dict(values) for values in metric.score_all(predictions, examples, embed)]


def test_each_token_takes_its_nearest():
    (values,) = judged(BertScore(), ("chilly", ("cold outside",)))
    cold, outside = math.cos(math.radians(30)), math.cos(math.radians(60))
    assert values["bertscore_precision"] == pytest.approx(cold)
    assert values["bertscore_recall"] == pytest.approx((cold + outside) / 2)
    both = values["bertscore_precision"], values["bertscore_recall"]
    assert values["bertscore"] == pytest.approx(2 * both[0] * both[1] / sum(both))


def test_rare_tokens_weigh_more():
    """Three references, two with "cold", one with "outside": log(4/3) and log(4/2); "chilly" in none: log 4."""
    pairs = ("chilly outside", ("cold outside",)), ("cold", ("cold",)), ("cat", ("cat",))
    plain, weighted = judged(BertScore(), *pairs)[0], judged(BertScore(idf=True), *pairs)[0]
    cold = math.cos(math.radians(30))
    frequent, rare, unseen = math.log(4 / 3), math.log(4 / 2), math.log(4)
    assert plain["bertscore_recall"] == pytest.approx((cold + 1) / 2)
    assert weighted["bertscore_recall"] == pytest.approx((frequent * cold + rare) / (frequent + rare))
    assert weighted["bertscore_precision"] == pytest.approx((unseen * cold + rare) / (unseen + rare))


def test_one_reference_alone_has_no_rarity():
    assert judged(BertScore(idf=True), ("chilly", ("cold",))) == judged(BertScore(), ("chilly", ("cold",)))


def test_the_best_reference_and_the_edges():
    best, empty, nothing = judged(BertScore(), ("cold", ("cat", "cold", "outside")), ("", ("cold",)), ("cold", ("",)))
    assert best["bertscore"] == pytest.approx(1.0)
    assert set(empty.values()) == {0.0} and nothing == {}


def test_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch):
    pairs = ("chilly outside", ("cold outside", "cat")), ("cold", ("cold",)), ("cat", ("cat cold",)), ("", ("cold",))
    at_once = judged(BertScore(idf=True), *pairs)
    asked: list[int] = []

    def counted(texts: Sequence[str]) -> list[Embedded]:
        asked.append(len(texts))
        return embed(texts)

    monkeypatch.setattr(bertscore, "_AT_ONCE", 2)
    predictions = [TextPrediction(str(row), text) for row, (text, _) in enumerate(pairs)]
    examples = [Example(str(row), (Message("user", "?"),), of) for row, (_, of) in enumerate(pairs)]
    assert BertScore(idf=True).score_all(predictions, examples, counted) == at_once
    assert asked == [4, 4], "the texts of two examples each"


def test_it_says_what_it_needs():
    assert BertScore().encoder is not None and BertScore().encoder.model == "house/encoder"
    assert "model:some/bert|layer:9|idf:references" in BertScore(model="some/bert", layer=9, idf=True).signature()
