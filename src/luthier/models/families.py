"""The families of models that every method answers for, by the model types that transformers gives them.

A model of another type works where its modules are named as in one of these; no table claims anything of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from luthier.models.kinds import Kind

FAMILIES: Mapping[str, Kind] = {
    **dict.fromkeys(("bert", "roberta"), "encoder"),
    **dict.fromkeys(("gpt2", "bloom", "llama", "mistral", "gemma"), "decoder"),
    **dict.fromkeys(("t5", "bart"), "encoder-decoder"),
}
"""Family -> what its attention allows, encoders first."""

_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("xlm-roberta", "camembert"), "roberta"),
    **dict.fromkeys(("gemma2", "gemma3", "gemma3_text"), "gemma"),
    **dict.fromkeys(("mt5", "umt5"), "t5"),
    "mbart": "bart",
}
"""Types that are built as a family is, under another name."""


def family_of(model_type: str) -> str:
    """The family of a model type, or the type itself where it is of none."""
    return _TYPES.get(model_type, model_type)
