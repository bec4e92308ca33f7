"""Exact match, as SQuAD has it and strict."""

from __future__ import annotations

import pytest

from luthier.metrics.exact_match import ExactMatch


@pytest.mark.parametrize(
    ("text", "reference", "squad", "strict"),
    [
        ("Paris", "Paris", 1, 1),
        (" Paris\n", "Paris", 1, 1),
        ("The Eiffel Tower.", "eiffel  tower", 1, 0),
        ("Paris, France", "Paris", 0, 0),
        ("", "Paris", 0, 0),
        ("", "-", 0, 0),
        ("the", "A", 0, 0),
        ("a.", "A", 1, 0),
        ("-1", "1", 1, 0),
        ("CAFÉ", "café", 1, 0),
        ("外は寒い", "外は寒い", 1, 1),
        ("yes yes", "yes", 0, 0),
        ("yes " * 5000, "yes", 0, 0),
    ],
)
def test_squad_and_strict(score, text, reference, squad, strict):
    assert score(ExactMatch(), text, reference) == {"exact_match": squad}
    assert score(ExactMatch(strict=True), text, reference) == {"exact_match": strict}


def test_any_reference_will_do(score):
    assert score(ExactMatch(), "Lyon", "Paris", "lyon") == {"exact_match": 1.0}


def test_signature_says_which():
    assert ExactMatch().signature() != ExactMatch(strict=True).signature()
