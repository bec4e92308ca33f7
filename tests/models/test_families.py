"""The families that methods answer for, and the model types that belong to them."""

from __future__ import annotations

import pytest

from luthier.models.families import FAMILIES, family_of
from luthier.models.kinds import kind_of
from tests.families import family_model


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_named_after_a_type_of_transformers_and_of_its_kind(family: str) -> None:
    config = family_model(family).config
    assert config.model_type == family == family_of(family)
    assert kind_of(config.to_dict()) == FAMILIES[family]


@pytest.mark.parametrize(
    ("model_type", "family"),
    [("xlm-roberta", "roberta"), ("gemma2", "gemma"), ("mt5", "t5"), ("mbart", "bart"), ("qwen2", "qwen2")],
)
def test_a_type_belongs_to_a_family_or_is_its_own(model_type: str, family: str) -> None:
    assert family_of(model_type) == family
