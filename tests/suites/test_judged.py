"""A model that is judged: plain, quantised, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.types import Message
from luthier.prompting.prompting import Request
from luthier.suites.judged import Judged, load_judged
from tests.tiny import tiny_model


def _rated(judged: Judged) -> tuple[float, ...]:
    request = Request("a", (Message("user", "The dog sleeps"),))
    (found,) = judged.generator().likelihoods([request], [("on", "under the tree")])
    return found.log_likelihoods


def test_quantised_it_answers_nearly_as_the_plain_one(tmp_path: Path) -> None:
    folder = str(tiny_model("llama", tmp_path / "m"))
    plain, narrow = load_judged(folder), load_judged(folder, quantisation="int8")
    assert (plain.quantisation, narrow.quantisation, plain.trained) == (None, "int8", None)
    assert _rated(narrow) != _rated(plain)
    assert _rated(narrow) == pytest.approx(_rated(plain), rel=0.05)


def test_an_encoder_is_refused() -> None:
    with pytest.raises(LuthierError, match="an encoder answers nothing"):
        load_judged("house/encoder")
