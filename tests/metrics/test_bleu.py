"""BLEU per example and per corpus: counts by hand, short, long and foreign texts."""

from __future__ import annotations

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.bleu import Bleu


def corpus(texts, references):
    predictions = [TextPrediction(str(row), text) for row, text in enumerate(texts)]
    examples = [Example(str(row), (Message("user", "?"),), tuple(refs)) for row, refs in enumerate(references)]
    return Bleu().corpus(predictions, examples)


def test_equal_texts_score_one_even_when_short(score):
    for text in ("the cat sat on the mat", "cat", "the cat"):
        assert score(Bleu(), text, text)["bleu"] == pytest.approx(1.0)


def test_empty_prediction_and_no_overlap_score_zero(score):
    assert score(Bleu(), "", "the cat sat")["bleu"] == 0.0
    assert score(Bleu(), "dog", "the cat sat")["bleu"] == 0.0


def test_repeated_text_is_clipped(score):
    # "the" matches twice of seven (Papineni et al. 2002, section 2.1); the higher orders are smoothed, none match.
    value = score(Bleu(tokenize="none"), "the the the the the the the", "the cat is on the mat")["bleu"]
    smoothed = (1 / 2 / 6, 1 / 4 / 5, 1 / 8 / 4)
    assert value == pytest.approx((2 / 7 * smoothed[0] * smoothed[1] * smoothed[2]) ** 0.25)


def test_best_matching_reference_counts(score):
    assert score(Bleu(), "the cat sat down here", "a dog", "the cat sat down here")["bleu"] == pytest.approx(1.0)


def test_non_ascii_and_very_long(score):
    assert score(Bleu(tokenize="zh"), "外面很冷吗", "外面很冷吗")["bleu"] == pytest.approx(1.0)
    assert score(Bleu(tokenize="char"), "外面很冷", "外面很热")["bleu"] > score(Bleu(), "外面很冷", "外面很热")["bleu"]
    assert 0 < score(Bleu(), "it is cold outside today " * 2000, "it is cold outside today")["bleu"] < 0.01


def test_corpus_is_not_the_mean_of_sentences(score):
    texts, references = ["the cat sat on the mat", "no"], [["the cat sat on the mat"], ["yes of course"]]
    mean = (score(Bleu(), texts[0], *references[0])["bleu"] + score(Bleu(), texts[1], *references[1])["bleu"]) / 2
    # Summed counts: 6/7, 5/5, 4/4, 3/3; lengths 7 against 9.
    by_hand = (6 / 7) ** 0.25 * 2.718281828459045 ** (1 - 9 / 7)
    assert corpus(texts, references)["corpus_bleu"] == pytest.approx(by_hand)
    assert mean == pytest.approx(0.5)


def test_corpus_with_different_numbers_of_references():
    texts = ["the cat sat on the mat", "a dog ran away now"]
    references = [["the cat sat on the mat"], ["nothing like it", "a dog ran away now"]]
    assert corpus(texts, references)["corpus_bleu"] == pytest.approx(1.0)
    assert corpus([], []) == {}


def test_signature_is_sacrebleus():
    assert Bleu().signature().startswith("BLEU|nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "tok:zh" in Bleu(tokenize="zh").signature()


def test_unknown_tokenizer_is_refused():
    with pytest.raises(LuthierError, match="tokenize"):
        read(Bleu, {"tokenize": "words"}, where="study.yaml")
