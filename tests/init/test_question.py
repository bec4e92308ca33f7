"""A question on the terminal: Enter takes the default, and what is no number of the list is asked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from luthier.core.errors import LuthierError
from luthier.init.question import on_terminal


@pytest.mark.parametrize(("said", "chosen"), [([""], 1), (["3"], 2), (["0", "four", "4", "²", "1"], 0)])
def test_an_answer(said: list[str], chosen: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    answers: Iterator[str] = iter(said)
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert on_terminal("Which?", ["a", "b", "c"], 1) == chosen
    assert "Which?\n  1. a\n  2. b\n  3. c\n" in capsys.readouterr().out
    assert list(answers) == []


def test_the_end_of_input(monkeypatch: pytest.MonkeyPatch):
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    with pytest.raises(LuthierError, match="no answer to: Which"):
        on_terminal("Which?", ["a", "b"], 0)
