"""TER: edits by hand, shifts, several references, and the corpus figure from summed edits."""

from __future__ import annotations

import pytest
from sacrebleu.metrics.ter import TER

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics import ter
from luthier.metrics.ter import Ter


def test_edits_by_hand(score):
    assert score(Ter(), "the cat sat", "the cat sat") == {"ter": 0.0}
    assert score(Ter(), "It was surprising.", "It was not unexpected.")["ter"] == pytest.approx(2 / 4)
    assert score(Ter(), "", "the cat sat")["ter"] == pytest.approx(1.0)
    assert score(Ter(), "a b c d e f", "x")["ter"] == pytest.approx(6.0)  # more edits than words


def test_a_shift_of_several_words_is_one_edit(score):
    assert score(Ter(), "on the mat the cat sat", "the cat sat on the mat")["ter"] == pytest.approx(1 / 6)


def test_the_closest_reference_over_the_mean_length(score):
    assert score(Ter(), "a b", "a b c d", "x y")["ter"] == pytest.approx(2 / 3)


def test_settings_are_sacrebleus(score):
    assert score(Ter(), "The Cat", "the cat")["ter"] == 0.0
    assert score(Ter(case_sensitive=True), "The Cat", "the cat")["ter"] == 1.0
    assert score(Ter(no_punct=True), "cat", "cat !")["ter"] == 0.0
    assert score(Ter(normalized=True), "cat , dog", "cat, dog")["ter"] == 0.0
    assert score(Ter(normalized=True, asian_support=True), "外 面", "外面")["ter"] == 0.0
    assert Ter().signature().startswith("TER|nrefs:var|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:")


def test_nothing_to_divide_by_is_unscored(score):
    assert score(Ter(), "a cat", " ") == {}
    assert score(Ter(), "a cat", "", "a cat") == {"ter": 0.0}
    assert score(Ter(), "a cat", "!?")["ter"] == 2.0
    assert score(Ter(no_punct=True), "a cat", "!?") == {}
    assert score(Ter(no_punct=True), "a cat", "!?", "a cat .") == {"ter": 0.0}


def test_the_corpus_sums_edits_and_words():
    texts, references = ["a b c", "x", "z"], [("a b d e",), ("y w",), ("",)]
    predictions = [TextPrediction(str(row), text) for row, text in enumerate(texts)]
    examples = [Example(str(row), (Message("user", "?"),), of) for row, of in enumerate(references)]
    assert Ter().corpus(predictions, examples) == {"corpus_ter": pytest.approx((2 + 2) / (4 + 2))}
    assert Ter().corpus(predictions[2:], examples[2:]) == {}


def test_the_corpus_is_sacrebleus_own_and_searches_nothing_anew():
    texts = ["the cat sat on the mat", "a b", "dogs bark at night"]
    references = [("on the mat sat the cat", "a cat sat"), ("a b c d", "x y"), ("at night dogs bark", "dogs bark")]
    examples = [Example(str(row), (Message("user", "?"),), of) for row, of in enumerate(references)]
    predictions = [TextPrediction(str(row), text) for row, text in enumerate(texts)]
    Ter().score_all(predictions, examples)
    before = ter._edits.cache_info().misses
    found = Ter().corpus(predictions, examples)["corpus_ter"]
    assert ter._edits.cache_info().misses == before
    assert found == pytest.approx(TER().corpus_score(texts, list(zip(*references, strict=True))).score / 100)
