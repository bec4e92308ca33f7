"""Hashes of n-grams: exactly those windows are found that a search word by word finds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from luthier.suites.ngrams import Ngrams, Words
from luthier.suites.sought import own_words
from luthier.tasks.leakage import tokens_of


@pytest.mark.parametrize("n", [1, 3, 8])
def test_as_a_search_word_by_word(n: int) -> None:
    draw = random.Random(n)
    texts = [tuple(draw.choices("abc", k=draw.randrange(40))) for _ in range(5)]
    corpus = [draw.choice("abcd") for _ in range(500)]  # d is in no text
    words = Words(texts)
    sought = {text[i : i + n] for text in texts for i in range(len(text) - n + 1)}
    hashes = [found for text in texts for _, _, found in words.hashes(words.numbers(text), (n,))]
    ngrams = Ngrams(np.concatenate(hashes))
    ((_, starts, found),) = words.hashes(words.numbers(corpus), (n,))
    places, _ = ngrams.find(found)
    expected = [i for i in range(len(corpus) - n + 1) if tuple(corpus[i : i + n]) in sought]
    assert starts[places].tolist() == expected
    assert len(ngrams.hashes) == len(sought)


def test_nothing_is_sought_and_nothing_is_long_enough() -> None:
    words = Words([("a", "b")])
    assert list(words.hashes(words.numbers(["a", "b"]), (3,))) == []
    assert Ngrams(np.zeros(0, np.uint64)).find(np.array([1], np.uint64))[0].tolist() == []


def test_a_tasks_own_wording_is_known_by_how_many_questions_have_it() -> None:
    wording = tokens_of("The following are multiple choice questions about the heart.")
    rows = [(*wording, f"one{n}", f"two{n}", "answer") for n in range(8)]
    own = own_words(rows, Words(rows))
    assert all(mask.tolist() == [False] * 9 + [True] * 3 for mask in own)
    assert all(mask.all() for mask in own_words(rows[:5], Words(rows)))  # five may be five questions on one passage
