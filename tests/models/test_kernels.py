"""The quickest ways are tried once, kept, and used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from luthier.models import attention, kernels
from luthier.models.kernels import Kernels, kernels_for
from tests.models.decoders import decoder


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels._cache_path.cache_clear()
    yield
    kernels._cache_path.cache_clear()  # the tests that follow have the machine's own


def test_what_was_found_is_kept_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder("llama")
    random = torch.get_rng_state()
    found = kernels_for(model, "cpu")
    assert torch.equal(torch.get_rng_state(), random)
    assert found.tokens in (1024, 2048, 4096)
    (kept,) = (tmp_path / "luthier").glob("kernels-*.json")
    assert json.loads(kept.read_text(encoding="utf-8")) == found.record()
    other = Kernels(attention_written_out_to=77)
    kept.write_text(json.dumps(other.record()), encoding="utf-8")
    assert kernels_for(model, "cpu") == other
    kept.write_text("{", encoding="utf-8")
    monkeypatch.setattr(kernels, "_quickest", lambda *shapes: other)
    assert kernels_for(model, "cpu") == other


def test_the_usual_ways_on_a_gpu_and_in_other_types() -> None:
    assert kernels_for(decoder("llama"), "cuda") == Kernels()
    assert kernels_for(decoder("llama").bfloat16(), "cpu") == Kernels()


def test_they_are_used() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        Kernels(products="onednn", attention_written_out_to=9).use()
        assert torch.get_float32_matmul_precision() == "medium"
        assert attention._written_out_to == 9
    finally:
        Kernels().use()
        torch.set_float32_matmul_precision(before)
    assert attention._written_out_to == 0
