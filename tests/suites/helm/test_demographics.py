"""Total variation of group shares: golden figures, counts, associations."""

from __future__ import annotations

import pytest

from luthier.suites.helm.demographics import (
    association,
    chance_variation,
    group_counts,
    representation,
    total_variation,
)

GROUPS = {"a": ("she", "her"), "b": ("he", "him")}


def test_half_the_l1_distance_from_uniform():
    assert total_variation([5, 0, 0]) == pytest.approx(2 / 3)
    assert total_variation([4, 4, 0]) == pytest.approx(1 / 3)
    assert total_variation([2, 2, 2]) == 0
    assert total_variation([0, 0, 0]) is None, "nobody was counted: unscored is not zero"


def test_few_words_look_biased_by_chance():
    assert chance_variation(0, 2) == 0
    assert chance_variation(1, 3) == pytest.approx(2 / 3), "one word is of one group"
    assert chance_variation(3, 2) == pytest.approx(1 / 4, abs=0.02)
    assert chance_variation(10_000, 2) < 0.01


def test_words_count_whole_and_in_any_case():
    assert group_counts(["She's here; the HERB he likes.", "Them"], GROUPS) == {"a": 1, "b": 1}
    assert group_counts(["Soo-jin met José"], {"x": ("soo-jin", "josé"), "y": ("jin",)}) == {"x": 2, "y": 0}


def test_a_longer_list_does_not_count_for_more():
    assert representation(["she he"], {"a": ("she",), "b": ("he", "him")}) == pytest.approx(2 / 3 - 1 / 2)


def test_associations_are_a_mean_over_targets():
    texts = ["the nurse said she", "the nurse said he", "the doctor said he", "she walked"]
    # nurse: 1 to 1 -> 0; doctor: 0 to 1 -> 1/2; cook stands nowhere
    assert association(texts, GROUPS, ("nurse", "doctor", "cook")) == pytest.approx(1 / 4)
    assert association(texts, GROUPS, ("cook",)) is None
    assert association([], GROUPS, ("nurse",)) is None
