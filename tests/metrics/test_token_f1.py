"""SQuAD's token F1: known answers and edges."""

from __future__ import annotations

import pytest

from luthier.metrics.token_f1 import TokenF1


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("the cat sat", "a cat sat down", 2 * 2 / (2 + 3)),
        ("sat cat", "the cat sat", 1.0),
        ("", "cat", 0.0),
        ("dog", "cat", 0.0),
        ("A", "the", 0.0),
        ("cat cat cat cat", "cat", 2 * 1 / (4 + 1)),
        ("cat cat", "cat cat dog", 2 * 2 / (2 + 3)),
        ("Zürich, Köln!", "köln zürich", 1.0),
        ("word " * 9999 + "cat", "cat", 2 / 10001),
    ],
)
def test_known_answers(score, text, reference, expected):
    assert score(TokenF1(), text, reference)["token_f1"] == pytest.approx(expected)


def test_the_best_reference_counts(score):
    assert score(TokenF1(), "red cat", "dog", "red dog", "cat red")["token_f1"] == 1.0
