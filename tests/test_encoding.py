"""Examples as rows: encoded when they are asked for, and refused where they are longer than the context."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.types import Example, Message
from luthier.encoding import encode
from luthier.models.load import find_model, load_tokenizer
from luthier.models.tokens import Renderer
from luthier.prompting.zero_shot import ZeroShot


def example(number: int, text: str) -> Example:
    return Example(f"id{number}", (Message("user", text),), ("yes",), where=f"train.jsonl:{number}", task="first")


def test_a_row_is_its_prompt_and_its_answer_under_the_name_of_its_place(decoder: Path):
    renderer = Renderer(load_tokenizer(find_model(str(decoder))), 256)
    asked = [example(1, "is it?"), example(2, "is it not?")]
    rows = encode(ZeroShot().program(asked, 0), renderer, asked)
    for row, one in zip(rows, asked, strict=True):
        assert list(row.ids[: row.prompt_length]) == renderer.prompt(one.messages)
        assert list(row.ids[row.prompt_length :]) == renderer.completion(one.messages, "yes")
        assert (row.example_id, row.task) == (one.where, "first")


def test_a_row_longer_than_the_context_is_refused_when_it_is_asked_for(decoder: Path):
    renderer = Renderer(load_tokenizer(find_model(str(decoder))), 256)
    asked = [example(1, "is it?"), example(2, "is it? " * 200)]
    rows = encode(ZeroShot().program(asked, 0), renderer, asked)
    assert rows[0].prompt_length < 256
    with pytest.raises(LuthierError, match="the model's context is 256") as raised:
        rows[1]
    assert raised.value.where == "train.jsonl:2"
    with pytest.raises(LuthierError, match="the model's context is 256"):
        encode(ZeroShot().program(asked, 0), renderer, asked, added=250)[0]
