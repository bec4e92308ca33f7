"""The trained tokenizer: any text goes round, special tokens have fixed ids, digits stand alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from luthier.models.tokenizer_training import BOS, EOS, PAD, SPECIAL_TOKENS, encode_documents, train_tokenizer
from tests.tiny import SENTENCES

TEXTS = (
    "The dog sleeps by the door.",
    "  leading, trailing and   double spaces \n\n\tand a tab ",
    "it's, we'll, they've, I'd",
    "Grüße, naïve, \u00e9 and e\u0301, \ufb01",
    "日本語のテキスト。 שלום عربي ไทย",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "\u0000\u0007 nulls and \x7f",
    "3.14159, 2026-11-20, ١٢٣",
    "",
)


@pytest.fixture(scope="module")
def trained() -> Any:
    return train_tokenizer([*SENTENCES, "It cost 1234 pounds in 1999, and 1999 is 1999."] * 3, 420, context=32)


@pytest.fixture(scope="module")
def tokenizer(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    trained.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_any_text_goes_round(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_bos_stands_before_a_text_and_nothing_after_it(trained: Any, tokenizer: Any) -> None:
    for one in (trained, tokenizer):
        bare = one("The dog", add_special_tokens=False)["input_ids"]
        assert one("The dog")["input_ids"] == [one.bos_token_id, *bare]
        assert one("")["input_ids"] == [one.bos_token_id]


def test_special_tokens_have_the_first_ids_in_their_order(tokenizer: Any) -> None:
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    assert SPECIAL_TOKENS[:3] == (PAD, BOS, EOS)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    for index, token in enumerate(SPECIAL_TOKENS):
        assert tokenizer(token, add_special_tokens=False)["input_ids"] == [index]
    assert len(tokenizer) == 420
    assert tokenizer.model_max_length == 32


def test_digits_stand_alone(tokenizer: Any) -> None:
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(" 1999, 1999", add_special_tokens=False)["input_ids"])
    assert [piece for piece in pieces if any(sign.isdigit() for sign in piece)] == list("19991999")
    learnt = set(tokenizer.get_vocab()) - set(SPECIAL_TOKENS)
    assert not [piece for piece in learnt if len(piece) > 1 and any(map(str.isdigit, piece))]


def test_words_carry_their_space(tokenizer: Any) -> None:
    assert tokenizer.convert_ids_to_tokens(tokenizer(" the the", add_special_tokens=False)["input_ids"]) == ["Ġthe"] * 2


def test_training_is_repeatable(trained: Any) -> None:
    texts = [*SENTENCES, "It cost 1234 pounds in 1999, and 1999 is 1999."] * 3
    assert train_tokenizer(iter(texts), 420, context=32).get_vocab() == trained.get_vocab()


def test_documents_are_closed_on_both_sides(tokenizer: Any) -> None:
    documents = [text for text in TEXTS if text]
    ids = encode_documents(tokenizer, documents, batch=3)  # the last batch is not full
    assert ids.dtype == np.uint16
    expected = []
    for document in documents:
        expected += [1, *tokenizer(document, add_special_tokens=False)["input_ids"], 2]
    assert ids.tolist() == expected
