"""ROUGE's words: runs of ASCII letters and digits in lower case, as the `rouge-score` package splits and stems them."""

from __future__ import annotations

from functools import cache
from typing import Any


def rouge_tokens(text: str, stemmer: bool) -> list[str]:
    """The tokens of a text; with `stemmer`, words of more than three letters without their suffixes (Porter 1980)."""
    tokens: list[str] = _tokenizer(stemmer).tokenize(text)
    return tokens


@cache
def _tokenizer(stemmer: bool) -> Any:
    # Imported here: rouge-score brings nltk along, which takes more than a second.
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=stemmer)
