"""METEOR of words and stems: by hand, and what it cannot see."""

from __future__ import annotations

import pytest

from luthier.metrics.meteor import Meteor


def test_by_hand(score):
    # P = 4/5, R = 1, two chunks of four words.
    precision, recall, chunks = 4 / 5, 1.0, 2 / 4
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    by_hand = mean * (1 - 0.5 * chunks**3)
    assert score(Meteor(), "it is very cold outside", "it is cold outside")["meteor"] == pytest.approx(by_hand)


def test_nltks_own_example_needs_no_synonym(score):
    answer = "It is a guide to action which ensures that the military always obeys the commands of the party"
    reference = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert score(Meteor(), answer, reference)["meteor"] == pytest.approx(0.6944, abs=5e-5)


def test_stems_match_and_synonyms_do_not(score):
    assert score(Meteor(), "the cats", "the cat")["meteor"] == score(Meteor(), "the cat", "the cat")["meteor"] > 0
    assert score(Meteor(), "chilly", "cold")["meteor"] == 0.0
    assert "no WordNet" in Meteor().signature()


def test_edges(score):
    assert score(Meteor(), "a b c", "a b c")["meteor"] == pytest.approx(1 - 0.5 / 27)
    assert score(Meteor(), "", "a cat") == {"meteor": 0.0}
    assert score(Meteor(), "a cat", " ") == {}
    assert score(Meteor(), "外は寒い", "外は寒い")["meteor"] == pytest.approx(0.5)  # one run of letters, one word
    assert score(Meteor(), "a cat", "x", "a cat")["meteor"] == score(Meteor(), "a cat", "a cat")["meteor"]
